"""Where the Parquet files lie: a folder or a bucket, each file whole or absent."""

import io
import os
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from forgery.errors import InvalidConfig, StorageError
from forgery.s3 import read_object, s3_client, s3_errors, split_uri


class PartStore(Protocol):
    """Files by name; a name holds one content for good."""

    def read(self, name: str) -> bytes | None:
        """The content, or None where it is absent; raises StorageError."""

    def write(self, name: str, content: bytes) -> str:
        """Write at once; returns where it lies. Raises StorageError."""


class FolderStore:
    """Files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """The content, or None."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> str:
        """Beside its place first, so that nobody reads half a file."""
        path = self._folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                file.write(content)
            Path(file.name).chmod(0o644)
            os.replace(file.name, path)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written: {error.strerror}; give a folder with room and rights"
            ) from error
        return str(path)


class BucketStore:
    """Objects below `s3://bucket/prefix`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._bucket, prefix = split_uri(self._uri)
        self._prefix = prefix.strip("/")
        self._client = s3_client()

    def read(self, name: str) -> bytes | None:
        """The content, or None."""
        with s3_errors(f"reading {self._uri}/{name}"):
            return read_object(self._client, self._bucket, self._key(name))

    def write(self, name: str, content: bytes) -> str:
        """An object appears whole."""
        with s3_errors(f"writing {self._uri}/{name}"):
            self._client.put_object(self._bucket, self._key(name), io.BytesIO(content), len(content))
        return f"{self._uri}/{name}"

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)


def open_store(out: str) -> PartStore:
    """The store that `s3://bucket/prefix`, `file://PATH` or a path names; InvalidConfig for any other form."""
    if out.startswith("s3://"):
        return BucketStore(out)
    if out.startswith("file://"):
        return FolderStore(Path(unquote(urlsplit(out).path)))
    if not out or "://" in out:
        raise InvalidConfig(f"out {out!r} is of no known form; accepted are s3://bucket/prefix and file://PATH")
    return FolderStore(Path(out).expanduser())
