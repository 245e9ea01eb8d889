"""Maps that were computed before, kept in a folder or a bucket as packs: what is there already is not computed again.

<cache>/evidence/<recipe>/<code>/<pack>.tar
                                 <first>-<last>-<pack>.jsonl

A map is known by the picture's digest and by all that changes its pixels. A pack's index, written after it, says in a
row a map what it holds, and in its name the range of digests: so any cut of any image set finds its maps by a listing
and some indexes, without reading a map. Packs are never changed or removed, since evidence sets refer to them; small
ones are merged into larger ones, and lose their index alone. `code` is a digest of the code that makes maps and of the
libraries it stands on, so that no change of either needs a version to be remembered.
"""

import hashlib
import heapq
import importlib.metadata
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, Final, NamedTuple, TypeVar

from forgery.errors import SourceError, StorageError
from forgery.evidence_set import StoredMap, checksum
from forgery.places import Place, is_absent, open_place
from forgery.recipes import Recipe

logger = logging.getLogger(__name__)

KEY_DIGITS: Final = 16
_PIXEL_CODE: Final = (
    "recipes/*.py",
    "picture.py",
    "variants.py",
    "histories.py",
    "last_saves.py",
    "pasting.py",
    "evidence_maps.py",
    "evidence_set.py",
    "jpeg.py",
)
_PIXEL_LIBRARIES: Final = ("numpy", "pillow", "opencv-python-headless")
# An index that goes while it is asked for was merged by another task: the next listing has what it was merged into.
_LISTINGS: Final = 3

Result = TypeVar("Result")
Key = tuple[str, str]  # the picture's digest, and what else the map depends on

# As rows are written: in order of digest, a line each.
_ROW: Final = re.compile(rb'\["[0-9a-f]{64}", "[0-9a-f]+", \d+, \d+, "[0-9a-f]+"\]\n')
_DIGEST: Final = slice(2, 66)


class PackedMap(NamedTuple):
    """A row of a pack's index."""

    digest: str
    key: str
    offset: int
    size: int
    checksum: str


@cache
def code_digest() -> str:
    """Of the code and the libraries that decide a map's pixels."""
    here = Path(__file__).parent
    content = hashlib.sha256()
    for path in sorted(path for pattern in _PIXEL_CODE for path in here.glob(pattern)):
        content.update(path.read_bytes())
    content.update(repr([importlib.metadata.version(name) for name in _PIXEL_LIBRARIES]).encode())
    return content.hexdigest()[:KEY_DIGITS]


