"""One file history for both classes of a training set, so that a network cannot learn history instead of edits.

Forged files have been through an editor's save; authentic ones have not, and re-encoding both does not hide it: the
earlier save stays readable as a ghost. Here authentic pictures are first put through saves that forged pictures of the
training part went through, then both classes through one and the same last save.
"""

import hashlib
import io
import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from PIL import Image

from forgery.dataset.manifest import ClassLabel
from forgery.dataset.shards import read_encoded
from forgery.picture import DEFAULT_LIMITS, Limits, decode
from forgery.variants import MATCHED as MATCHED

_LAST_QUALITY: Final = 90
_SUBSAMPLING: Final = {(1, 1): 0, (2, 1): 1, (2, 2): 2}  # sampling factors of luma to Pillow's numbers
_SAVES_FILE: Final = "saves.json"
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


class SaveList:
    """Writes `saves.json` of an image set: saves that differ, and which of them each forged picture of train has."""

    def __init__(self, image_set: Path) -> None:
        """Write nothing until the block ends."""
        self._path = image_set / _SAVES_FILE
        self._numbers: dict[str, int] = {}
        self._drawn = array("L")

    def __enter__(self) -> Self:
        """Write with the block's end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write, unless the block failed."""
        if kind is None:
            saves = ", ".join(self._numbers)
            self._path.write_text(f'{{"saves": [{saves}], "drawn": {list(self._drawn)}}}\n')

    def add(self, encoded: bytes) -> None:
        """Note the save of the next picture, in order of digest; other formats than JPEG have none."""
        if (save := read_save(encoded)) is not None:
            text = json.dumps({"tables": save.tables, "subsampling": save.subsampling})
            self._drawn.append(self._numbers.setdefault(text, len(self._numbers)))


def read_forged_saves(image_set: Path) -> list[Save]:
    """The saves of the forged pictures of the train split, one each, in order of digest; none for other formats.

    Few of them differ, and those that do not are one object. An image set without `saves.json` is read through.
    """
    if not (image_set / _SAVES_FILE).exists():
        read = (read_save(encoded) for row, encoded in read_encoded(image_set, ("train",)) if row.label == "forged")
        return [save for save in read if save is not None]
    found = json.loads((image_set / _SAVES_FILE).read_bytes())
    saves = [
        Save({int(at): table for at, table in each["tables"].items()}, each["subsampling"]) for each in found["saves"]
    ]
    return [saves[number] for number in found["drawn"]]


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
    return resaved(encoded, drawn_save(digest, label, saves), limits)


def drawn_save(digest: str, label: ClassLabel, saves: Sequence[Save]) -> Save | None:
    """Which of the saves a picture gets first in `matched`; None for a forged one."""
    if label != "authentic" or not saves:
        return None
    return saves[int.from_bytes(hashlib.sha256(digest.encode()).digest()[:8]) % len(saves)]


def resaved(encoded: bytes, first: Save | None, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The copy that `matched` makes, the save it draws given."""
    picture = decode(encoded, limits)
    if first is not None:
        picture = first.apply(picture)
    exif = Image.Exif()
    if orientation := Image.open(io.BytesIO(encoded)).getexif().get(_EXIF_ORIENTATION):
        exif[_EXIF_ORIENTATION] = orientation
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=_LAST_QUALITY, subsampling="4:2:0", exif=exif)
    return copy.getvalue()
