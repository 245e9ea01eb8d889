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


@dataclass(frozen=True)
class LastSave:
    """What happens to a picture last.

    Attributes:
        cut_px: Off the left and the top. Unless they are multiples of 8, blocks of this save lie across those before.
        scale: Of both sides, after the cut.
        quality: JPEG quality 1-100; None: no save at all.
        subsampling: Pillow's number, 0 for 4:4:4 and 2 for 4:2:0.
    """

    cut_px: tuple[int, int] = (0, 0)
    scale: float = 1.0
    quality: int | None = 90
    subsampling: int = 2

    @classmethod
    def drawn(cls, digest: str, size_px: tuple[int, int]) -> Self:
        """One for the picture of that digest and size (width, height), the same each time."""
        random = np.random.default_rng(int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8]))
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
        if self.scale != 1:
            size = (max(1, round(side * self.scale)) for side in picture.size)
            picture = picture.resize(tuple(size), Image.Resampling.LANCZOS)  # type: ignore[arg-type]
        encoded = io.BytesIO()
        if self.quality is None:
            picture.save(encoded, "BMP")
        else:
            picture.save(encoded, "JPEG", quality=self.quality, subsampling=self.subsampling)
        return encoded.getvalue()
