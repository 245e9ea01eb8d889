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
from forgery.s3 import RangedObject, fetch_object, s3_client, s3_errors, split_uri

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
                    name = str(found.object_name).removeprefix(self._prefix)
                    yield Entry(name, found.size or 0, f"{found.etag} {found.last_modified}")

    def read(self, name: str) -> bytes:
        """Fetch one object."""
        with s3_errors(f"reading {self._uri.rstrip('/')}/{name}"):
            return fetch_object(self._client, self._bucket, self._prefix + name)


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
