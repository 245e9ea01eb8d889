"""Files by name in a bucket: a `forgery.places.Place`."""

import io
from pathlib import Path
from typing import IO, Final

from forgery.s3 import RangedObject, fetch_object, read_object, s3_client, s3_errors, split_uri

# A request for so much of an object that is read from begin to end; a task may have hundreds of them open.
_READ_AHEAD_BYTES: Final = 1 << 20


class BucketPlace:
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

    def put(self, name: str, file: Path) -> None:
        """In parts where it is large; it appears whole."""
        with s3_errors(f"writing {self._uri}/{name}"):
            self._client.fput_object(self._bucket, self._key(name), str(file))

    def names(self, prefix: str) -> list[str]:
        """Objects below the prefix, a thousand a request."""
        with s3_errors(f"listing {self._uri}/{prefix}"):
            found = self._client.list_objects(self._bucket, f"{self._key(prefix)}/", recursive=True)
            cut = len(self._key("")) + 1 if self._prefix else 0
            return sorted(str(each.object_name)[cut:] for each in found)

    def open(self, name: str) -> IO[bytes]:
        """By ranges, so that a connection that breaks costs one of them."""
        return io.BufferedReader(RangedObject(self._client, f"{self._uri}/{name}"), _READ_AHEAD_BYTES)

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """One request."""
        with s3_errors(f"reading {self._uri}/{name}"):
            return fetch_object(self._client, self._bucket, self._key(name), offset, length)

    def remove(self, name: str) -> None:
        """One object after the other."""
        with s3_errors(f"removing {self._uri}/{name}"):
            for each in (name, *self.names(name)):
                self._client.remove_object(self._bucket, self._key(each))

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)
