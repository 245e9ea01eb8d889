"""Where the maps of a split lie, and which of them each of several workers reads."""

import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgery.dataset.manifest import Split
from forgery.errors import SourceError
from forgery.evidence import read_evidence_info, read_index, stored_shape
from forgery.recipes import parse_recipe


@dataclass(frozen=True)
class Shard:
    """One tar file and where in it the maps of the split lie.

    Attributes:
        path: The file.
        offsets: Position of each member's bytes, int64 [n].
        sizes: Length of each member in bytes, int64 [n].
        labels: 1 forged, 0 authentic, float32 [n].
    """

    path: Path
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.float32]


@dataclass(frozen=True)
class MapSplit:
    """The maps of one split of an evidence set, or those that one of several workers reads.

    Attributes:
        shape: Height, width and channels of what is stored.
        shards: Where.
        masks: The last channel is not evidence but the mask (`forgery.evidence.mask_channel`).
        counts: Authentic and forged maps of the whole split.
        most: Maps of the worker that has the most.
    """

    shape: tuple[int, int, int]
    shards: tuple[Shard, ...]
    masks: bool
    counts: tuple[int, int]
    most: int

    @cached_property
    def labels(self) -> NDArray[np.float32]:
        """1 forged, 0 authentic, float32 [n], in the order of `batches` without shuffling."""
        empty = np.empty(0, np.float32)
        return np.concatenate([empty, *(shard.labels for shard in self.shards)])

    @property
    def map_bytes(self) -> int:
        """Size of all maps decoded."""
        return len(self.labels) * int(np.prod(self.shape))


def open_split(evidence_set: Path, split: Split, worker: int = 0, workers: int = 1) -> MapSplit:
    """Find the maps of a split; reads the index and the tar headers alone.

    Args:
        evidence_set: From the ELA step; the shards of other workers may be absent.
        split: Which.
        worker: Which of `workers` reads; whole shards are dealt to them, the same ones each time.
        workers: How many there are.

    Raises:
        SourceError: A shard or a member that the index names is missing.
    """
    info = read_evidence_info(evidence_set)
    recipe = parse_recipe(info.recipe)
    maps, forged = Counter[str](), 0
    for row in read_index(evidence_set, split):
        maps[row.shard] += 1
        forged += row.label == "forged"
    hands = deal(maps, workers)
    return MapSplit(
        shape=stored_shape(recipe) if info.masks else recipe.shape,
        shards=tuple(sorted(_open_shards_of(evidence_set, split, set(hands[worker])), key=lambda shard: shard.path)),
        masks=info.masks,
        counts=(maps.total() - forged, forged),
        most=max(sum(maps[name] for name in hand) for hand in hands),
    )


def _open_shards_of(evidence_set: Path, split: Split, names: set[str]) -> Iterator[Shard]:
    """Members' names are held for one shard at a time: those of a million maps take more than what is kept of them."""
    for name, rows in groupby(read_index(evidence_set, split), key=lambda row: row.shard):
        if name in names:
            yield _open_shard(
                evidence_set / "shards" / name, {row.member: float(row.label == "forged") for row in rows}
            )


def deal(shards: Mapping[str, int], workers: int) -> list[list[str]]:
    """Names of shards for each worker, so that all have about as many maps: the largest first, to who has the least.

    Args:
        shards: Maps of each shard by its name.
        workers: How many; with fewer shards some get none.
    """
    hands: list[list[str]] = [[] for _ in range(workers)]
    for name in sorted(shards, key=lambda name: (-shards[name], name)):
        min(hands, key=lambda hand: sum(shards[each] for each in hand)).append(name)
    return [sorted(hand) for hand in hands]


def _open_shard(path: Path, labels: dict[str, float]) -> Shard:
    try:
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive if member.name in labels]
    except (OSError, tarfile.TarError) as error:
        raise SourceError(f"shard {path} of the evidence set cannot be read: run the ELA step again") from error
    if len(members) != len(labels):
        lost = min(labels.keys() - {member.name for member in members})
        raise SourceError(f"shard {path} of the evidence set lacks {lost}: run the ELA step again")
    return Shard(
        path,
        np.array([member.offset_data for member in members], np.int64),
        np.array([member.size for member in members], np.int64),
        np.array([labels[member.name] for member in members], np.float32),
    )
