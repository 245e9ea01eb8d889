"""One file history for both classes of a training set, so that a network cannot learn history instead of edits.

Forged files have been through an editor's save; authentic ones have not, and re-encoding both does not hide it: the
earlier save stays readable as a ghost. Here authentic pictures are first put through saves that forged pictures of the
training part went through, then both classes through one and the same last save.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from forgery.dataset.manifest import ClassLabel
from forgery.dataset.shards import read_encoded
from forgery.picture import DEFAULT_LIMITS, Limits, decode
from forgery.variants import MATCHED as MATCHED

_LAST_QUALITY: Final = 90
_SUBSAMPLING: Final = {(1, 1): 0, (2, 1): 1, (2, 2): 2}  # sampling factors of luma to Pillow's numbers
_EXIF_ORIENTATION: Final = 0x0112


@dataclass(frozen=True)
class Save:
    """What a JPEG file says of its last save: quantisation tables by number, and Pillow's number of the subsampling."""

    tables: Mapping[int, list[int]]
    subsampling: int

    def apply(self, picture: Image.Image) -> Image.Image:
        """The picture as it is after such a save, mode RGB."""
        return saved(picture, qtables=dict(self.tables), subsampling=self.subsampling)


def read_save(encoded: bytes) -> Save | None:
    """The last save of a file, None where it is no JPEG."""
    with Image.open(io.BytesIO(encoded)) as image:
        tables, layers = getattr(image, "quantization", None), getattr(image, "layer", None)
    if not tables or not layers:
        return None
    return Save(tables, _SUBSAMPLING.get(tuple(layers[0][1:3]), 0))


def read_forged_saves(image_set: Path) -> list[Save]:
    """The saves of the forged pictures of the train split, one each, in order of digest; none for other formats."""
    found = (read_save(encoded) for row, encoded in read_encoded(image_set, ("train",)) if row.label == "forged")
    return [save for save in found if save is not None]


def saved(picture: Image.Image, **options: object) -> Image.Image:
    """The picture after a save as JPEG with Pillow's options, mode RGB."""
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", **options)
    return Image.open(encoded).convert("RGB")


def matched(
    encoded: bytes, digest: str, label: ClassLabel, saves: Sequence[Save], limits: Limits = DEFAULT_LIMITS
) -> bytes:
    """A copy with the history that both classes share.

    Args:
        encoded: The picture's file.
        digest: Of the picture; decides which save is drawn, so that the same picture gets the same one.
        label: Authentic pictures get the save of a forged one first.
        saves: Of forged pictures; where there is none both classes get the last save alone.
        limits: As for `forgery.picture.decode`.

    Returns:
        A JPEG of quality 90 (4:2:0) with the original's EXIF orientation.
    """
    picture = decode(encoded, limits)
    if label == "authentic" and saves:
        drawn = int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8])
        picture = saves[drawn % len(saves)].apply(picture)
    exif = Image.Exif()
    if orientation := Image.open(io.BytesIO(encoded)).getexif().get(_EXIF_ORIENTATION):
        exif[_EXIF_ORIENTATION] = orientation
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=_LAST_QUALITY, subsampling="4:2:0", exif=exif)
    return copy.getvalue()
