"""Shards: tar files with the same bytes for the same content, written and read as streams."""

import hashlib
import io
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from forgery.dataset.manifest import SPLITS, Picture, Split, read_info, read_pictures
from forgery.errors import ForgeryError, StorageError

if TYPE_CHECKING:
    from forgery.places import Place

SHARD_FOLDER = "shards"
MEGABYTE = 1_000_000


class ShardWriter:
    """Writes `<folder>/shards/<stem>-00000.tar` and on, starting a new one when one is full.

    Members carry no time, owner or mode of this machine, so equal content gives equal files.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        shard_mb: int,
        most: int | None = None,
        finished: Callable[[Path], None] = lambda _: None,
    ) -> None:
        """Write nothing yet; a shard is full after `shard_mb` megabytes, or `most` calls of `add`.

        `finished` is called with each shard that is complete, and may take it away.
        """
        self._finished = finished
        self._folder = folder / SHARD_FOLDER
        self._stem = stem
        self._max_bytes = shard_mb * MEGABYTE
        self._most = most
        self._added = 0
        self._tar: tarfile.TarFile | None = None
        self._written = 0
        self._count = 0

    def __enter__(self) -> Self:
        """Close with the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the last shard."""
        self._close()

    def add(self, members: Sequence[tuple[str, bytes]]) -> str:
        """Append members that belong together to one shard.

        Returns:
            The shard's file name.
        """
        full = self._written >= self._max_bytes or self._added == self._most
        tar = self._next() if self._tar is None or full else self._tar
        self._added += 1
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            self._written += len(data)
        # tarfile keeps a record of each member it wrote, which nobody asks for here.
        tar.members.clear()  # type: ignore[attr-defined]
        return f"{self._stem}-{self._count - 1:05d}.tar"

    def _next(self) -> tarfile.TarFile:
        self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._stem}-{self._count:05d}.tar"
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  - closed by _close
        self._count += 1
        self._written = self._added = 0
        return self._tar

    def _close(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None
            self._finished(self._folder / f"{self._stem}-{self._count - 1:05d}.tar")


def read_members(shard: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a shard's members, in order, one in memory at a time.

    Raises:
        StorageError: The shard is missing or damaged.
    """
    try:
        with shard.open("rb") as file:
            yield from _members(file)
    except (tarfile.TarError, FileNotFoundError) as error:
        raise _lost(str(shard), error) from error


def _lost(shard: str, error: Exception) -> StorageError:
    return StorageError(f"shard {shard} is missing or damaged ({error}); run the step that wrote it again")


def _members(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (info := tar.next()) is not None:
            content = tar.extractfile(info)
            yield info.name, content.read() if content else b""
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps a record of each


class _Shards:
    """The shards of an image set, beside its manifest or in its place."""

    def __init__(self, image_set: Path) -> None:
        self._folder = image_set / SHARD_FOLDER
        info = read_info(image_set)
        self._where = info.place
        self._objects = {shard.name: shard.object for shard in info.shards if shard.object}
        self._place: Place | None = None

    def read(self, shard: str) -> Iterator[tuple[str, bytes]]:
        """As `read_members`."""
        if shard not in self._objects:
            yield from read_members(self._folder / shard)
            return
        from forgery.places import open_place

        self._place = self._place or open_place(self._where)
        try:
            with self._place.open(self._objects[shard]) as file:
                yield from _members(file)
        except (tarfile.TarError, ForgeryError) as error:
            raise _lost(f"{shard} ({self._objects[shard]} in {self._where})", error) from error


def read_encoded(image_set: Path, splits: Sequence[Split] = SPLITS) -> Iterator[tuple[Picture, bytes]]:
    """Stream the pictures of an image set with their files' bytes, split by split, in order of digest.

    Raises:
        StorageError: A shard is missing, damaged or does not hold what the manifest says.
    """
    for picture, encoded, _ in _read(image_set, splits):
        yield picture, encoded


def read_masks(image_set: Path, splits: Sequence[Split] = SPLITS) -> Iterator[tuple[Picture, bytes | None]]:
    """Stream the pictures with their masks (PNG, one grey channel, 255 where forged), None where there is none."""
    for picture, _, mask in _read(image_set, splits):
        yield picture, mask


def read_with_masks(
    image_set: Path, splits: Sequence[Split] = SPLITS, shards: Collection[str] | None = None
) -> Iterator[tuple[Picture, bytes, bytes | None]]:
    """Stream the pictures with their files' bytes and masks, as `read_encoded` and `read_masks` do; of some shards."""
    yield from _read(image_set, splits, shards)


def read_some(image_set: Path, pictures: Iterable[Picture]) -> Iterator[tuple[Picture, bytes, bytes | None]]:
    """The pictures given, in the manifest's order, with their files' bytes and masks; no other is read.

    They are asked for one by one, as they are read.

    Raises:
        StorageError: A shard is missing, damaged or does not hold what the manifest says.
    """
    stored = _Shards(image_set)
    shard = ""
    members: Iterator[tuple[str, bytes]] = iter(())
    for picture in pictures:
        if picture.shard != shard:
            shard = picture.shard
            members = stored.read(shard)
        encoded = _expect(members, picture.member, image_set)
        yield picture, encoded, _expect(members, picture.mask_member, image_set) if picture.mask_member else None


def require_intact(picture: Picture, encoded: bytes) -> None:
    """Raise StorageError where a picture's bytes are not those ingest read.

    A flipped bit seldom keeps a file from being decoded: it would be learnt.
    """
    if hashlib.sha256(encoded).hexdigest() != picture.digest:
        raise StorageError(f"{picture.member} in shard {picture.shard} is damaged; run ingest again")


def _read(
    image_set: Path, splits: Sequence[Split], shards: Collection[str] | None = None
) -> Iterator[tuple[Picture, bytes, bytes | None]]:
    """Walk manifest and shards together: both are in order of digest within a split."""
    rows = (row for split in splits for row in read_pictures(image_set, (split,), shards))
    yield from read_some(image_set, rows)


def _expect(members: Iterator[tuple[str, bytes]], name: str, image_set: Path) -> bytes:
    """The member of that name; those before it, which are in order of digest, are passed over."""
    for found, content in members:
        if found == name:
            return content
        if found > name:
            break
    else:
        found = "its end"
    raise StorageError(f"image set {image_set} is damaged: {found} stands where {name} should; run ingest again")
