"""Where pictures come from: one small protocol, and what a source's text form opens."""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from forgery.config import DataOptions
from forgery.errors import PictureRejected, SourceError

ACCEPTED: Final = "a folder, a zip, file://PATH, s3://BUCKET/PREFIX or .zip, kaggle:NAME, hf:NAME, or demo:[N]"
DEMO_PICTURES: Final = 240


class Entry(NamedTuple):
    """One file of a source: its name with `/` between parts, relative to the source, and its size in bytes.

    `version` is another one for other bytes, where the source can tell; empty where it cannot.
    """

    name: str
    size: int
    version: str = ""


class Source(Protocol):
    """Files that can be listed and read one at a time; reading is safe from several threads."""

    def entries(self) -> Iterable[Entry]:
        """Every file, in any order; raises SourceError or StorageError where listing is refused."""

    def read(self, name: str) -> bytes:
        """The bytes of one file; raises PictureRejected where that file alone cannot be read."""


class FolderSource:
    """All files below a folder; links to folders are not followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self) -> Iterator[Entry]:
        """Walk the folder; one that may not be entered is an error, not an omission."""
        for parent, _, names in os.walk(self._folder, onerror=_refuse):
            # Texts: a million objects of `Path` take a minute.
            below = "" if (folder := os.path.relpath(parent, self._folder)) == "." else f"{folder}/"
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # a dangling link, or deleted since it was listed
                    status = os.stat(f"{parent}/{name}")
                    yield Entry(f"{below}{name}", status.st_size, str(status.st_mtime_ns))

    def read(self, name: str) -> bytes:
        """The bytes of one file."""
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise PictureRejected("unreadable", f"the file cannot be read: {error.strerror}") from error


def _refuse(error: OSError) -> None:
    raise SourceError(f"source {error.filename}: {error.strerror}; give read access to it") from error


@contextmanager
def open_source(text: str, options: DataOptions, seed: int, made: Path | None = None) -> Iterator[Source]:
    """Open what a source's text form names; archives are read in place, never unpacked to disk.

    Args:
        text: One of the forms in `ACCEPTED`.
        options: Limits that an archive is held to before anything is read.
        seed: Seeds the demo pictures.
        made: An existing folder where these are made, or were; by default one that is gone with the block.

    Raises:
        SourceError: It does not exist, cannot be read, or is of no known form.
        StorageError: A bucket refused or did not answer.
    """
    with contextlib.ExitStack() as stack:
        scheme = match[1].lower() if (match := re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", text)) else ""
        if scheme == "demo":
            yield FolderSource(_make_demo(text, seed, made, stack))
        elif scheme in ("kaggle", "hf"):
            from forgery.dataset.hubs import download

            yield _local(download(scheme, text.partition(":")[2]), options, stack)
        elif scheme == "s3":
            from forgery.dataset.objects import open_bucket

            yield open_bucket(text, options, stack)
        elif scheme == "file":
            yield _local(Path(unquote(urlsplit(text).path)), options, stack)
        elif not text or "://" in text:
            raise SourceError(f"source {text!r} is of no known form; accepted are {ACCEPTED}")
        else:
            yield _local(Path(text).expanduser(), options, stack)


def _local(path: Path, options: DataOptions, stack: contextlib.ExitStack) -> Source:
    from forgery.dataset.archives import ZipSource, is_zip

    try:
        if path.is_dir():
            return FolderSource(path)
        with path.open("rb") as file:
            if not is_zip(file):
                raise SourceError(f"source {path} is neither a folder nor a zip; accepted are {ACCEPTED}")
        return ZipSource(str(path), stack.enter_context(path.open("rb")), options, stack)
    except OSError as error:
        hint = "check the path" if error.errno == errno.ENOENT else "give read access to it"
        raise SourceError(f"source {path}: {(error.strerror or str(error)).lower()}; {hint}") from error


def _make_demo(text: str, seed: int, made: Path | None, stack: contextlib.ExitStack) -> Path:
    from forgery.dataset.demo import make_demo

    count = text.partition(":")[2]
    if count and not count.isdecimal():
        raise SourceError(f"demo:N takes a number of pictures, e.g. demo:{DEMO_PICTURES}; got {text!r}")
    number = int(count or DEMO_PICTURES)
    folder = made or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forgery-demo-")))
    pictures = folder / f"demo-{number}"
    return pictures if pictures.exists() else make_demo(pictures, number, seed)
