"""Files by name in a folder or a bucket, each whole or absent: Parquet files of a batch, packs of maps."""

import io
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit

from forgery.errors import InvalidConfig, StorageError

logger = logging.getLogger(__name__)


class Place(Protocol):
    """Files by name; a name holds one content for good."""

    def read(self, name: str) -> bytes | None:
        """The content, or None where it is absent; raises StorageError."""

    def write(self, name: str, content: bytes) -> str:
        """Write at once; returns where it lies. Raises StorageError."""

    def put(self, name: str, file: Path) -> None:
        """Write the content of a local file, which is never whole in memory. Raises StorageError."""

    def names(self, prefix: str) -> list[str]:
        """Names of all files below `prefix/`, sorted; raises StorageError."""

    def open(self, name: str) -> IO[bytes]:
        """The content as a stream that is never whole in memory; raises StorageError, as reading from it does."""

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """So many bytes of the content, fewer where it ends before; raises StorageError."""

    def remove(self, name: str) -> None:
        """Remove a file, or all below `name/`, if there are any; raises StorageError."""


class FolderPlace:
    """Files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """The content, or None."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be read: {error.strerror}") from error

    def write(self, name: str, content: bytes) -> str:
        """Beside its place first, so that nobody reads half a file."""
        return self._copy(name, io.BytesIO(content))

    def put(self, name: str, file: Path) -> None:
        """As `write`."""
        with file.open("rb") as content:
            self._copy(name, content)

    def _copy(self, name: str, content: IO[bytes]) -> str:
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                try:
                    shutil.copyfileobj(content, file)
                    Path(file.name).chmod(0o644)
                    file.flush()
                    os.replace(file.name, path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written: {error.strerror}; give a folder with room and rights"
            ) from error
        return str(path)

    def names(self, prefix: str) -> list[str]:
        """Files below the folder; those being written have other names."""
        found = (path for path in (self._folder / prefix).rglob("*") if path.is_file() and path.name[0] != ".")
        return sorted(path.relative_to(self._folder).as_posix() for path in found)

    def open(self, name: str) -> IO[bytes]:
        """The file."""
        try:
            return (self._folder / name).open("rb")
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be read: {error.strerror}") from error

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """From the file."""
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise StorageError(f"{self._folder / name} cannot be read: {error.strerror}") from error

    def remove(self, name: str) -> None:
        """With what a killed process left half-written in the folder."""
        path = self._folder / name
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{path} cannot be removed: {error.strerror}") from error


class OptionalPlace:
    """A place that work is kept in to save time: where it fails, that costs one warning and nothing more is kept."""

    def __init__(self, where: str, what: str) -> None:
        """Open `where`, empty for none; the warning begins with `what`. Raises InvalidConfig as `open_place` does."""
        self._what = what
        self._place: Place | None = None
        try:
            self._place = open_place(where) if where else None
        except StorageError as error:
            self.give_up(error)

    @property
    def used(self) -> bool:
        """Whether anything is kept."""
        return self._place is not None

    def read(self, name: str) -> bytes | None:
        """The content, or None where it cannot be had."""
        try:
            return self._place.read(name) if self._place else None
        except StorageError as error:
            self.give_up(error)
            return None

    def write(self, name: str, content: bytes) -> None:
        """Keep it if that can be done."""
        try:
            if self._place:
                self._place.write(name, content)
        except StorageError as error:
            self.give_up(error)

    def put(self, name: str, file: Path) -> bool:
        """Keep a file's content if that can be done; whether it was."""
        try:
            if self._place:
                self._place.put(name, file)
        except StorageError as error:
            self.give_up(error)
        return self.used

    def names(self, prefix: str) -> list[str]:
        """Names of all that is kept below `prefix/`, none where that cannot be told."""
        try:
            return self._place.names(prefix) if self._place else []
        except StorageError as error:
            self.give_up(error)
            return []

    def give_up(self, error: Exception) -> None:
        """Say why, and keep nothing more."""
        self.warn(str(error))
        self._place = None

    def warn(self, cause: str) -> None:
        """Say why something is not kept, or was not."""
        logger.warning("%s not kept for a run that goes on from here: %s", self._what, cause)


def is_absent(error: StorageError) -> bool:
    """Whether a place could be asked and has no such file, which no second try mends."""
    cause = error.__cause__
    return isinstance(cause, FileNotFoundError) or getattr(cause, "code", "") == "NoSuchKey"


def open_place(out: str) -> Place:
    """The place that `s3://bucket/prefix`, `file://PATH` or a path names; InvalidConfig for any other form."""
    if out.startswith("s3://"):
        from forgery.bucket_place import BucketPlace  # the client takes as long to load as all else of a small step

        return BucketPlace(out)
    if out.startswith("file://"):
        return FolderPlace(Path(unquote(urlsplit(out).path)))
    if not out or "://" in out:
        raise InvalidConfig(f"{out!r} is of no known form; accepted are s3://bucket/prefix and file://PATH")
    return FolderPlace(Path(out).expanduser())
