"""What all parts of an ingest read, as one stream: copies, conflicts and groups over all of them, in bounded memory."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import IO, Final, NamedTuple

from forgery.dataset.groups import Groups
from forgery.dataset.manifest import Reject
from forgery.dataset.reads import Read, digest_of
from forgery.dataset.sorting import merge_lines, sort_lines

# As it is written: a quote within a text would stand behind a backslash.
_GROUPED: Final = '"group":"'


class Accepted(NamedTuple):
    """One picture of the set; `first` is the smallest digest in its group, which is its own where it has none."""

    read: Read
    group: str | None
    first: str


class Joined:
    """Files that are accepted and rejected, all parts together, see `join_reads`."""

    def __init__(self, folder: Path, pictures: int, rejects: int) -> None:
        """Take what was written to a folder."""
        self._folder = folder
        self.count = pictures
        self.rejected = rejects

    def pictures(self) -> Iterator[Accepted]:
        """All pictures in order of digest."""
        with (self._folder / "accepted.jsonl").open() as lines, (self._folder / "groups.jsonl").open() as groups:
            for line in lines:
                read = Read.of(line)
                group, first = json.loads(next(groups))[1:] if _GROUPED in line else (None, str(read.digest))
                yield Accepted(read, group, first)

    def rejects(self) -> Iterator[Reject]:
        """All rejects in order of name."""
        with (self._folder / "rejects.jsonl").open() as lines:
            yield from map(Reject.model_validate_json, lines)


@contextmanager
def join_reads(reads: Sequence[Path], rejects: Sequence[Path]) -> Iterator[Joined]:
    """Join what all parts read.

    Of equal files the first by source and name is the picture, and the groups of all are one; equal files under both
    labels are in neither class.

    Args:
        reads: Files with a `Read` a line, in order of digest.
        rejects: Files with a `Reject` a line, in any order.
    """
    with tempfile.TemporaryDirectory(prefix="forgery-join-") as scratch:
        folder = Path(scratch)
        groups = Groups()
        with contextlib.ExitStack() as stack:
            accepted, grouped, rejected = (
                stack.enter_context((folder / name).open("w")) for name in ("accepted.jsonl", "grouped", "rejected")
            )
            pictures = _leave_copies_out(merge_lines(reads, digest_of), groups, accepted, grouped, rejected)
        _name_groups(folder, groups)
        files = [*rejects, folder / "rejected"]
        lines = sort_lines((line for file in files for line in _lines(file)), _name_and_reason)
        with (folder / "rejects.jsonl").open("w") as sorted_rejects:
            count = sum(1 for line in lines if sorted_rejects.write(line))
        yield Joined(folder, pictures, count)


def _leave_copies_out(
    reads: Iterator[str], groups: Groups, accepted: IO[str], grouped: IO[str], rejected: IO[str]
) -> int:
    """Write the line of each picture, its group where it has one, and the copies; returns the number of pictures."""
    pictures = 0
    for digest, lines in groupby(reads, digest_of):
        line, *others = lines
        if others:
            copies = sorted((Read.of(each) for each in (line, *others)), key=_place)
            rejected.writelines(reject.model_dump_json() + "\n" for reject in _rejects(copies))
            line = _joined(copies, groups)
            if len({copy.file.label for copy in copies}) > 1:
                continue
        accepted.write(line)
        pictures += 1
        if _GROUPED in line:
            grouped.write(json.dumps([Read.of(line).file.group, digest]) + "\n")
    return pictures


def _place(read: Read) -> tuple[int, str]:
    return read.file.source, read.file.name


def _joined(copies: Sequence[Read], groups: Groups) -> str:
    """The line of the first of equal files, with the first group that is stated; the others' are joined to it."""
    stated = [copy.file.group for copy in copies if copy.file.group is not None]
    for group in stated[1:]:
        groups.join(stated[0], group)
    return replace(copies[0], file=replace(copies[0].file, group=stated[0] if stated else None)).line()


def _rejects(copies: Sequence[Read]) -> Iterator[Reject]:
    first, *others = (copy.file for copy in copies)
    for copy in others:
        if copy.label == first.label:
            yield Reject(name=copy.name, reason="duplicate", message=f"the same bytes as {first.name}")
        else:
            message = f"the same bytes are labelled {first.label} as {first.name}, and {copy.label} here"
            yield Reject(name=copy.name, reason="conflict", message=message)
    if any(copy.label != first.label for copy in others):
        message = f"the same bytes are labelled {first.label} here, and otherwise elsewhere"
        yield Reject(name=first.name, reason="conflict", message=message)


def _name_groups(folder: Path, groups: Groups) -> None:
    """Write digest, group and the group's smallest digest of each picture that has one, in order of digest."""

    def renamed() -> Iterator[str]:
        for line in _lines(folder / "grouped"):
            group, digest = json.loads(line)
            yield json.dumps([groups.find(group), digest]) + "\n"

    def with_first() -> Iterator[str]:
        # Digests are in order already, and those of equal groups stay so.
        for group, lines in groupby(sort_lines(renamed(), _group), _group):
            digests = [json.loads(line)[1] for line in lines]
            yield from (json.dumps([digest, group, digests[0]]) + "\n" for digest in digests)

    with (folder / "groups.jsonl").open("w") as file:
        file.writelines(sort_lines(with_first(), _group))


def _group(line: str) -> str:
    """The first text of a line."""
    return str(json.loads(line)[0])


def _name_and_reason(line: str) -> str:
    reject = json.loads(line)
    return f"{reject['name']}\0{reject['reason']}"


def _lines(file: Path) -> Iterator[str]:
    with file.open() as lines:
        yield from lines
