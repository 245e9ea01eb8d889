"""What shards of an evidence set hold: a file beside the index, or ranges of packs in a folder or a bucket."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from forgery.errors import SourceError, StorageError
from forgery.evidence_set import StoredMap, checksum
from forgery.places import Place, is_absent

# Two ranges of a pack are one request where less lies between them: about what a request costs in time.
_GAP_BYTES: Final = 1 << 20


class Content(Protocol):
    """The bytes that hold a shard's maps."""

    @property
    def name(self) -> str:
        """Of the shard."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self) -> bytes:
        """All of them; SourceError where they are lost or damaged, StorageError where a bucket does not answer."""


@dataclass(frozen=True)
class ShardFile:
    """A tar file beside the index."""

    path: Path

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name

    @property
    def size(self) -> int:
        """Of the file."""
        return self.path.stat().st_size

    def members(self) -> dict[str, tuple[int, int]]:
        """Offset and size by name; only headers are read. SourceError where it cannot be."""
        try:
            with tarfile.open(self.path, "r:") as archive:
                return {member.name: (member.offset_data, member.size) for member in archive}
        except (OSError, tarfile.TarError) as error:
            raise self._lost() from error

    def read(self) -> bytes:
        """The file."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise self._lost() from error

    def _lost(self) -> SourceError:
        return SourceError(f"shard {self.path} of the evidence set cannot be read: run the ELA step again")


@dataclass(frozen=True)
class PackedShard:
    """Maps of one or more packs, behind each other.

    Attributes:
        name: Of the shard.
        place: Where the packs are.
        where: Its address.
        packs: Their names.
        numbers: Which of them holds each map, int32 [n].
        offsets: Where in it, int64 [n].
        sizes: Bytes, int64 [n].
        checksums: What the PNGs' checksums say as numbers, uint64 [n].
    """

    name: str
    place: Place
    where: str
    packs: Sequence[str]
    numbers: NDArray[np.int32]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    checksums: NDArray[np.uint64]

    @classmethod
    def of(cls, name: str, place: Place, where: str, maps: Sequence[StoredMap]) -> Self:
        """Take what is needed of the maps' places: some 30 bytes each."""
        packs = sorted({each.pack for each in maps})
        return cls(
            name,
            place,
            where,
            packs,
            np.array([packs.index(each.pack) for each in maps], np.int32),
            np.array([each.offset for each in maps], np.int64),
            np.array([each.size for each in maps], np.int64),
            np.array([int(each.checksum, 16) for each in maps], np.uint64),
        )

    @property
    def size(self) -> int:
        """Of its maps."""
        return int(self.sizes.sum())

    def read(self) -> bytes:
        """Its maps in their order, each proven by its checksum; few requests, as packs are in the same order."""
        found: dict[int, bytes] = {}
        for run in self._runs():
            begin, end = self.offsets[run[0]], self.offsets[run[-1]] + self.sizes[run[-1]]
            content = self._range(run[0], int(begin), int(end - begin))
            found |= {at: self._intact(at, content, int(begin)) for at in run}
        return b"".join(found[at] for at in range(len(self.sizes)))

    def _runs(self) -> Iterator[list[int]]:
        """Numbers of the maps that are read together, one after the other in a pack."""
        order = np.lexsort((self.offsets, self.numbers))
        gaps = self.offsets[order[1:]] - (self.offsets + self.sizes)[order[:-1]]
        apart = (np.diff(self.numbers[order]) != 0) | (gaps > _GAP_BYTES)
        for run in np.split(order, np.flatnonzero(apart) + 1):
            yield run.tolist()

    def _range(self, at: int, offset: int, size: int) -> bytes:
        try:
            return self.place.read_range(self.packs[self.numbers[at]], offset, size)
        except StorageError as error:
            if is_absent(error):
                raise self._lost(at, "missing") from error
            raise

    def _intact(self, at: int, content: bytes, begin: int) -> bytes:
        png = content[int(self.offsets[at]) - begin :][: int(self.sizes[at])]
        if int(checksum(png), 16) != self.checksums[at]:
            raise self._lost(at, "damaged")
        return png

    def _lost(self, at: int, how: str) -> SourceError:
        return SourceError(
            f"pack {self.packs[self.numbers[at]]} in {self.where} is {how}, and training needs its maps: remove what "
            "is left of it and start the run again, which computes them anew"
        )
