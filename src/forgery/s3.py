"""S3 through the MinIO client, set up by the variables that every AWS tool reads."""

import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import certifi
import minio
import urllib3
from minio.error import InvalidResponseError, S3Error, ServerError

from forgery.errors import InvalidConfig, SourceError, StorageError

_DEFAULT_REGION: Final = "us-east-1"
# Three tries ride out a restart of the server; a wrong address is reported within about ten seconds. A server that
# answers and is overloaded, 429 or 503 SlowDown, gets more of them, half a minute and some chance apart in the end.
_FIRST_WAIT_S: Final = 0.2
_BROKEN_READS: Final = 4
_RETRIES: Final = urllib3.Retry(
    total=10,
    connect=3,
    read=3,
    status=8,
    backoff_factor=_FIRST_WAIT_S,
    backoff_jitter=0.5,
    backoff_max=30,
    status_forcelist=[429, 500, 502, 503, 504],
    # Multipart uploads begin and end with a POST; those repeated at worst leave a part that nobody reads.
    allowed_methods=None,
    # The last answer is handed on, so that the message says what the server said.
    raise_on_status=False,
)
_TIMEOUT: Final = urllib3.Timeout(connect=3, read=60)

_CAUSES: Final = {
    "InvalidAccessKeyId": "the access key {key} in AWS_ACCESS_KEY_ID is not known there",
    "SignatureDoesNotMatch": "the secret in AWS_SECRET_ACCESS_KEY does not belong to access key {key}",
    "NoSuchBucket": "there is no bucket {bucket!r}; create it or name another",
    "NoSuchKey": "there is no object of that name",
    "AccessDenied": "access key {key} may not do that; ask for read, list and write on the bucket",
    "XMinioStorageFull": "the storage is full; free some space",
}


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "https://s3.amazonaws.com"


def _required(variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise StorageError(
            f"{variable} is not set; S3 needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL "
            "(http://host:port) where the bucket is not on AWS"
        )
    return value


def s3_client() -> minio.Minio:
    """A client for the server in `AWS_ENDPOINT_URL` (AWS itself where that is not set).

    Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`. It is safe to share between
    threads, not between processes. Nothing is sent yet.

    Raises:
        StorageError: A variable is missing or the address is none; the message names the variable.
    """
    address = urlsplit(_endpoint())
    if address.scheme not in ("http", "https") or not address.netloc or address.path.strip("/"):
        raise StorageError(f"AWS_ENDPOINT_URL is http://host:port or https://host; got {_endpoint()!r}")
    return minio.Minio(
        address.netloc,
        access_key=_required("AWS_ACCESS_KEY_ID"),
        secret_key=_required("AWS_SECRET_ACCESS_KEY"),
        session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
        secure=address.scheme == "https",
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION,
        http_client=urllib3.PoolManager(
            timeout=_TIMEOUT, retries=_RETRIES, maxsize=16, cert_reqs="CERT_REQUIRED", ca_certs=_authorities()
        ),
    )


def _authorities() -> str:
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or certifi.where()


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI: `s3://bucket/a/b` gives `("bucket", "a/b")`; the key may be empty.

    Raises:
        InvalidConfig: It is no S3 URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise InvalidConfig(f"an S3 address is s3://bucket/prefix; got {uri!r}")
    return bucket, key


def read_object(client: minio.Minio, bucket: str, key: str) -> bytes | None:
    """The content of an object, or None where there is none; whatever else the client raises is left to `s3_errors`."""
    try:
        return fetch_object(client, bucket, key)
    except S3Error as error:
        if error.code == "NoSuchKey":
            return None
        raise


def fetch_object(client: minio.Minio, bucket: str, key: str, offset: int = 0, length: int = 0) -> bytes:
    """An object's bytes from `offset` on, `length` of them or all; asked for again where the connection breaks.

    The client itself repeats a request that gets no answer, but not one whose answer breaks off.
    """
    for attempt in range(_BROKEN_READS):
        response = client.get_object(bucket, key, offset=offset, length=length)
        try:
            return bytes(response.read())
        except urllib3.exceptions.HTTPError:
            if attempt == _BROKEN_READS - 1:
                raise
            time.sleep(_FIRST_WAIT_S * 2**attempt)
        finally:
            response.close()
            response.release_conn()
    raise AssertionError  # the loop returns or raises


@contextmanager
def s3_errors(what: str) -> Iterator[None]:
    """Turn whatever the client raises into one sentence.

    Args:
        what: What is being read or written, e.g. the URI; the message starts with it.

    Raises:
        StorageError: Wrong key, secret, bucket or right, or no answer at the address.
    """
    try:
        yield
    except S3Error as error:
        # A HEAD request has no body: MinIO's client then tells a missing object from its status alone.
        cause = _CAUSES.get(error.code or "", "the server says {code}: {message}").format(
            key=os.environ.get("AWS_ACCESS_KEY_ID", ""),
            bucket=error.bucket_name or "",
            code=error.code,
            message=error.message,
        )
        raise StorageError(f"{what} at {_endpoint()}: {cause}") from error
    except (urllib3.exceptions.HTTPError, ServerError, InvalidResponseError, ConnectionError) as error:
        raise StorageError(
            f"{what}: no S3 answer at {_endpoint()} ({type(error).__name__}); check AWS_ENDPOINT_URL and the network"
        ) from error
    except ValueError as error:
        # The client checks names itself, e.g. a bucket with capitals.
        raise StorageError(f"{what}: {error}") from error


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
            data = fetch_object(self._client, self._bucket, self._key, self._position, wanted)
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
