"""Zip archives read in place: every limit is checked on the directory before an entry is unpacked."""

import contextlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from forgery.config import DataOptions
from forgery.dataset.sources import Entry
from forgery.errors import PictureRejected, SourceError

# What an entry that would leave the folder it is unpacked to looks like, on any system.
_ESCAPES = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


def is_zip(file: IO[bytes]) -> bool:
    """Whether the file's content, not its name, is a zip archive."""
    return zipfile.is_zipfile(file)


class ZipSource:
    """The entries of a zip archive, unpacked one at a time into memory.

    Nothing is written to disk, so no entry can escape; names that try to are refused all the same, because an
    archive that holds one was made to do harm.
    """

    def __init__(self, name: str, file: IO[bytes], options: DataOptions, stack: contextlib.ExitStack) -> None:
        """Read and check the directory of the archive.

        Args:
            name: What to call the archive in messages.
            file: Seekable; stays open as long as `stack`.
            options: Its `max_pictures` and `max_archive_bytes` are the limits.
            stack: Closes the archive.

        Raises:
            SourceError: It is damaged, over a limit, or holds unsafe names.
        """
        try:
            self._zip = stack.enter_context(zipfile.ZipFile(file))
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise SourceError(f"source {name} is a damaged zip ({error}); make or download it again") from error
        self._files = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        self._check(name, options)

    def _check(self, name: str, options: DataOptions) -> None:
        if len(self._files) > options.max_pictures:
            raise SourceError(
                f"source {name} holds {len(self._files)} entries, more than max_pictures={options.max_pictures}"
            )
        unpacked = sum(info.file_size for info in self._files.values())
        if unpacked > options.max_archive_bytes:
            raise SourceError(
                f"source {name} unpacks to {unpacked} bytes, more than max_archive_bytes={options.max_archive_bytes}"
            )
        if unsafe := next((each for each in self._files if _ESCAPES.search(each)), None):
            raise SourceError(f"source {name} holds the unsafe name {unsafe!r}, which leaves the archive; make it anew")

    def entries(self) -> Iterator[Entry]:
        """Every file of the archive with its unpacked size."""
        for info in self._files.values():
            yield Entry(info.filename, info.file_size, f"{info.CRC:08x}")

    def read(self, name: str) -> bytes:
        """Unpack one entry; never more than the size its directory record promised."""
        try:
            return self._zip.read(self._files[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            # RuntimeError is zipfile's word for an encrypted entry, NotImplementedError for an exotic method.
            raise PictureRejected("unreadable", f"the zip entry cannot be unpacked: {error}") from error
