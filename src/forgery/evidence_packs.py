"""Packs of maps: written as maps are computed, and merged where additions to a data set have left many small ones."""

import io
import logging
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Final

from forgery.evidence_cache import EvidenceCache, PackedMap, pack_of
from forgery.evidence_set import StoredMap, checksum

logger = logging.getLogger(__name__)

# So many small packs in the range of a task, and it makes one of them; small is below this part of a pack.
_MOST_SMALL: Final = 8
_SMALL: Final = 1 / 4


class PackWriter:
    """Writes maps to a temporary file and sends it when it is full."""

    def __init__(self, cache: EvidenceCache, pack_bytes: int) -> None:
        """Write nothing yet; a pack is full after so many bytes."""
        self._cache = cache
        self._pack_bytes = pack_bytes
        self._file: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None
        self._name = ""
        self._rows: list[PackedMap] = []

    def add(self, digest: str, maps: Mapping[str, bytes]) -> dict[str, StoredMap]:
        """Take the maps of one picture by the rest of their keys; returns where they will lie, {} without a cache."""
        if not self._cache.used:
            return {}
        if self._tar is not None and self._tar.offset >= self._pack_bytes:
            self.flush()
        return {key: self._write(digest, key, png) for key, png in maps.items()}

    def _write(self, digest: str, key: str, png: bytes) -> StoredMap:
        if self._tar is None:
            self._name = f"{uuid.uuid4().hex}.tar"
            self._file = tempfile.NamedTemporaryFile(prefix="forgery-pack-", suffix=".tar")  # noqa: SIM115  - flush
            self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        info = tarfile.TarInfo(f"{digest}.{key}.png")
        info.size = len(png)
        row = PackedMap(digest, key, self._tar.offset + tarfile.BLOCKSIZE, len(png), checksum(png))
        self._tar.addfile(info, io.BytesIO(png))
        self._tar.members.clear()  # type: ignore[attr-defined]  # else it keeps a record of each
        self._rows.append(row)
        return StoredMap(self._name, *row[2:])

    def flush(self) -> None:
        """Send what was taken since the last time."""
        if self._tar is None or self._file is None:
            return
        self._tar.close()
        self._file.flush()
        self._cache.keep(self._name, Path(self._file.name), self._rows)
        self._file.close()
        self._file, self._tar, self._rows = None, None, []


def merge_small(cache: EvidenceCache, first: str, last: str, pack_bytes: int) -> None:
    """Make larger packs of the small ones that begin between the digests `first` and `last`, if there are many.

    A task does so for its own range; a pack that two tasks merge at once costs space alone.
    """
    overlapping = cache.indexes(first, last)
    small = {
        index: rows
        for index, rows in overlapping.items()
        if first <= min(row.digest for row in rows) and _end(rows) < _SMALL * pack_bytes
    }
    if len(small) < _MOST_SMALL:
        return
    batch: dict[str, list[PackedMap]] = {}
    for index, rows in small.items():
        batch[index] = rows
        if sum(map(_end, batch.values())) >= pack_bytes:
            _merge(cache, batch)
            batch = {}
    _merge(cache, batch)
    logger.info("%d small packs of maps were merged", len(small))


def _merge(cache: EvidenceCache, batch: Mapping[str, list[PackedMap]]) -> None:
    """In order of digest, as every pack, so that a task reads it from begin to end; the old indexes go last."""
    if len(batch) < 2:
        return
    maps = {}
    for index, rows in batch.items():
        content = cache.read_pack(pack_of(index))
        for row in rows:
            png = content[row.offset : row.offset + row.size]
            if checksum(png) == row.checksum:
                maps[row.digest, row.key] = png
    writer = PackWriter(cache, sys.maxsize)
    for (digest, key), png in sorted(maps.items()):
        writer.add(digest, {key: png})
    writer.flush()
    for index in batch:
        cache.forget(index)


def _end(rows: Iterable[PackedMap]) -> int:
    return max(row.offset + row.size for row in rows)
