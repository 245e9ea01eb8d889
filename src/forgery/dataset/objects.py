"""Pictures in a bucket: the objects below a prefix, or a zip read by ranges without being downloaded whole."""

import contextlib
import io
from collections.abc import Iterator
from typing import Final

import minio

from forgery.config import DataOptions
from forgery.dataset.archives import ZipSource, is_zip
from forgery.dataset.sources import Entry, Source
from forgery.errors import SourceError
from forgery.s3 import s3_client, s3_errors, split_uri

# One request for some twenty pictures of a zip that is read in order.
_RANGE_BYTES: Final = 1 << 20


class PrefixSource:
    """The objects below `s3://bucket/prefix/`."""

    def __init__(self, client: minio.Minio, uri: str) -> None:
        self._client = client
        self._uri = uri
        self._bucket, key = split_uri(uri)
        self._prefix = f"{key.rstrip('/')}/" if key.strip("/") else ""

    def entries(self) -> Iterator[Entry]:
        """List the objects, a thousand a request."""
        with s3_errors(f"listing {self._uri}"):
            for found in self._client.list_objects(self._bucket, self._prefix, recursive=True):
                if not found.is_dir:
                    yield Entry(str(found.object_name).removeprefix(self._prefix), found.size or 0)

    def read(self, name: str) -> bytes:
        """Fetch one object."""
        with s3_errors(f"reading {self._uri.rstrip('/')}/{name}"):
            return _fetch(self._client, self._bucket, self._prefix + name)


class RangedObject(io.RawIOBase):
    """One object as a seekable file; each read is a range request."""

    def __init__(self, client: minio.Minio, uri: str) -> None:
        self._client = client
        self._uri = uri
        self._bucket, self._key = split_uri(uri)
        self._size = _size(client, uri)
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset in bytes; nothing is requested."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        """The offset of the next read, in bytes."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the object; 0 at its end."""
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        with s3_errors(f"reading {self._uri}"):
            data = _fetch(self._client, self._bucket, self._key, self._position, wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _size(client: minio.Minio, uri: str) -> int:
    """By a listing: the answer to a HEAD request has no body, so a wrong key and a missing bucket look the same."""
    bucket, key = split_uri(uri)
    with s3_errors(f"reading {uri}"):
        for found in client.list_objects(bucket, key):
            if found.object_name == key:
                return found.size or 0
    raise SourceError(f"source {uri}: there is no object of that name; check the key")


def _fetch(client: minio.Minio, bucket: str, key: str, offset: int = 0, length: int = 0) -> bytes:
    response = client.get_object(bucket, key, offset=offset, length=length)
    try:
        return bytes(response.read())
    finally:
        response.close()
        response.release_conn()


def open_bucket(uri: str, options: DataOptions, stack: contextlib.ExitStack) -> Source:
    """The source behind an S3 address: a zip where the key ends in `.zip`, else a prefix.

    Raises:
        StorageError: The server refused or does not answer.
        SourceError: The object is no zip.
    """
    client = s3_client()
    if not uri.lower().endswith(".zip"):
        return PrefixSource(client, uri)
    file = stack.enter_context(io.BufferedReader(RangedObject(client, uri), _RANGE_BYTES))
    if not is_zip(file):
        raise SourceError(f"source {uri} is no zip archive; name a prefix or a real zip")
    return ZipSource(uri, file, options, stack)
