"""Maps that were computed before, kept in a folder or a bucket as packs: what is there already is not computed again.

<cache>/evidence/<recipe>/<code>/<first>-<last>-<content>.tar

A map is known by the picture's digest and by all that changes its pixels; a pack by the range of digests it holds, in
order, so that any cut of any image set finds its maps by one listing and one pass. Packs are never changed: a run that
finds some of its maps writes a pack with the rest. `code` is a digest of the code that makes maps and of the libraries
it stands on, so that no change of either needs a version to be remembered.
"""

import hashlib
import importlib.metadata
import io
import logging
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, Final

from forgery.errors import StorageError
from forgery.places import Place, open_place
from forgery.recipes import Recipe

logger = logging.getLogger(__name__)

_KEY_DIGITS: Final = 16
_PIXEL_CODE: Final = ("recipes/*.py", "picture.py", "variants.py", "histories.py", "evidence_set.py", "jpeg.py")
_PIXEL_LIBRARIES: Final = ("numpy", "pillow", "opencv-python-headless")

Key = tuple[str, str]  # the picture's digest, and what else the map depends on


@cache
def code_digest() -> str:
    """Of the code and the libraries that decide a map's pixels."""
    here = Path(__file__).parent
    content = hashlib.sha256()
    for path in sorted(path for pattern in _PIXEL_CODE for path in here.glob(pattern)):
        content.update(path.read_bytes())
    content.update(repr([importlib.metadata.version(name) for name in _PIXEL_LIBRARIES]).encode())
    return content.hexdigest()[:_KEY_DIGITS]


class EvidenceCache:
    """The packs of one recipe; one that cannot be read or written costs a warning and the time to compute anew."""

    def __init__(self, where: str, recipe: Recipe) -> None:
        """Nothing is read yet; InvalidConfig where `where` is neither s3://bucket/prefix nor file://PATH."""
        self._prefix = f"evidence/{recipe.name}/{code_digest()}"
        self._where = where
        self._place = self._open() if where else None
        self._warned = False

    def _open(self) -> Place | None:
        try:
            return open_place(self._where)
        except StorageError as error:
            logger.warning("maps are neither taken from %s nor kept there: %s", self._where, error)
            return None

    def between(self, first: str, last: str) -> "KeptMaps":
        """The maps of pictures with digests from `first` to `last`, to be taken in order of digest."""
        names: list[str] = []
        if self._place is not None:
            try:
                names = self._place.names(self._prefix)
            except StorageError as error:
                self._warn(error)
        low, high = first[:_KEY_DIGITS], last[:_KEY_DIGITS]
        covering = [name for name in names if _overlaps(name, low, high)]
        return KeptMaps([_Pack(self._members(name)) for name in covering])

    def writer(self, pack_bytes: int) -> "PackWriter":
        """Keeps maps in packs of about so many bytes."""
        return PackWriter(self, pack_bytes)

    def keep(self, pack: Path, first: str, last: str) -> None:
        """Send a pack with maps of pictures with digests from `first` to `last`."""
        if self._place is None:
            return
        with pack.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        name = f"{first[:_KEY_DIGITS]}-{last[:_KEY_DIGITS]}-{content[:_KEY_DIGITS]}.tar"
        try:
            self._place.put(f"{self._prefix}/{name}", pack)
        except StorageError as error:
            self._warn(error)

    @property
    def used(self) -> bool:
        """Whether there is a place to keep anything in."""
        return self._place is not None

    def _members(self, name: str) -> Iterator[tuple[Key, bytes]]:
        """Keys and maps of a pack; it ends where the pack is damaged."""
        if self._place is None:
            return
        try:
            with self._place.open(name) as file, tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    content = tar.extractfile(info)
                    png = content.read() if content else b""
                    tar.members.clear()  # type: ignore[attr-defined]  # else it keeps a record of each
                    digest, key, checksum = info.name.split(".")
                    if checksum != _checksum(png):
                        raise StorageError(f"pack {name} in {self._where} is damaged at {info.name}")
                    yield (digest, key), png
        except (StorageError, tarfile.TarError, OSError, ValueError) as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            logger.warning("maps that %s may hold are computed anew: %s", self._where, error)
        self._warned = True


class PackWriter:
    """Writes maps to a temporary file and sends it when it is full; maps come in order of digest, split by split."""

    def __init__(self, cache: EvidenceCache, pack_bytes: int) -> None:
        """Write nothing yet."""
        self._cache = cache
        self._pack_bytes = pack_bytes
        self._file: IO[bytes] | None = None
        self._tar: tarfile.TarFile | None = None
        self._first = self._last = ""

    def add(self, digest: str, maps: Mapping[str, bytes]) -> None:
        """Take the maps of one picture by the rest of their keys."""
        if not maps or not self._cache.used:
            return
        if self._file is not None and (digest < self._last or self._file.tell() >= self._pack_bytes):
            self.flush()
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(prefix="forgery-pack-", suffix=".tar")  # noqa: SIM115  - flush
            self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
            self._first = digest
        self._last = digest
        for key, png in sorted(maps.items()):
            self._append(f"{digest}.{key}.{_checksum(png)}", png)

    def _append(self, name: str, png: bytes) -> None:
        if self._tar is None:
            return
        info = tarfile.TarInfo(name)
        info.size = len(png)
        self._tar.addfile(info, io.BytesIO(png))
        self._tar.members.clear()  # type: ignore[attr-defined]  # else it keeps a record of each

    def flush(self) -> None:
        """Send what was taken since the last time."""
        if self._tar is None or self._file is None:
            return
        self._tar.close()
        self._file.flush()
        self._cache.keep(Path(self._file.name), self._first, self._last)
        self._file.close()
        self._file = self._tar = None


class KeptMaps:
    """Maps of several packs side by side; memory holds one map of each."""

    def __init__(self, packs: list["_Pack"]) -> None:
        self._packs = packs

    def take(self, digest: str) -> dict[str, bytes]:
        """The maps of a picture by the rest of their keys; digests must be asked for in order."""
        return {key: png for pack in self._packs for key, png in pack.take(digest)}


class _Pack:
    def __init__(self, members: Iterator[tuple[Key, bytes]]) -> None:
        self._members = members
        self._head = next(members, None)

    def take(self, digest: str) -> Iterator[tuple[str, bytes]]:
        while self._head is not None and self._head[0][0] <= digest:
            (found, key), png = self._head
            if found == digest:
                yield key, png
            self._head = next(self._members, None)


def _overlaps(name: str, low: str, high: str) -> bool:
    first, _, rest = name.rsplit("/", 1)[-1].partition("-")
    return first <= high and rest.partition("-")[0] >= low


def _checksum(png: bytes) -> str:
    return hashlib.sha256(png).hexdigest()[:_KEY_DIGITS]
