"""Folders that appear whole or not at all, and a full disk told in one sentence."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forgery.errors import StorageError

_PARTIAL = ".partial-"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_folder(out: Path, marker: str, needs_bytes: int = 0) -> Iterator[Path]:
    """Give a temporary folder beside `out` that takes its place when the block ends without an error.

    Args:
        out: The folder to write. It may exist if it is empty or holds an earlier result.
        marker: A file every such result holds, by which an earlier one is known.
        needs_bytes: Estimate of what is written, for the message of a full disk; 0 where unknown.

    Yields:
        The folder to write into; an error, Ctrl-C included, removes it and leaves `out` as it was. What a killed
        process has left beside `out` is removed first.

    Raises:
        StorageError: `out` holds something else, cannot be written, or the disk is full.
    """
    out = out.absolute()
    if out.exists() and not (out.is_dir() and ((out / marker).exists() or not any(out.iterdir()))):
        raise StorageError(f"{out} exists and holds no {marker}; name a new or empty folder")
    with _told(out, needs_bytes):
        out.parent.mkdir(parents=True, exist_ok=True)
        with _own_partial(out) as partial:
            try:
                yield partial
                partial.chmod(0o755)  # mkdtemp keeps others out; a later step may run as another user
                _put_in_place(partial, out)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise


@contextmanager
def _own_partial(out: Path) -> Iterator[Path]:
    """A new folder that is locked as long as this process lives, by which others know that it is no remains."""
    with _locked(out.parent):
        _clear_remains(out)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}{_PARTIAL}", dir=out.parent))
        descriptor = os.open(partial, os.O_RDONLY)
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield partial
    finally:
        os.close(descriptor)


def _clear_remains(out: Path) -> None:
    """Remove what killed processes left beside `out`; an earlier result that one had just moved away comes back."""
    for replaced in out.parent.glob(f".{out.name}.replaced-*"):
        if not out.exists() and (replaced / out.name).exists():
            os.rename(replaced / out.name, out)
        shutil.rmtree(replaced, ignore_errors=True)
    for partial in out.parent.glob(f".{out.name}{_PARTIAL}*"):
        # Gone, since its writer has just finished, or another user's.
        with suppress(FileNotFoundError, PermissionError), _opened(partial) as descriptor:
            if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # One that is still being made belongs to its writer, who would wait for himself.
    if _PARTIAL in folder.name:
        yield
        return
    with _opened(folder) as descriptor:
        _lock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    """Lock an open folder until it is closed; False where another process holds it, or the disk knows no locks."""
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True


def _put_in_place(partial: Path, out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        partial.replace(out)
        return
    with _locked(out.parent):
        replaced = Path(tempfile.mkdtemp(prefix=f".{out.name}.replaced-", dir=out.parent))
        os.rename(out, replaced / out.name)
        partial.replace(out)
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def _told(out: Path, needs_bytes: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            needs = f", needs about {max(1, round(needs_bytes / 1e6))} MB" if needs_bytes else ""
            raise StorageError(f"no space left on {out.parent}{needs}; free some or name another folder") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise StorageError(f"{error.filename or out} cannot be written: {error.strerror}") from error
        raise
