"""How pictures are handed on after an edit: cut, resized, saved at this quality or that, or left as they are."""

import hashlib
import io
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from PIL import Image

# What is drawn: what editors, cameras and sites save at, most pictures at their size, half of them off the grid of the
# blocks of the save before.
_QUALITIES: Final = (70, 99)
_SAVED, _RESIZED, _CUT = 0.85, 0.25, 0.5
_SCALES: Final = (0.6, 1.5)
_LARGEST_CUT: Final = 1 / 16
# And what messengers do to many: saved, shrunk and saved again, whole.
_FORWARDED, _SHRUNK = 0.4, 0.7
_SENT_QUALITIES: Final = (65, 93)
_SENT_SCALES: Final = (0.45, 0.8)


@dataclass(frozen=True)
class LastSave:
    """What happens to a picture last.

    Attributes:
        cut_px: Off the left and the top. Unless they are multiples of 8, blocks of this save lie across those before.
        first_quality: JPEG quality (4:2:0) of a save between cut and resizing; None: there was none.
        scale: Of both sides, after the cut.
        quality: JPEG quality 1-100; None: no save at all.
        subsampling: Pillow's number, 0 for 4:4:4 and 2 for 4:2:0.
    """

    cut_px: tuple[int, int] = (0, 0)
    scale: float = 1.0
    quality: int | None = 90
    subsampling: int = 2
    first_quality: int | None = None

    @classmethod
    def drawn(cls, digest: str, size_px: tuple[int, int]) -> Self:
        """One for the picture of that digest and size (width, height), the same each time."""
        random = np.random.default_rng(int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8]))
        if random.random() < _FORWARDED:
            return cls(
                first_quality=int(random.integers(*_SENT_QUALITIES)),
                scale=float(random.uniform(*_SENT_SCALES)) if random.random() < _SHRUNK else 1.0,
                quality=int(random.integers(*_SENT_QUALITIES)),
            )
        cut = [int(random.integers(int(side * _LARGEST_CUT) + 1)) for side in size_px]
        return cls(
            cut_px=(cut[0], cut[1]) if random.random() < _CUT else (0, 0),
            scale=float(random.uniform(*_SCALES)) if random.random() < _RESIZED else 1.0,
            quality=int(random.integers(*_QUALITIES)) if random.random() < _SAVED else None,
            subsampling=int(random.choice((0, 2))),
        )

    def file(self, picture: Image.Image) -> bytes:
        """The picture as it is afterwards: a JPEG, or without a save a BMP, which is lossless and quick."""
        if any(self.cut_px):
            picture = picture.crop((*self.cut_px, *picture.size))
        if self.first_quality is not None:
            picture = Image.open(io.BytesIO(_jpeg(picture, self.first_quality, 2)))
        if self.scale != 1:
            size = (max(1, round(side * self.scale)) for side in picture.size)
            picture = picture.resize(tuple(size), Image.Resampling.LANCZOS)  # type: ignore[arg-type]
        if self.quality is not None:
            return _jpeg(picture, self.quality, self.subsampling)
        picture.save(encoded := io.BytesIO(), "BMP")
        return encoded.getvalue()


def _jpeg(picture: Image.Image, quality: int, subsampling: int) -> bytes:
    picture.save(encoded := io.BytesIO(), "JPEG", quality=quality, subsampling=subsampling)
    return encoded.getvalue()
