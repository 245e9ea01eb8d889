"""The pictures of the protocol: ingested once, parted into folds by source group."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import SPLITS, Picture, read_pictures
from forgery.dataset.shards import read_encoded, read_masks

logger = logging.getLogger(__name__)

FOLDS = 5
SEED = 0


@dataclass(frozen=True)
class Pictures:
    """All pictures of an image set in order of digest, with the fold each is tested in.

    Attributes:
        image_set: Where the files lie.
        rows: The manifest.
        forged: Truth, bool [n].
        copy_moves: Forged from its own content, bool [n]; the other forged ones are splices.
        groups: Source group of each, str [n].
        folds: 0..4, int [n].
    """

    image_set: Path
    rows: list[Picture]
    forged: NDArray[np.bool_]
    copy_moves: NDArray[np.bool_]
    groups: NDArray[np.str_]
    folds: NDArray[np.int64]

    def encoded(self) -> Iterator[tuple[int, bytes]]:
        """Index and file of each picture, in the order they are stored."""
        index = {row.digest: position for position, row in enumerate(self.rows)}
        for row, encoded in read_encoded(self.image_set, SPLITS):
            yield index[row.digest], encoded

    def masks(self) -> Iterator[tuple[int, bytes]]:
        """Index and mask (PNG, 255 where forged) of each forged picture that has one."""
        index = {row.digest: position for position, row in enumerate(self.rows)}
        for row, mask in read_masks(self.image_set, SPLITS):
            if mask is not None:
                yield index[row.digest], mask

    def of_fold(self, fold: int) -> NDArray[np.intp]:
        """Indices of the pictures tested in a fold, ascending."""
        return np.flatnonzero(self.folds == fold)

    def parts(self, fold: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Indices for training, validation and test: the fold is tested, the next one validates."""
        validation = self.folds == (fold + 1) % FOLDS
        test = self.folds == fold
        return np.flatnonzero(~validation & ~test), np.flatnonzero(validation), np.flatnonzero(test)


def read(source: str, image_set: Path) -> Pictures:
    """Ingest the source unless that was done, and part it; the same source gives the same folds."""
    if not image_set.exists():
        ingest(source, image_set, DataOptions(), SEED)
    rows = sorted(read_pictures(image_set), key=lambda row: row.digest)
    forged = np.array([row.label == "forged" for row in rows])
    groups = np.array([row.group for row in rows])
    folds = np.zeros(len(rows), np.int64)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for fold, (_, tested) in enumerate(splitter.split(forged, forged, groups)):
        folds[tested] = fold
    copy_moves = np.array([row.manipulation == "copy-move" for row in rows])
    logger.info("%d pictures, %d forged, %d groups", len(rows), forged.sum(), len(set(groups)))
    return Pictures(image_set, rows, forged, copy_moves, groups, folds)
