"""Which files of a listing an earlier run has read, as far as their packs are still there."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.dataset.entries import unquoted
from forgery.dataset.reads import KeptReads, Listed, Read, digest_of, limits_of, place_of_reads, stored_packs
from forgery.dataset.sorting import sort_lines

# The first name in a line of `Read` is the file's, as JSON has it; within a text a quote stands behind a backslash.
_NAME: Final = re.compile(r'"name":("(?:[^"\\]|\\.)*")')
_PACK: Final = re.compile(r'"pack":"([^"]*)"')
_ACCEPTED: Final = '"digest":"'
_MASK_REJECTED: Final = '"mask_message":"'


def part_known(
    listed: Path, sources: Sequence[str], options: DataOptions, cache: str, known: Path, rejects: Path, new: Path
) -> None:
    """Part a listing into what is known and what is new, in one pass over both in order of name.

    Args:
        listed: A `Listed` a line, in order of source and name.
        sources: Text forms by number.
        options: What files are read with, and where packs lie.
        cache: Where what was read is kept; empty for none.
        known: Gets a `Read` a line of the accepted files that are known, in order of digest.
        rejects: Those that are known to be no pictures are appended to it.
        new: Gets the lines of the others.
    """
    with ExitStack() as stack:
        lines, rejected, rest, found = (
            stack.enter_context(path.open(mode))
            for path, mode in ((listed, "r"), (rejects, "a"), (new, "w"), (new.with_suffix(".known"), "w"))
        )
        listing = ((Listed.of(line), line) for line in lines)
        for number, files in itertools.groupby(listing, key=lambda each: each[0].source):
            for line, read in _matched(files, _kept(sources[number], options, cache)):
                if read is None:
                    rest.write(line)
                elif _ACCEPTED in read and _MASK_REJECTED not in read:
                    found.write(read)
                else:
                    Read.of(read).write(found, rejected)
    with new.with_suffix(".known").open() as lines, known.open("w") as ordered:
        ordered.writelines(sort_lines(lines, digest_of))


def _matched(files: Iterable[tuple[Listed, str]], kept: Iterator[str]) -> Iterator[tuple[str, str | None]]:
    """The line of each file, with that of what is kept of it.

    Both are in order of name, and of a name several versions may be kept.
    """
    read = next(kept, None)
    name = _name_of(read or "")
    for file, line in files:
        found = None
        while read is not None and name <= file.name:
            # Of a source that cannot tell versions nothing is known.
            if file.version and name == file.name:
                found = _as_listed(read, file, line) or found
            read = next(kept, None)
            name = _name_of(read or "")
        yield line, found


def _as_listed(read: str, file: Listed, line: str) -> str | None:
    """The line of what was read, group and manipulation as they are listed today; None if another version was read."""
    # Nearly all are as they were, and need not be parsed.
    if read.startswith(f'{{"file":{line[:-1]},'):
        return read
    parsed = Read.of(read)
    return replace(parsed, file=file).line() if parsed.file.key == file.key else None


def _kept(source: str, options: DataOptions, cache: str) -> Iterator[str]:
    """The lines of all that is kept of a source in order of name, as far as its packs are there."""
    reads = KeptReads(place_of_reads(source, options, cache), source, limits_of(options))
    packs = stored_packs(reads.place)
    for line in sort_lines(reads.lines(), _name_of):
        pack = _PACK.search(line)
        if pack is None or pack[1] in packs:
            yield line


def _name_of(line: str) -> str:
    name = _NAME.search(line)
    return unquoted(name[1]) if name else ""
