"""Writes an evidence set, or a part of one: the index, and the maps or the places where they lie."""

import contextlib
import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from forgery.dataset.manifest import Picture, Split
from forgery.dataset.shards import MEGABYTE, ShardWriter
from forgery.evidence_maps import KnownMap
from forgery.evidence_set import EVIDENCE_SPLITS, INDEX_FILE, PLACES_FILE, EvidenceRow

_DIGEST_BITS: Final = 256


class _Maps(Protocol):
    """Where maps go; returns the shard each belongs to."""

    def add(self, split: Split, member: str, made: KnownMap) -> str: ...


class _Shards:
    """Into shards beside the index."""

    def __init__(self, folder: Path, stems: dict[Split, str], shard_mb: int, stack: contextlib.ExitStack) -> None:
        self._writers = {
            split: stack.enter_context(ShardWriter(folder, stem, shard_mb)) for split, stem in stems.items()
        }

    def add(self, split: Split, member: str, made: KnownMap) -> str:
        return self._writers[split].add([(member, made.png)])


class _Places:
    """They lie in packs already; groups of neighbours are what shards would be."""

    def __init__(self, folder: Path, stems: dict[Split, str], shard_mb: int, stack: contextlib.ExitStack) -> None:
        self._stems = stems
        self._most = shard_mb * MEGABYTE
        self._filled: dict[Split, tuple[int, int]] = dict.fromkeys(stems, (0, 0))  # number and bytes of the last
        self._places = stack.enter_context((folder / PLACES_FILE).open("w"))

    def add(self, split: Split, member: str, made: KnownMap) -> str:
        self._places.write(json.dumps(made.stored) + "\n")
        number, filled = self._filled[split]
        if filled >= self._most:
            number, filled = number + 1, 0
        self._filled[split] = number, filled + made.stored.size
        return f"{self._stems[split]}-{number:05d}.tar"


class EvidenceWriter:
    """Takes maps in order; counts them and sums up their digest."""

    def __init__(self, folder: Path, part: str, shard_mb: int, in_packs: bool) -> None:
        """Write to an empty folder.

        Args:
            folder: Exists.
            part: Its number begins the shards' names, after the split.
            shard_mb: Size of a shard in megabytes.
            in_packs: Leave maps where they lie, and write down where.
        """
        self._stack = contextlib.ExitStack()
        self._index = self._stack.enter_context((folder / INDEX_FILE).open("w"))
        stems = {split: f"{split}-{part.partition('-')[0]}" for split in EVIDENCE_SPLITS}
        kind = _Places if in_packs else _Shards
        self._maps: _Maps = kind(folder, stems, shard_mb, self._stack)
        self._counts = {split: {"authentic": 0, "forged": 0} for split in EVIDENCE_SPLITS}
        self._sum = self._reused = 0

    def __enter__(self) -> Self:
        """Close with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the last shard."""
        self._stack.close()

    def add(self, picture: Picture, variant: str, made: KnownMap, reused: bool) -> None:
        """Write the next map, which was computed now or before."""
        member = f"{picture.digest}.{variant}.png"
        row = EvidenceRow(
            digest=picture.digest,
            variant=variant,
            label=picture.label,
            group=picture.group,
            split=picture.split,
            shard=self._maps.add(picture.split, member, made),
            member=member,
        )
        self._index.write(row.model_dump_json() + "\n")
        self._counts[picture.split][picture.label] += 1
        self._reused += reused
        self._sum += int.from_bytes(hashlib.sha256(f"{member} {made.stored.checksum}".encode()).digest())

    def summary(self, map_bytes: int) -> dict[str, Any]:
        """Fields of `EvidenceInfo`; a map decoded has so many bytes."""
        maps = sum(sum(labels.values()) for labels in self._counts.values())
        return {
            "counts": self._counts,
            "maps": maps,
            "map_bytes": maps * map_bytes,
            "reused": self._reused,
            "digest": f"{self._sum % 2**_DIGEST_BITS:064x}",
        }
