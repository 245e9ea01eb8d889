"""One file history for both classes of a training set, so that a network cannot learn history instead of edits.

Forged files have been through an editor's save; authentic ones have not, and re-encoding both does not hide it: the
earlier save stays readable as a ghost. Here authentic pictures are first put through saves that forged pictures of the
training part went through, then both classes through one and the same last save.

Which save a picture gets stays as pictures are added, as far as saves stay as common as they were: else evidence that
was computed before could not be used again.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
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


class ForgedSaves:
    """The last saves of the forged pictures of a training part, each as often as it occurs.

    A picture draws one by weighted rendezvous: every save that differs bids a number that depends on save and picture
    alone, exponentially distributed at the rate of its pictures, and the lowest bid wins. Each save is then drawn as
    often as forged pictures have it, and where their frequencies move from p to q, no more than 2 d / (1 + d) of all
    pictures draw another, d being the total variation between p and q: with 1 % more forged pictures 2 % at most.
    """

    def __init__(self, saves: Sequence[Save], counts: Sequence[int]) -> None:
        """Saves that differ, and how many pictures have each."""
        self._saves = list(saves)
        self._counts = np.asarray(counts, np.float64)
        self._numbers = np.asarray([_number(_text(save)) for save in saves], np.uint64)

    @classmethod
    def of(cls, saves: Iterable[Save]) -> Self:
        """Of one save a picture, in any order."""
        found = {}
        counts: Counter[str] = Counter()
        for save in saves:
            found[text := _text(save)] = save
            counts[text] += 1
        return cls(list(found.values()), [counts[text] for text in found])

    def drawn(self, digest: str, label: ClassLabel) -> Save | None:
        """Which save the picture with this digest gets first in `matched`; None for a forged one, and without saves."""
        if label != "authentic" or not self._saves:
            return None
        bids = -np.log(_uniform(self._numbers ^ np.uint64(_number(digest)))) / self._counts
        return self._saves[int(bids.argmin())]


def _text(save: Save) -> str:
    return json.dumps({"tables": dict(sorted(save.tables.items())), "subsampling": save.subsampling})


def _number(text: str) -> int:
    """Of 64 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def _uniform(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers of 64 bits as ones in (0, 1) that look independent: the finaliser of SplitMix64 (Steele et al., 2014)."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def save_text(encoded: bytes) -> str | None:
    """The last save of a file as text, None where it is no JPEG."""
    save = read_save(encoded)
    return None if save is None else _text(save)


class SaveList:
    """Writes `saves.json` of an image set: saves that differ, and how many forged pictures of train have each."""

    def __init__(self, image_set: Path) -> None:
        """Write nothing until the block ends."""
        self._path = image_set / _SAVES_FILE
        self._counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Write with the block's end."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write, unless the block failed."""
        if kind is None:
            rows = ",\n".join(f'{{"count": {count}, "save": {text}}}' for text, count in sorted(self._counts.items()))
            self._path.write_text(f"[{rows}]\n")

    def add(self, text: str | None) -> None:
        """Note the `save_text` of a picture."""
        if text is not None:
            self._counts[text] += 1


def read_forged_saves(image_set: Path) -> ForgedSaves:
    """The saves of the forged pictures of the train split.

    An image set without `saves.json` is read through.
    """
    if not (image_set / _SAVES_FILE).exists():
        read = (read_save(encoded) for row, encoded in read_encoded(image_set, ("train",)) if row.label == "forged")
        return ForgedSaves.of(save for save in read if save is not None)
    rows: list[dict[str, Any]] = json.loads((image_set / _SAVES_FILE).read_bytes())
    saves = [
        Save({int(at): table for at, table in row["save"]["tables"].items()}, row["save"]["subsampling"])
        for row in rows
    ]
    return ForgedSaves(saves, [row["count"] for row in rows])


def saved(picture: Image.Image, **options: object) -> Image.Image:
    """The picture after a save as JPEG with Pillow's options, mode RGB."""
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", **options)
    return Image.open(encoded).convert("RGB")


def resaved(encoded: bytes, first: Save | None, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A copy with the history that both classes share.

    Args:
        encoded: The picture's file.
        first: What `ForgedSaves.drawn` gives it.
        limits: As for `forgery.picture.decode`.

    Returns:
        A JPEG of quality 90 (4:2:0) with the original's EXIF orientation.
    """
    picture = decode(encoded, limits)
    if first is not None:
        picture = first.apply(picture)
    exif = Image.Exif()
    if orientation := Image.open(io.BytesIO(encoded)).getexif().get(_EXIF_ORIENTATION):
        exif[_EXIF_ORIENTATION] = orientation
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=_LAST_QUALITY, subsampling="4:2:0", exif=exif)
    return copy.getvalue()
