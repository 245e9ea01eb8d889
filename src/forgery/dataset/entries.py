"""The files of a source in order of name, on disk: a listing of millions takes no memory."""

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from forgery.dataset.sorting import sort_lines
from forgery.dataset.sources import Entry


class Entries(Collection[Entry]):
    """Entries in order of name, which can be gone through again and again."""

    def __init__(self, file: Path, entries: Iterable[Entry]) -> None:
        """Write them to a new file."""
        self._file = file
        self._count = 0
        lines = (f"{entry.size}\t{entry.version}\t{json.dumps(entry.name)}\n" for entry in entries)
        with file.open("w") as ordered:
            for line in sort_lines(lines, _name):
                ordered.write(line)
                self._count += 1

    def __iter__(self) -> Iterator[Entry]:
        """In order of name."""
        with self._file.open() as lines:
            for line in lines:
                size, version, name = line[:-1].split("\t", 2)
                yield Entry(unquoted(name), int(size), version)

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def __contains__(self, entry: object) -> bool:
        """Whether an entry is one of them; all are gone through."""
        return any(each == entry for each in self)


def _name(line: str) -> str:
    return unquoted(line[:-1].split("\t", 2)[2])


def unquoted(text: str) -> str:
    """The value of a text as JSON has it; what it does not escape is read ten times as fast without it."""
    return str(json.loads(text)) if "\\" in text else text[1:-1]
