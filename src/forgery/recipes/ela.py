"""Error level analysis: how much each pixel moves when the picture is saved once more as JPEG."""

import io
import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from PIL import Image, ImageChops, ImageEnhance

from forgery.errors import InvalidConfig
from forgery.recipes.base import Evidence, Recipe

_RESAMPLES = {
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
    "pooled": Image.Resampling.BILINEAR,
}
# A large map is first shrunk by blocks, by the largest whole factor that leaves it this many times its final size.
_POOLED_GAP = 1.5
_NAME = re.compile(
    r"ela1((?:_q\d{1,3})+)_(stretch|gain(\d{1,3}))(_luma)?(?:_sharp(\d{1,2}))?_(\d{1,4})_("
    + "|".join(_RESAMPLES)
    + r")(_upright)?"
)
_UNSHARPENED = 10
_EXAMPLE = "ela1_q90_gain15_224_bilinear"


@dataclass(frozen=True)
class ElaRecipe(Recipe):
    """Difference between a picture and its JPEG copies, amplified, then resized.

    The amplification comes before the resize: the other way round quantises the map to a few grey levels.

    Attributes:
        qualities: JPEG qualities (1-100, 4:2:0) of the copies, in channel order.
        gain: Factor 1-255 on the difference; None stretches each map so that its own largest difference is 255.
        size_px: Height and width of the map, 16-1024.
        resample: `bilinear` (with antialiasing), `box`, or `pooled`: means of whole blocks, then bilinear, a quarter of
            the time of `bilinear` on large pictures and the same pixels on small ones.
        sharpened: Factor .1-9.9 by which the amplified map is sharpened, in tenths; 10 leaves it as it is. Some
            published systems do so; it loses more than it shows.
        luma: One channel per quality, the largest of the three colour differences; else three per quality.
        upright: Apply the EXIF orientation first.
    """

    prefix: ClassVar[str] = "ela1"

    qualities: tuple[int, ...] = (90,)
    gain: int | None = 15
    size_px: int = 224
    resample: str = "bilinear"
    luma: bool = False
    upright: bool = False
    sharpened: int = _UNSHARPENED

    def __post_init__(self) -> None:
        """Reject values without meaning; InvalidConfig says what is accepted."""
        if not self.qualities or any(not 1 <= quality <= 100 for quality in self.qualities):
            raise InvalidConfig(f"JPEG qualities are 1 to 100, e.g. {_EXAMPLE}; got {self.qualities}")
        if self.gain is not None and not 1 <= self.gain <= 255:
            raise InvalidConfig(f"gain is 1 to 255 or stretch, e.g. {_EXAMPLE}; got {self.gain}")
        if not 16 <= self.size_px <= 1024:
            raise InvalidConfig(f"size is 16 to 1024 pixels, e.g. {_EXAMPLE}; got {self.size_px}")
        if not 1 <= self.sharpened <= 99:
            raise InvalidConfig(f"sharpening is 1 to 99 tenths, e.g. sharp15; got {self.sharpened}")
        if self.resample not in _RESAMPLES:
            raise InvalidConfig(f"resample is one of {', '.join(_RESAMPLES)}; got {self.resample!r}")

    @property
    def name(self) -> str:
        """E.g. `ela1_q90_gain15_224_bilinear`."""
        qualities = "".join(f"_q{quality}" for quality in self.qualities)
        gain = "stretch" if self.gain is None else f"gain{self.gain}"
        luma, upright = "_luma" * self.luma, "_upright" * self.upright
        sharp = "" if self.sharpened == _UNSHARPENED else f"_sharp{self.sharpened}"
        return f"{self.prefix}{qualities}_{gain}{luma}{sharp}_{self.size_px}_{self.resample}{upright}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels: three per quality, one with `luma`."""
        return self.size_px, self.size_px, len(self.qualities) * (1 if self.luma else 3)

    @classmethod
    def parse(cls, name: str) -> Self:
        """The recipe named so; InvalidConfig shows the accepted form."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidConfig(
                f"recipe {name!r} is not of the form ela1_q<quality>..._<gain<n>|stretch>[_luma][_sharp<n>]_<size>_"
                f"<{'|'.join(_RESAMPLES)}>[_upright], e.g. {_EXAMPLE}"
            )
        qualities, _, gain, luma, sharp, size_px, resample, upright = match.groups()
        return cls(
            qualities=tuple(int(quality) for quality in qualities.split("_q")[1:]),
            gain=int(gain) if gain else None,
            size_px=int(size_px),
            resample=resample,
            luma=luma is not None,
            upright=upright is not None,
            sharpened=int(sharp) if sharp else _UNSHARPENED,
        )

    def compute(self, picture: Image.Image) -> Evidence:
        """Maps of all qualities, one after the other along the channel axis."""
        return np.concatenate([self._map(picture, quality) for quality in self.qualities], axis=2)

    def _map(self, picture: Image.Image, quality: int) -> Evidence:
        difference = error_level(picture, quality)
        if self.luma:
            red, green, blue = difference.split()
            difference = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        amplified = difference.point(self._lookup(difference))
        if self.sharpened != _UNSHARPENED:
            amplified = ImageEnhance.Sharpness(amplified).enhance(self.sharpened / _UNSHARPENED)
        gap = _POOLED_GAP if self.resample == "pooled" else None
        resized = amplified.resize((self.size_px, self.size_px), _RESAMPLES[self.resample], reducing_gap=gap)
        return np.asarray(resized).reshape(self.size_px, self.size_px, -1)

    def _lookup(self, difference: Image.Image) -> list[int]:
        # A flat picture has no difference at all; stretching it would divide by zero.
        gain = self.gain if self.gain is not None else 255 / max(1, int(np.asarray(difference).max()))
        return [min(255, round(level * gain)) for level in range(256)] * len(difference.getbands())


def error_level(picture: Image.Image, quality: int) -> Image.Image:
    """Absolute difference between an RGB picture and its JPEG copy of that quality (4:2:0), same size, mode RGB."""
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=quality, subsampling="4:2:0")
    copy.seek(0)
    return ImageChops.difference(picture, Image.open(copy))
