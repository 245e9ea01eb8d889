"""Packs of maps: written as maps are computed, and merged where additions to a data set have left many small ones."""

import io
import logging
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from forgery.errors import StorageError
from forgery.evidence_cache import EvidenceCache, Key, PackedMap, index_line, pack_of
from forgery.evidence_set import StoredMap, checksum

logger = logging.getLogger(__name__)

# So many small packs in the range of a task, and it makes one of them; small is below this part of a pack.
_MOST_SMALL: Final = 8
_SMALL: Final = 1 / 4
# So many are read side by side when they are merged.
_MOST_OPEN: Final = 64


class PackWriter:
    """Writes maps to a temporary file and sends it when it is full."""

    def __init__(self, cache: EvidenceCache, pack_bytes: int) -> None:
        """Write nothing yet; a pack is full after so many bytes."""
        self._cache = cache
        self._pack_bytes = pack_bytes
        self._file: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None
        self._name = ""
        self._rows = bytearray()  # of the index, as text: the least that a map can cost until then

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
        self._rows += index_line(row)
        return StoredMap(self._name, *row[2:])

    def flush(self) -> bool:
        """Send what was taken since the last time; whether all of that is in the cache now."""
        if self._tar is None or self._file is None:
            return True
        self._tar.close()
        self._file.flush()
        kept = self._cache.keep(self._name, Path(self._file.name), bytes(self._rows))
        self._file.close()
        self._file, self._tar, self._rows = None, None, bytearray()
        return kept


def merge_small(cache: EvidenceCache, first: str, last: str, pack_bytes: int) -> None:
    """Make larger packs of the small ones that begin between the digests `first` and `last`, if there are many.

    A task does so for its own range; a pack that two tasks merge at once costs space alone.
    """
    indexes = cache.begun(first, last)
    if len(indexes) < _MOST_SMALL:
        return
    ends = {index: end for index in indexes if (end := cache.end(index)) and end < _SMALL * pack_bytes}
    if len(ends) < _MOST_SMALL:
        return
    batch: list[str] = []
    for index in ends:
        batch.append(index)
        if len(batch) == _MOST_OPEN or sum(ends[each] for each in batch) >= pack_bytes:
            _merge(cache, batch)
            batch = []
    _merge(cache, batch)
    logger.info("%d small packs of maps were merged", len(ends))


def _merge(cache: EvidenceCache, batch: Sequence[str]) -> None:
    """Make one pack in order of digest, as every pack is, so that a task reads it from begin to end.

    The old indexes go last, and only if the new pack was kept. Maps that are damaged or lost go with them, and are
    computed anew; what could not be read this time keeps its index.
    """
    if len(batch) < 2:
        return
    writer, unread = PackWriter(cache, sys.maxsize), set[str]()
    written: Key | None = None
    for row, index in sorted((row, each) for each in batch for row in _rows(cache, each, unread)):
        if index in unread or written == (row.digest, row.key):
            continue
        try:
            png = cache.intact(StoredMap(pack_of(index), *row[2:]))
        except StorageError as error:
            _leave(index, error, unread)
            continue
        if png is not None:
            writer.add(row.digest, {row.key: png})
            written = row.digest, row.key
    if writer.flush():
        for index in set(batch) - unread:
            cache.forget(index)


def _rows(cache: EvidenceCache, index: str, unread: set[str]) -> list[PackedMap]:
    try:
        return cache.rows(index)
    except StorageError as error:
        _leave(index, error, unread)
        return []


def _leave(index: str, error: StorageError, unread: set[str]) -> None:
    logger.warning("pack %s is not merged: %s", pack_of(index), error)
    unread.add(index)
