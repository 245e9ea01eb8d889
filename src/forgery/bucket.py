"""A bucket as a store of bundles; `forgery.stores` is its one user."""

import logging
from pathlib import Path, PurePosixPath

from minio.error import S3Error

from forgery.bundle import SUMS_FILE, Bundle, sums_digest
from forgery.errors import BundleError
from forgery.s3 import read_object, s3_client, s3_errors, split_uri

logger = logging.getLogger(__name__)

# An object's checksum travels with it, so that an interrupted upload goes on without reading anything back.
SHA256_METADATA = "x-amz-meta-sha256"


def _checksums(sums: bytes, where: str) -> dict[str, str]:
    """File name to SHA-256 as `SHA256SUMS` lists them; names that would leave the bundle's folder are refused."""
    found = {name: sha256 for sha256, name in (line.split("  ", 1) for line in sums.decode().splitlines())}
    for name in found:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BundleError(f"bundle {where}: {name!r} lies outside of it")
    return found


class Bucket:
    """Bundles as objects below `s3://bucket/prefix/<digest>/`."""

    def __init__(self, bundles: str) -> None:
        self._uri = bundles.rstrip("/")
        self._bucket, prefix = split_uri(self._uri)
        self._prefix = prefix.strip("/")
        self._client = s3_client()

    def publish(self, bundle: Bundle) -> str:
        """Upload what is not there yet, the checksums last; see `forgery.stores.publish`."""
        uri = f"{self._uri}/{bundle.digest}"
        sums = (bundle.path / SUMS_FILE).read_bytes()
        with s3_errors(f"publishing to {self._uri}"):
            published = self._published_sums(bundle.digest)
            if published is not None and sums_digest(published) != bundle.digest:
                raise BundleError(f"{uri} holds another bundle; nothing was overwritten: remove it and publish again")
            for name, sha256 in _checksums(sums, uri).items():
                self._upload(bundle, name, sha256, complete=published is not None)
            if published is None:
                self._put(bundle, SUMS_FILE, sums_digest(sums))
                logger.info("published %s", uri)
        return uri

    def copy(self, digest: str, folder: Path) -> None:
        """Download a bundle's files into an empty folder; the caller verifies them."""
        uri = f"{self._uri}/{digest}"
        with s3_errors(f"fetching {uri}"):
            sums = self._published_sums(digest)
            if sums is None:
                raise BundleError(f"there is no complete bundle at {uri}")
            if sums_digest(sums) != digest:
                raise BundleError(f"{uri} holds the bundle {sums_digest(sums)}: it is not the one published there")
            (folder / SUMS_FILE).write_bytes(sums)
            for name in _checksums(sums, uri):
                self._client.fget_object(self._bucket, self._key(digest, name), str(folder / name))

    def exists(self, digest: str) -> bool:
        """Whether the bundle's checksums, which are written last, are there."""
        with s3_errors(f"reading {self._uri}"):
            sums = self._published_sums(digest)
        return sums is not None and sums_digest(sums) == digest

    def _key(self, digest: str, name: str) -> str:
        return "/".join(part for part in (self._prefix, digest, name) if part)

    def _published_sums(self, digest: str) -> bytes | None:
        return read_object(self._client, self._bucket, self._key(digest, SUMS_FILE))

    def _stored(self, digest: str, name: str) -> tuple[int, str] | None:
        try:
            found = self._client.stat_object(self._bucket, self._key(digest, name))
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        return found.size or 0, (found.metadata or {}).get(SHA256_METADATA, "")

    def _upload(self, bundle: Bundle, name: str, sha256: str, complete: bool) -> None:
        stored = self._stored(bundle.digest, name)
        if stored == ((bundle.path / name).stat().st_size, sha256):
            return
        if stored and complete:
            raise BundleError(f"{self._uri}/{bundle.digest}: {name} was altered; remove the bundle and publish again")
        self._put(bundle, name, sha256)

    def _put(self, bundle: Bundle, name: str, sha256: str) -> None:
        key = self._key(bundle.digest, name)
        self._client.fput_object(self._bucket, key, str(bundle.path / name), metadata={SHA256_METADATA: sha256})