class EvidenceCache:
    """The packs of one recipe; where they cannot be read or written, that costs a warning and the time to compute."""

    def __init__(self, where: str, recipe: Recipe, required: bool = False) -> None:
        """Nothing is read yet.

        Args:
            where: s3://bucket/prefix or file://PATH; empty for none.
            recipe: Of the maps.
            required: Raise StorageError instead of a warning: maps lie nowhere else.

        Raises:
            InvalidConfig: `where` is of another form.
        """
        self.where = f"{where.rstrip('/')}/evidence/{recipe.name}/{code_digest()}" if where else ""
        self._required = required
        self._warned = False
        self._open: dict[str, IO[bytes]] = {}
        self._place: Place | None = None
        if where:
            self._place = self._tried(lambda: open_place(self.where), None)

    @property
    def used(self) -> bool:
        """Whether there is a place to keep anything in."""
        return self._place is not None

    def find(self, first: str, last: str) -> "FoundMaps":
        """Where the maps of pictures with digests from `first` to `last` lie."""
        self._open.clear()
        packs: dict[str, bytes] = self._tried(lambda: self._found(first, last), {})
        return FoundMaps(heapq.merge(*(_lines(pack, content) for pack, content in packs.items())))

    def _found(self, first: str, last: str) -> dict[str, bytes]:
        """Of each pack's index what is asked for; no more than one is in memory whole."""
        for _ in range(_LISTINGS):
            found = {}
            indexes = [index for index in self._listed() if _overlaps(index, first, last)]
            for index in indexes:
                if (content := self._read(index)) is not None:
                    found[pack_of(index)] = self._between(index, content, first.encode(), last.encode())
            if len(found) == len(indexes):
                break
        return found

    def _between(self, index: str, content: bytes, first: bytes, last: bytes) -> bytes:
        self._require_rows(index, content)
        return b"".join(line for line in io.BytesIO(content) if first <= line[_DIGEST] <= last)

    def begun(self, first: str, last: str) -> list[str]:
        """Names of the indexes of packs that begin with a digest from `first` to `last`; none of them is read."""
        low, high = first[:KEY_DIGITS], last[:KEY_DIGITS]
        listed: list[str] = self._tried(self._listed, [])
        return [index for index in listed if low <= index.partition("-")[0] <= high]

    def end(self, index: str) -> int | None:
        """The size of a pack, about, by the last row of its index; None where that is gone."""

        def last_end() -> int | None:
            content = self._read(index) or b""
            self._require_rows(index, content)
            last = _last_line(content)
            return _parsed(last).offset + _parsed(last).size if last else None

        return self._tried(last_end, None)

    def rows(self, index: str) -> list[PackedMap]:
        """All that a pack holds; nothing where its index is gone. StorageError where it cannot be told."""
        content = self._read(index) or b""
        self._require_rows(index, content)
        return list(map(_parsed, io.BytesIO(content)))

    def read(self, stored: StoredMap) -> bytes | None:
        """A map's PNG; None, with a warning, where it is damaged or lost. Best asked for in order of digest."""

        def png() -> bytes:
            if (found := self.intact(stored)) is None:
                raise StorageError(f"pack {stored.pack} in {self.where} is damaged or lost")
            return found

        return self._tried(png, None)

    def intact(self, stored: StoredMap) -> bytes | None:
        """A map's PNG; None where it is damaged or lost for good. StorageError where it cannot be told, for now."""
        try:
            pack = self._open.get(stored.pack) or self._open.setdefault(stored.pack, self._stream(stored.pack))
            pack.seek(stored.offset)
            found = pack.read(stored.size)
        except SourceError:  # an object that is not in its bucket
            return None
        except StorageError as error:
            if is_absent(error):
                return None
            raise
        return found if checksum(found) == stored.checksum else None

    def keep(self, name: str, pack: Path, rows: bytes) -> bool:
        """Send a pack and then its index, the lines `rows` in order of digest; whether both are there now."""
        begin, end = (row[_DIGEST][:KEY_DIGITS].decode() for row in (rows, _last_line(rows)))
        index = f"{begin}-{end}-{name.removesuffix('.tar')}.jsonl"

        def send() -> bool:
            if self._place is None:
                return False
            self._place.put(name, pack)
            self._place.write(index, rows)
            return True

        return self._tried(send, False)

    def forget(self, index: str) -> None:
        """Remove the index of a pack that was merged; evidence sets may still refer to the pack."""
        self._tried(lambda: self._place.remove(index) if self._place else None, None)

    def _stream(self, pack: str) -> IO[bytes]:
        return self._place.open(pack) if self._place else io.BytesIO()

    def _read(self, name: str) -> bytes | None:
        return self._place.read(name) if self._place else None

    def _require_rows(self, index: str, content: bytes) -> None:
        if not all(_ROW.fullmatch(line) for line in io.BytesIO(content)):
            raise StorageError(f"{index} in {self.where} is damaged: remove it, what it tells of is computed anew")

    def _listed(self) -> list[str]:
        """Names of indexes whose pack is there."""
        names = set(self._place.names("")) if self._place else set[str]()
        return sorted(name for name in names if name.endswith(".jsonl") and pack_of(name) in names)

    def _tried(self, attempt: Callable[[], Result], failed: Result) -> Result:
        try:
            return attempt()
        except (StorageError, SourceError) as error:
            if self._required:
                raise
            if not self._warned:
                logger.warning("maps that %s may hold are computed anew: %s", self.where, error)
            self._warned = True
            return failed


class FoundMaps:
    """Where maps lie, for pictures that are asked for in order of digest: rows of all others are not even parsed."""

    def __init__(self, lines: Iterator[tuple[bytes, str]]) -> None:
        """Take rows of indexes in order of digest, each with the name of its pack."""
        self._lines = lines
        self._next = next(lines, None)

    def of(self, digest: str) -> dict[str, list[StoredMap]]:
        """The maps of one picture by the rest of their keys; some lie in several packs."""
        found: dict[str, list[StoredMap]] = {}
        wanted = digest.encode()
        while self._next is not None and self._next[0][_DIGEST] <= wanted:
            line, pack = self._next
            if line[_DIGEST] == wanted:
                row = _parsed(line)
                found.setdefault(row.key, []).append(StoredMap(pack, *row[2:]))
            self._next = next(self._lines, None)
        return found


def index_line(row: PackedMap) -> bytes:
    """A row of an index as it is written."""
    return f"{json.dumps(row)}\n".encode()


def pack_of(index: str) -> str:
    """The name of the pack that an index is of."""
    return f"{index.rpartition('-')[2].removesuffix('.jsonl')}.tar"


def _last_line(rows: bytes) -> bytes:
    return rows[rows.rfind(b"\n", 0, -1) + 1 :]


def _lines(pack: str, content: bytes) -> Iterator[tuple[bytes, str]]:
    return ((line, pack) for line in io.BytesIO(content))


def _parsed(line: bytes) -> PackedMap:
    return PackedMap(*json.loads(line))


def _overlaps(index: str, first: str, last: str) -> bool:
    begin, end, _ = index.split("-")
    return begin <= last[:KEY_DIGITS] and end >= first[:KEY_DIGITS]
