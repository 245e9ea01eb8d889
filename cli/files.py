"""Files that a person names on the command line."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from forgery.errors import SourceError

# Only to choose what to look at inside a folder; what a file is, its content decides.
_PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def expand(names: Iterable[str]) -> Iterator[Path]:
    """The files meant by files, folders (their pictures, recursively) and glob patterns, in a stable order.

    Raises:
        SourceError: A name is nothing of these, or a folder or pattern holds no picture.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.suffix.lower() in _PICTURE_SUFFIXES)
        elif path.exists():
            found = [path]
        else:
            found = [Path(each) for each in sorted(glob.glob(name, recursive=True))]
        if not found:
            raise SourceError(f"{name}: no such file, no folder with pictures, and no pattern that matches any")
        yield from found


def read_picture(path: Path) -> bytes:
    """The bytes of a file; SourceError says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; SourceError says why it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise SourceError(f"{path}: {error.strerror or error}") from error
