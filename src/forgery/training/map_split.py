"""Where the maps of a split lie, and which of them each of several workers reads."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgery.dataset.manifest import Split
from forgery.dataset.shards import SHARD_FOLDER
from forgery.errors import InvalidConfig, SourceError
from forgery.evidence import read_evidence_info, read_index, stored_shape
from forgery.evidence_set import read_located
from forgery.places import open_place
from forgery.recipes import parse_recipe
from forgery.training.dense import MADE
from forgery.training.stored import Content, PackedShard, ShardFile
from forgery.variants import PASTED


@dataclass(frozen=True)
class Shard:
    """Bytes that are read together, and where in them the maps of the split lie.

    Attributes:
        content: The bytes.
        offsets: Position of each map's PNG, int64 [n].
        sizes: Length of each in bytes, int64 [n].
        labels: 1 forged, 0 authentic, `MADE` where a forgery was made for training, float32 [n].
    """

    content: Content
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
        """1 forged, 0 authentic, `MADE` for made ones, float32 [n], in the order of `batches` without shuffling."""
        empty = np.empty(0, np.float32)
        return np.concatenate([empty, *(shard.labels for shard in self.shards)])

    @property
    def map_bytes(self) -> int:
        """Size of all maps decoded."""
        return len(self.labels) * int(np.prod(self.shape))


@dataclass(frozen=True, order=True)
class Piece:
    """A shard, or a part of one that is larger than a worker's share; each class is in every part alike.

    Attributes:
        shard: Its name.
        first: The piece's number among those of the shard.
        of: How many they are.
    """

    shard: str
    first: int = 0
    of: int = 1

    def maps_of(self, maps: int) -> int:
        """How many of the shard's maps are the piece's."""
        return len(range(self.first, maps, self.of))

    def positions(self, labels: NDArray[np.float32]) -> NDArray[np.intp]:
        """Which of the shard's maps are the piece's, in their order, by their labels."""
        return np.sort(np.argsort(labels, kind="stable")[self.first :: self.of])


def open_split(evidence_set: Path, split: Split, worker: int = 0, workers: int = 1) -> MapSplit:
    """Find the maps of a split; reads the index, and of files the tar headers, alone.

    Args:
        evidence_set: From the ELA step; the shards of other workers may be absent.
        split: Which.
        worker: Which of `workers` reads; see `deal`.
        workers: How many there are.

    Raises:
        InvalidConfig: There are fewer maps than workers.
        SourceError: A shard or a member that the index names is missing.
    """
    info = read_evidence_info(evidence_set)
    recipe = parse_recipe(info.recipe)
    maps, forged = Counter[str](), 0
    for row in read_index(evidence_set, split):
        maps[row.shard] += 1
        forged += row.label == "forged"
    hands = deal(maps, workers)
    if workers > 1 and not all(hands):
        raise InvalidConfig(f"workers is {workers}, and the {split} split has {maps.total()} maps: set it lower")
    return MapSplit(
        shape=stored_shape(recipe) if info.masks else recipe.shape,
        shards=tuple(sorted(_shards_of(evidence_set, split, hands[worker]), key=lambda shard: shard.content.name)),
        masks=info.masks,
        counts=(maps.total() - forged, forged),
        most=max(sum(piece.maps_of(maps[piece.shard]) for piece in hand) for hand in hands),
    )


def _shards_of(evidence_set: Path, split: Split, pieces: Sequence[Piece]) -> Iterator[Shard]:
    """Members' names are held for one shard at a time: those of a million maps take more than what is kept of them."""
    where = read_evidence_info(evidence_set).place
    place = open_place(where) if where else None
    for name, found in groupby(read_located(evidence_set, split), key=lambda each: each[0].shard):
        own = [piece for piece in pieces if piece.shard == name]
        if not own:
            continue
        rows, maps = zip(*found, strict=True)
        labels = np.array([MADE if row.variant == PASTED else row.label == "forged" for row in rows], np.float32)
        for piece in own:
            taken = piece.positions(labels)
            if place is None:
                members = [rows[at].member for at in taken]
                yield _in_file(ShardFile(evidence_set / SHARD_FOLDER / name), members, labels[taken])
            else:
                yield _in_packs(PackedShard.of(name, place, where, [maps[at] for at in taken]), labels[taken])


def _in_file(file: ShardFile, members: list[str], labels: NDArray[np.float32]) -> Shard:
    found = file.members()
    if lost := [member for member in members if member not in found]:
        raise SourceError(f"shard {file.path} of the evidence set lacks {min(lost)}: run the ELA step again")
    offsets, sizes = np.array([found[member] for member in members], np.int64).T
    return Shard(file, offsets, sizes, labels)


def _in_packs(packed: PackedShard, labels: NDArray[np.float32]) -> Shard:
    return Shard(packed, np.cumsum(packed.sizes) - packed.sizes, packed.sizes, labels)


def deal(shards: Mapping[str, int], workers: int) -> list[list[Piece]]:
    """What each worker reads, the same each time: about as many maps, the largest first, to who has the least.

    Whole shards, so that each worker fetches its own alone. One with more maps than a worker's share of all is cut into
    equal pieces, and several workers fetch it.

    Args:
        shards: Maps of each shard by its name.
        workers: How many; with fewer maps some get none.
    """
    total = sum(shards.values())
    pieces = {}
    for name, maps in shards.items():
        cuts = min(maps, -(-maps * workers // total))
        pieces.update({piece: piece.maps_of(maps) for piece in (Piece(name, at, cuts) for at in range(cuts))})
    hands: list[list[Piece]] = [[] for _ in range(workers)]
    for piece in sorted(pieces, key=lambda piece: (-pieces[piece], piece)):
        min(hands, key=lambda hand: sum(pieces[each] for each in hand)).append(piece)
    return [sorted(hand) for hand in hands]
