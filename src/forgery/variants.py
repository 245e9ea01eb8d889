"""Copies of training pictures as the world hands pictures on: saved again, resized, or both, before any evidence."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from PIL import Image

from forgery.errors import InvalidConfig
from forgery.picture import DEFAULT_LIMITS, Limits, decode

ORIGINAL: Final = "original"
MATCHED: Final = "matched"  # no copy of its own: `forgery.histories` changes what copies are made from
VARIED: Final = "varied"  # each picture handed on in another way: `forgery.last_saves`
PASTED: Final = "pasted"  # of forged pictures alone, what was forged on another background: `forgery.pasting`
_NAME: Final = re.compile(r"(?:x([1-9]\d{0,2}))?(?:q([1-9]\d{0,2}))?")
_ACCEPTED: Final = "q<quality 1-100>, x<percent 10-200>, or both, e.g. q85, x50, x50q85; varied, pasted or matched"


@dataclass(frozen=True)
class Variant:
    """One kind of copy.

    Attributes:
        percent: Size of the copy in percent of each side, 10-200; 100 keeps it.
        quality: JPEG quality 1-100 the copy is saved at (4:2:0); None hands it on without loss.
    """

    percent: int = 100
    quality: int | None = None

    @property
    def name(self) -> str:
        """Canonical form, e.g. `x50q85`."""
        return f"x{self.percent}" * (self.percent != 100) + (f"q{self.quality}" if self.quality else "")

    @classmethod
    def parse(cls, name: str) -> Self:
        """The variant of that name.

        Raises:
            InvalidConfig: It is of no known form, or out of range.
        """
        match = _NAME.fullmatch(name)
        percent, quality = (int(part) if part else None for part in match.groups()) if match else (None, None)
        # x100 alone would be the picture itself, which is always among the maps.
        if (percent is None and quality is None) or percent == 100:
            raise InvalidConfig(f"variant {name!r} is none; accepted are {_ACCEPTED}")
        if not (10 <= (percent or 100) <= 200 and 1 <= (quality or 1) <= 100):
            raise InvalidConfig(f"variant {name!r} is out of range; accepted are {_ACCEPTED}")
        return cls(percent or 100, quality)

    def copy(self, encoded: bytes, limits: Limits = DEFAULT_LIMITS, upright: bool = False) -> bytes:
        """The copy as a file: JPEG with a quality, else BMP, which is lossless and quick.

        Args:
            encoded: The original file.
            limits: As for `forgery.picture.decode`.
            upright: Apply the EXIF orientation, which the copy does not carry.
        """
        picture = decode(encoded, limits, upright)
        if self.percent != 100:
            size = max(1, round(picture.width * self.percent / 100)), max(1, round(picture.height * self.percent / 100))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        copy = io.BytesIO()
        if self.quality is None:
            picture.save(copy, "BMP")
        else:
            picture.save(copy, "JPEG", quality=self.quality, subsampling="4:2:0")
        return copy.getvalue()


class Varied:
    """A copy that is handed on in a way drawn from its picture's digest: cut, resized, saved at some quality or not.

    Where pictures have one file history it takes the place of their last save.
    """

    name: Final = VARIED


class Pasted:
    """What was forged in a picture, pasted into an authentic one; of forged pictures with a mask alone."""

    name: Final = PASTED


Copy = Variant | Varied | Pasted
_DRAWN: Final[dict[str, Copy]] = {VARIED: Varied(), PASTED: Pasted()}


def parse_variants(names: Sequence[str]) -> tuple[Copy, ...]:
    """The variants of these names, in their order.

    Raises:
        InvalidConfig: A name is of no known form or stands twice.
    """
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise InvalidConfig(f"variant {repeated!r} stands twice; name each once")
    return tuple(_DRAWN[name] if name in _DRAWN else Variant.parse(name) for name in names)
