"""Where bundles are published: a folder (`file://`) or a bucket (`s3://`), each bundle under its digest, for good.

A bundle is in a store when its `SHA256SUMS` is: that file is written last. Nothing published is ever overwritten, so
the URI of a bundle means the same bytes for as long as it exists.
"""

import errno
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from forgery.bundle import DIGEST_LENGTH, SUMS_FILE, Bundle, open_bundle
from forgery.errors import BundleError, InvalidConfig, StorageError

logger = logging.getLogger(__name__)

_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_LENGTH}}}")


class _Store(Protocol):
    def publish(self, bundle: Bundle) -> str: ...
    def copy(self, digest: str, folder: Path) -> None: ...
    def exists(self, digest: str) -> bool: ...


def publish(bundle: Bundle, bundles: str) -> str:
    """Put a sealed bundle into a store, under its digest.

    Publishing what is there already changes nothing; publishing again after an interruption completes it.

    Args:
        bundle: Verified before anything is written.
        bundles: `file://PATH` (relative paths start at the working directory) or `s3://bucket/prefix`.

    Returns:
        The bundle's absolute URI, which ends in `/<digest>`.

    Raises:
        BundleError: The bundle is not what it was sealed as, or what lies under its digest is not.
        StorageError: The store refused.
        InvalidConfig: `bundles` names no store.
    """
    if open_bundle(bundle.path).digest != bundle.digest:
        raise BundleError(f"bundle {bundle.path} was sealed again since it was opened: open it anew")
    return _open(bundles).publish(bundle)


def fetch(uri: str, cache: Path) -> Bundle:
    """Get a published bundle, verified against the digest in its URI.

    It is copied to `cache/<digest>`, which appears whole or not at all; what is there already is verified and used,
    and replaced if it was damaged.

    Raises:
        BundleError: There is no complete bundle at `uri`, or its content is not that of its digest.
        StorageError: The store refused, or the cache cannot be written.
        InvalidConfig: `uri` names no store.
    """
    bundles, digest = _split(uri)
    store, cached = _open(bundles), cache / digest
    if cached.exists():
        try:
            return _open_published(cached, digest)
        except BundleError as error:
            logger.warning("%s; fetching it again", error)
    with _disk(f"writing to {cache}"), _partial(cache, digest) as partial:
        store.copy(digest, partial)
        bundle = _open_published(partial, digest)
        shutil.rmtree(cached, ignore_errors=True)
        partial.rename(cached)
    return Bundle(cached, digest, bundle.info)


def exists(uri: str) -> bool:
    """Whether a complete bundle is published at `uri`; its files are not read."""
    bundles, digest = _split(uri)
    return _open(bundles).exists(digest)


def _split(uri: str) -> tuple[str, str]:
    bundles, _, digest = uri.rstrip("/").rpartition("/")
    if not _DIGEST.fullmatch(digest):
        raise BundleError(f"{uri!r} names no bundle: its last part must be a digest of {DIGEST_LENGTH} hex digits")
    return bundles, digest


def _open(bundles: str) -> _Store:
    scheme, separator, rest = bundles.partition("://")
    if separator and rest and scheme == "file":
        return _Folder(Path(rest).absolute())
    if separator and rest and scheme == "s3":
        from forgery.bucket import Bucket

        return Bucket(bundles)
    raise InvalidConfig(f"bundles: {bundles!r} is no bundle store; accepted are file://PATH and s3://BUCKET/PREFIX")


@contextmanager
def _disk(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "free some space and try again" if error.errno == errno.ENOSPC else "check the path and its rights"
        raise StorageError(f"{what}: {error.strerror or error}; {hint}") from error


def _open_published(path: Path, digest: str) -> Bundle:
    bundle = open_bundle(path)
    if bundle.digest != digest:
        raise BundleError(f"bundle {path} has the digest {bundle.digest}: it is not the one that was published there")
    return bundle


@contextmanager
def _partial(root: Path, digest: str) -> Iterator[Path]:
    """A folder beside `root/<digest>` to fill, under a lock; what a killed process left there is cleared first."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".lock"):
        partial = root / f".{digest}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


class _Folder:
    """Bundles as subfolders of a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, bundle: Bundle) -> str:
        target = self._root / bundle.digest
        with _disk(f"publishing to {self._root}"), _partial(self._root, bundle.digest) as partial:
            if target.exists():
                _open_published(target, bundle.digest)
            else:
                shutil.copytree(bundle.path, partial, dirs_exist_ok=True)
                _open_published(partial, bundle.digest)
                partial.rename(target)
                logger.info("published %s", target)
        return f"file://{target}"

    def copy(self, digest: str, folder: Path) -> None:
        if not self.exists(digest):
            raise BundleError(f"there is no bundle at file://{self._root / digest}")
        shutil.copytree(self._root / digest, folder, dirs_exist_ok=True)

    def exists(self, digest: str) -> bool:
        return (self._root / digest / SUMS_FILE).is_file()
