"""The same pictures as they come: raw, or with one history for both classes, so that only the edit can tell them."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from PIL import Image

from benchmarks.detection.pictures import SEED, Pictures
from forgery.histories import MATCHED, Save, read_save, saved
from forgery.picture import decode

RAW, HARMONISED, SHARED = "raw", "harmonised", "shared"
VIEWS: Final = {
    RAW: "the files as they are: mostly file history",
    HARMONISED: "both classes decoded and saved at quality 90: history still readable as ghosts",
    MATCHED: "authentic pictures first through the saves of forged ones, then both harmonised: only the edit differs",
    SHARED: "both at quality 75, halved, quality 85: what survives messengers",
}


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
    picture = decode(encoded)
    if view == MATCHED and not pictures.forged[index]:
        drawn = np.random.default_rng([SEED, index])
        choices = saves.outside(int(pictures.folds[index]))
        picture = choices[drawn.integers(len(choices))].apply(picture)
    return last_saves(view, picture)


def last_saves(view: str, picture: Image.Image) -> Image.Image:
    """What a view does to both classes alike."""
    if view == RAW:
        return picture
    if view != SHARED:
        return saved(picture, quality=90)
    half = max(1, picture.width // 2), max(1, picture.height // 2)
    return saved(saved(picture, quality=75).resize(half, Image.Resampling.LANCZOS), quality=85)
