"""Shards of maps: tar files with the same bytes for the same content; and the pictures of an image set as a stream."""

import hashlib
import io
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from forgery.dataset.manifest import SPLITS, Picture, Split, read_pictures
from forgery.dataset.packs import Packs
from forgery.errors import StorageError
from forgery.parallel import in_order

SHARD_FOLDER = "shards"
MEGABYTE = 1_000_000
# Ranges asked for at once; the S3 client keeps as many connections.
_FETCHERS: Final = 16


class ShardWriter:
    """Writes `<folder>/shards/<stem>-00000.tar` and on, starting a new one when one is full.

    Members carry no time, owner or mode of this machine, so equal content gives equal files.
    """

    def __init__(self, folder: Path, stem: str, shard_mb: int) -> None:
        """Write nothing yet; a shard is full after `shard_mb` megabytes."""
        self._folder = folder / SHARD_FOLDER
        self._stem = stem
        self._max_bytes = shard_mb * MEGABYTE
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
        full = self._written >= self._max_bytes
        tar = self._next() if self._tar is None or full else self._tar
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
        self._written = 0
        return self._tar

    def _close(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None


def read_members(shard: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a shard's members, in order, one in memory at a time.

    Raises:
        StorageError: The shard is missing or damaged.
    """
    try:
        with shard.open("rb") as file:
            yield from _members(file)
    except (tarfile.TarError, FileNotFoundError) as error:
        raise StorageError(
            f"shard {shard} is missing or damaged ({error}); run the step that wrote it again"
        ) from error


def _members(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (info := tar.next()) is not None:
            content = tar.extractfile(info)
            yield info.name, content.read() if content else b""
            tar.members.clear()  # type: ignore[attr-defined]  # else it keeps a record of each


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
    """The pictures given, in their order, with their files' bytes and masks; no other is read.

    They are asked for as they are read, some ahead where each waits for a server.

    Raises:
        StorageError: A pack is missing, damaged or does not hold what the manifest says.
    """
    packs = Packs(image_set)
    if not packs.far:
        yield from ((picture, *packs.read(picture)) for picture in pictures)
        return
    with ThreadPoolExecutor(_FETCHERS) as pool:
        for picture, found in in_order(pool, packs.read, pictures, 2 * _FETCHERS):
            yield picture, *found


def require_intact(picture: Picture, encoded: bytes) -> None:
    """Raise StorageError where a picture's bytes are not those ingest read.

    A flipped bit seldom keeps a file from being decoded: it would be learnt.
    """
    if hashlib.sha256(encoded).hexdigest() != picture.digest:
        raise StorageError(f"{picture.member} in pack {picture.pack} is damaged; remove that pack and run ingest again")


def _read(
    image_set: Path, splits: Sequence[Split], shards: Collection[str] | None = None
) -> Iterator[tuple[Picture, bytes, bytes | None]]:
    yield from read_some(image_set, (row for split in splits for row in read_pictures(image_set, (split,), shards)))
