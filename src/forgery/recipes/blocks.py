"""Two evidences on one grid of cells: error levels that stand out within the picture, and regions that repeat.

The picture is divided into as many cells whatever its size, and everything is measured at native resolution before it
is pooled. Each error level is standardised within the picture, so what the whole file went through (how often it was
saved, by what program) falls out, and only what sets one place apart from the others is left.
"""

import io
import re
from dataclasses import dataclass
from typing import ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.recipes.base import Evidence, Recipe
from forgery.recipes.selfmatch import self_matches

Floats = NDArray[np.float32]

_NAME = re.compile(r"blocks1((?:_q\d{1,3})+)_(\d{1,3})(_nomatch)?(_upright)?")
# Error levels of the same picture on a grid moved by half a JPEG block: what is left of their content without the
# picture's own grid. Chroma has qualities of its own since it is quantised more.
_MOVED_QUALITIES = (65, 82, 92)
_MOVED_BY_PX = 4
_CHROMA_QUALITIES = (75, 90)
# Mean of differences in grey levels below which rounding decides.
_FLOOR = 0.05
# Codes 0..255 hold +-4 standard deviations.
_CODES_PER_DEVIATION = 32.0


@dataclass(frozen=True)
class BlocksRecipe(Recipe):
    """Error levels at several qualities and self-matches, pooled into cells.

    Channels, in order: luma error level at each quality; the same at 65, 82, 92 on a JPEG grid moved by 4 px; chroma
    error level at 75 and 90; high frequencies (noise and texture); all of these as the logarithm of the cell's mean,
    standardised within the picture, 128 + 32 deviations. Then mean luma, and without `nomatch` the agreement and
    support of self-matches (`forgery.recipes.selfmatch`).

    Attributes:
        qualities: JPEG qualities (1-100) of the luma copies.
        cells: Cells along each side, 8-256, whatever the picture's shape.
        matches: Look for repeated regions.
        upright: Apply the EXIF orientation first.
    """

    prefix: ClassVar[str] = "blocks1"
    dense: ClassVar[bool] = True

    qualities: tuple[int, ...] = (65, 75, 82, 88, 92, 96)
    cells: int = 48
    matches: bool = True
    upright: bool = False

    def __post_init__(self) -> None:
        """Reject values without meaning; InvalidConfig says what is accepted."""
        if not self.qualities or any(not 1 <= quality <= 100 for quality in self.qualities):
            raise InvalidConfig(f"JPEG qualities are 1 to 100; got {self.qualities}")
        if not 8 <= self.cells <= 256:
            raise InvalidConfig(f"cells are 8 to 256 along a side; got {self.cells}")

    @property
    def name(self) -> str:
        """E.g. `blocks1_q65_q75_q82_q88_q92_q96_48`."""
        qualities = "".join(f"_q{quality}" for quality in self.qualities)
        return f"{self.prefix}{qualities}_{self.cells}{'' if self.matches else '_nomatch'}{'_upright' * self.upright}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells, cells, channels."""
        standardised = len(self.qualities) + len(_MOVED_QUALITIES) + len(_CHROMA_QUALITIES) + 1
        return self.cells, self.cells, standardised + 1 + 2 * self.matches

    @classmethod
    def parse(cls, name: str) -> Self:
        """The recipe named so; InvalidConfig shows the accepted form."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidConfig(
                f"recipe {name!r} is not of the form blocks1_q<quality>..._<cells>[_nomatch][_upright], "
                "e.g. blocks1_q65_q75_q82_q88_q92_q96_48"
            )
        qualities, cells, nomatch, upright = match.groups()
        return cls(
            qualities=tuple(int(quality) for quality in qualities.split("_q")[1:]),
            cells=int(cells),
            matches=nomatch is None,
            upright=upright is not None,
        )

    def compute(self, picture: Image.Image) -> Evidence:
        """Maps of all channels, uint8 [cells, cells, channels]."""
        ycc = picture.convert("YCbCr")
        luma = np.asarray(ycc.getchannel(0))
        levels = [self._pooled(_luma_error(luma, quality)) for quality in self.qualities]
        levels += [self._pooled(_moved_error(luma, quality)) for quality in _MOVED_QUALITIES]
        levels += [self._pooled(_chroma_error(ycc, quality)) for quality in _CHROMA_QUALITIES]
        levels.append(self._pooled(_high_frequencies(luma)))
        channels = [_standardised(level) for level in levels] + [self._pooled(luma)]
        if self.matches:
            found = self_matches(luma)
            channels += [255 * self._pooled(found.agreement), 255 * self._pooled(found.support)]
        return np.stack(channels, axis=2).clip(0, 255).round().astype(np.uint8)

    def _pooled(self, values: NDArray[np.uint8] | Floats) -> Floats:
        """Means over the cells, exact also where cells end within pixels."""
        size = self.cells, self.cells
        return np.asarray(cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _standardised(level: Floats) -> Floats:
    logarithm = np.log(level + _FLOOR)
    deviation = float(logarithm.std())
    # A flat picture has no deviation: nothing stands out.
    codes = (logarithm - logarithm.mean()) / max(deviation, 1e-3) * _CODES_PER_DEVIATION + 128
    return np.asarray(codes, np.float32)


def _saved(picture: Image.Image, quality: int) -> Image.Image:
    """The picture's JPEG copy (4:2:0) in the same mode, L or YCbCr, without a way through RGB."""
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=quality, subsampling="4:2:0")
    copy.seek(0)
    read = Image.open(copy)
    read.draft(picture.mode, picture.size)
    return read


def _luma_error(luma: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.absdiff(luma, np.asarray(_saved(Image.fromarray(luma), quality))), np.uint8)


def _moved_error(luma: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """The error level on a moved grid; the border that the move cuts off repeats the first rows and columns."""
    by = min(_MOVED_BY_PX, min(luma.shape) - 1)
    error = _luma_error(np.ascontiguousarray(luma[by:, by:]), quality)
    return np.pad(error, ((by, 0), (by, 0)), mode="edge")


def _chroma_error(ycc: Image.Image, quality: int) -> Floats:
    difference = cv2.absdiff(np.asarray(ycc), np.asarray(_saved(ycc, quality)))
    return np.asarray(difference[:, :, 1] + difference[:, :, 2].astype(np.float32), np.float32)


def _high_frequencies(luma: NDArray[np.uint8]) -> Floats:
    values = luma.astype(np.float32)
    return np.asarray(np.abs(values - cv2.GaussianBlur(values, (0, 0), 1.0)), np.float32)
