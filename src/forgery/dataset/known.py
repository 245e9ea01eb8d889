"""Which files of a listing an earlier run has read, as far as their packs are still there."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.dataset.reads import KeptReads, Listed, Read, digest_of, limits_of, place_of_reads, stored_packs
from forgery.dataset.sorting import sort_lines

# The first name in a line of `Read` is the file's, as JSON has it.
_NAME: Final = re.compile(r'"name":("(?:[^"\\]|\\.)*")')


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
        for number, files in itertools.groupby(map(Listed.of, lines), key=attrgetter("source")):
            for file, read in _matched(files, _kept(sources[number], options, cache)):
                if read is None:
                    rest.write(file.line())
                else:
                    replace(read, file=file).write(found, rejected)
    with new.with_suffix(".known").open() as lines, known.open("w") as ordered:
        ordered.writelines(sort_lines(lines, digest_of))


def _matched(files: Iterable[Listed], kept: Iterator[Read]) -> Iterator[tuple[Listed, Read | None]]:
    """Each file, with what is kept of it; both are in order of name, and of a name several versions may be kept."""
    read = next(kept, None)
    for file in files:
        found = None
        while read is not None and read.file.name <= file.name:
            # Of a source that cannot tell versions nothing is known.
            if file.version and read.file.key == file.key:
                found = read
            read = next(kept, None)
        yield file, found


def _kept(source: str, options: DataOptions, cache: str) -> Iterator[Read]:
    """All that is kept of a source in order of name, as far as its packs are there."""
    reads = KeptReads(place_of_reads(source, options, cache), source, limits_of(options))
    packs = stored_packs(reads.place)
    found = map(Read.of, sort_lines(reads.lines(), _name_of))
    return (read for read in found if read.pack is None or read.pack in packs)


def _name_of(line: str) -> str:
    name = _NAME.search(line)
    return str(json.loads(name[1])) if name else ""
