"""What is known of a source's files: as they were listed, and as they were read; and what of it is kept between runs.

Files that were read go into a pack together, and what was found of them is kept beside the pack under the names and
versions of the files. A later listing takes what it knows from there, whatever else came or went: only new files are
read, into packs of their own.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, Final

import PIL
from pydantic import TypeAdapter

from forgery.config import DataOptions
from forgery.dataset import intake
from forgery.dataset.labels import Labelled
from forgery.dataset.manifest import ClassLabel, Reject
from forgery.dataset.packs import STORED
from forgery.picture import Limits
from forgery.places import OptionalPlace, Place

_FOLDER: Final = "reads"
_KEY_DIGITS: Final = 32
_CHECKSUM: Final = 64  # digits of the SHA-256 that heads a block
# What these make is another at each opening, or lies where one task alone can see it.
_PASSING: Final = ("demo:", "kaggle:", "hf:")
FEEDBACK: Final = "feedback:"


# Rows are plain classes: of a pack there are thousands in memory at once, and a pydantic model takes ten times as much.
@dataclass(frozen=True, slots=True)
class Listed:
    """One file as its source and layout list it; `source` is the number of the source among those joined.

    `version` and `mask_version` are others for other bytes, and empty where the source cannot tell.
    """

    source: int
    name: str
    version: str
    size: int
    label: ClassLabel
    group: str | None = None
    mask: str | None = None
    mask_version: str = ""
    manipulation: str | None = None

    @property
    def key(self) -> tuple[str | None, ...]:
        """What decides what is found of the file, in one source."""
        return self.name, self.version, self.label, self.mask, self.mask_version

    @property
    def labelled(self) -> Labelled:
        """As its layout described it."""
        return Labelled(self.name, self.size, self.label, self.group, self.mask, self.manipulation)

    def line(self) -> str:
        """As JSON, with a line break."""
        return _LISTED.dump_json(self, exclude_none=True).decode() + "\n"

    @staticmethod
    def of(line: str | bytes) -> "Listed":
        """From its line."""
        return _LISTED.validate_json(line)


@dataclass(frozen=True, slots=True)
class Read:
    """One file as it was read: where an accepted one lies, or why it was not accepted (`reason`).

    `mask_message` says why the mask of an accepted one was not; `save` is the last save of a forged JPEG, as
    `forgery.histories.save_text` has it.
    """

    file: Listed
    digest: str | None = None
    format: str | None = None
    width: int = 0
    height: int = 0
    size_bytes: int = 0
    mask_digest: str | None = None
    save: str | None = None
    pack: str | None = None
    offset: int = 0
    length: int = 0
    reason: str | None = None
    message: str | None = None
    mask_message: str | None = None

    def line(self) -> str:
        """As JSON, with a line break."""
        return _READ.dump_json(self, exclude_none=True).decode() + "\n"

    @staticmethod
    def of(line: str | bytes) -> "Read":
        """From its line."""
        return _READ.validate_json(line)

    def write(self, reads: IO[str], rejects: IO[str]) -> None:
        """Write it as a line, with the rejects if it is one; and its mask, if that is."""
        if self.digest is not None:
            reads.write(self.line())
        else:
            reject = Reject(name=self.file.name, reason=str(self.reason), message=str(self.message))
            rejects.write(f"{reject.model_dump_json()}\n")
        if self.mask_message is not None:
            reject = Reject(name=str(self.file.mask), reason="mask", message=self.mask_message)
            rejects.write(f"{reject.model_dump_json()}\n")


_LISTED: Final = TypeAdapter(Listed)
_READ: Final = TypeAdapter(Read)


def digest_of(line: str) -> str:
    """The digest in the line of an accepted file."""
    # As it is written: a quote within a text would stand behind a backslash.
    return line.partition('"digest":"')[2][:64]


def limits_of(options: DataOptions) -> Limits:
    """What files are held to."""
    return Limits(max_bytes=options.max_bytes, max_pixels=options.max_pixels)


def lasts(source: str) -> bool:
    """Whether a source is the same files, in the same place, for every task and run that opens it."""
    return not source.removeprefix(FEEDBACK).startswith(_PASSING)


def place_of_reads(source: str, options: DataOptions, where: str) -> OptionalPlace:
    """Where what is read of a source is kept: files nearby are as near as copies of them, unless packs lie there too.

    Args:
        source: Its text form.
        options: `shards_in`.
        where: The cache, empty for none.
    """
    near = not source.removeprefix(FEEDBACK).startswith("s3:")
    used = lasts(source) and not (near and options.shards_in == "artifact")
    return OptionalPlace(where if used else "", "what is read is")


class KeptReads:
    """Blocks of files of one source in a place; one that cannot be had costs the time to read its files again."""

    def __init__(self, place: OptionalPlace, source: str, limits: Limits) -> None:
        """Keep in `place` what is read of a source under limits."""
        self._place = place
        scope = repr((_code(), PIL.__version__, source, limits))
        self._prefix = f"{_FOLDER}/{hashlib.sha256(scope.encode()).hexdigest()[:_KEY_DIGITS]}"

    @property
    def used(self) -> bool:
        """Whether anything is kept."""
        return self._place.used

    @property
    def place(self) -> OptionalPlace:
        """Where it is kept."""
        return self._place

    def lines(self) -> Iterator[str]:
        """The line of all that is kept, whatever the source holds today."""
        for name in self._place.names(self._prefix):
            yield from (self._lines(name) or b"").decode().splitlines(keepends=True)

    def find(self, files: Sequence[Listed]) -> list[Read] | None:
        """What was found of just these files."""
        if not self.used or not all(each.version for each in files):
            return None
        if (lines := self._lines(self._name(files))) is None:
            return None
        # Group and manipulation are what the listing says today.
        return [replace(Read.of(line), file=each) for line, each in zip(lines.splitlines(), files, strict=True)]

    def keep(self, files: Sequence[Listed], reads: Sequence[Read]) -> None:
        """Keep what was found of files whose pack is in the place."""
        if not self.used:
            return
        checksum = hashlib.sha256()
        with tempfile.NamedTemporaryFile(prefix="forgery-reads-") as file:
            file.write(b"0" * _CHECKSUM + b"\n")
            for each in reads:
                line = each.line().encode()
                checksum.update(line)
                file.write(line)
            file.seek(0)
            file.write(checksum.hexdigest().encode())
            file.flush()
            self._place.put(self._name(files), Path(file.name))

    def _name(self, files: Sequence[Listed]) -> str:
        content = hashlib.sha256(repr([each.key for each in files]).encode())
        return f"{self._prefix}/{content.hexdigest()[:_KEY_DIGITS]}.jsonl"

    def _lines(self, name: str) -> bytes | None:
        checksum, _, lines = (self._place.read(name) or b"").partition(b"\n")
        if checksum and hashlib.sha256(lines).hexdigest().encode() != checksum:
            self._place.warn(f"{name} is damaged")
            return None
        return lines if checksum else None


def stored_packs(place: OptionalPlace | Place) -> set[str]:
    """Names of the packs in a place."""
    return {Path(name).name for name in place.names(STORED)}


@cache
def _code() -> str:
    """Digest of the code that decides what is found of a file."""
    from forgery import picture

    content = hashlib.sha256()
    for module in (intake, picture):
        content.update(Path(str(module.__file__)).read_bytes())
    return content.hexdigest()
