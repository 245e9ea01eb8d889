"""The views of `forgery.views` over the folds: saves that a picture is put through come from other folds."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from benchmarks.detection.pictures import SEED, Pictures
from forgery.histories import MATCHED, Save, read_save
from forgery.picture import decode
from forgery.views import HARMONISED, RAW, SHARED, VIEWS, in_view

__all__ = ["HARMONISED", "MATCHED", "RAW", "SHARED", "VIEWS", "Saves", "last_saves", "read_saves", "render"]


@dataclass
class Saves:
    """The last saves of forged pictures by the fold they are tested in."""

    by_fold: dict[int, list[Save]] = field(default_factory=lambda: defaultdict(list))

    def outside(self, fold: int) -> list[Save]:
        """Those of all other folds: what a picture tested in `fold` may be put through."""
        return [save for other, saves in sorted(self.by_fold.items()) for save in saves if other != fold]


def read_saves(pictures: Pictures) -> Saves:
    """Collect them; forged files that are no JPEG leave none."""
    found = Saves()
    for index, encoded in pictures.encoded():
        if pictures.forged[index] and (save := read_save(encoded)):
            found.by_fold[int(pictures.folds[index])].append(save)
    return found


def render(view: str, index: int, encoded: bytes, pictures: Pictures, saves: Saves) -> Image.Image:
    """One picture in one view; what is drawn at random depends on the picture alone."""
    if view == MATCHED:
        return last_saves(view, with_history(index, encoded, pictures, saves))
    return in_view(view, decode(encoded))


def with_history(index: int, encoded: bytes, pictures: Pictures, saves: Saves) -> Image.Image:
    """One picture as `matched` has it before its last save: authentic ones after a save of a forged one."""
    picture = decode(encoded)
    return picture if pictures.forged[index] else first_save(index, pictures, saves).apply(picture)


def first_save(index: int, pictures: Pictures, saves: Saves) -> Save:
    """Which save of a forged picture an authentic one is put through first."""
    choices = saves.outside(int(pictures.folds[index]))
    return choices[np.random.default_rng([SEED, index]).integers(len(choices))]


def last_saves(view: str, picture: Image.Image) -> Image.Image:
    """What a view does to both classes alike."""
    return in_view(view, picture)
