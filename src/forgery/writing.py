"""Folders that appear whole or not at all, and a full disk told in one sentence."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forgery.errors import StorageError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole_folder(out: Path, marker: str, needs_bytes: int = 0) -> Iterator[Path]:
    """Give a temporary folder beside `out` that takes its place when the block ends without an error.

    Args:
        out: The folder to write. It may exist if it is empty or holds an earlier result.
        marker: A file every such result holds, by which an earlier one is known.
        needs_bytes: Estimate of what is written, for the message of a full disk; 0 where unknown.

    Yields:
        The folder to write into; an error, Ctrl-C included, removes it and leaves `out` as it was.

    Raises:
        StorageError: `out` holds something else, cannot be written, or the disk is full.
    """
    out = out.absolute()
    if out.exists() and not (out.is_dir() and ((out / marker).exists() or not any(out.iterdir()))):
        raise StorageError(f"{out} exists and holds no {marker}; name a new or empty folder")
    with _told(out, needs_bytes):
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp keeps others out; a later step may run as another user
            _put_in_place(partial, out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _put_in_place(partial: Path, out: Path) -> None:
    if not out.exists() or not any(out.iterdir()):
        partial.replace(out)
        return
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
