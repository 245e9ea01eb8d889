# ruff: noqa: S608 - queries are put together from names of columns, which are constants; values never are
"""What validation saw of the pictures, in a table on disk: questions about millions of them take little memory."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from forgery.cores import available_cores
from forgery.dataset.association import RARE, SHOWN_VALUES, TraitCounts
from forgery.dataset.duplicates import BAND_BITS, BANDS, LEAST_DETAIL, near_of_part
from forgery.dataset.manifest import SPLITS, ClassLabel, Split
from forgery.dataset.traits import Traits

# What the engine keeps in memory before it goes on in files beside the table.
_MEMORY: Final = "256MB"
_ROWS_AT_ONCE: Final = 2000

_COLUMNS: Final = {
    "forged": "BOOLEAN",
    "grp": "VARCHAR",
    "split": "VARCHAR",
    "name": "VARCHAR",
    "hash": "UBIGINT",
    "pixels": "BLOB",
    **dict.fromkeys(Traits._fields, "VARCHAR"),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What validation keeps of a picture."""

    label: ClassLabel
    group: str
    split: Split
    name: str
    traits: Traits
    hash: int
    pixels: bytes


@dataclass(frozen=True)
class Pair:
    """Two pictures of different groups that look the same; `identical` ones have equal pixels."""

    first: Seen
    second: Seen
    identical: bool


@dataclass(frozen=True)
class Pairs:
    """How many pairs of different groups look the same, how many of them across splits, and the first ones."""

    count: int
    parted: int
    first: tuple[Pair, ...]


class Looked:
    """A table of the pictures in the order they were seen."""

    def __init__(self, pictures: Iterable[Seen]) -> None:
        """Write all of them; close it with a `with` block."""
        self._folder = tempfile.TemporaryDirectory(prefix="forgery-validate-")
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": _MEMORY,
            "threads": available_cores(),
            "temp_directory": self._folder.name,
        }
        self._table = duckdb.connect(str(Path(self._folder.name, "seen.duckdb")), config=settings)
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        self._table.execute(f"CREATE TABLE seen (id BIGINT, {columns})")
        numbered = enumerate(pictures)
        while batch := list(islice(numbered, _ROWS_AT_ONCE)):
            self._insert(batch)

    def __enter__(self) -> Self:
        """Close with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the table."""
        self._table.close()
        self._folder.cleanup()

    def _insert(self, batch: list[tuple[int, Seen]]) -> None:
        import pyarrow as pa

        rows = [
            (number, each.label == "forged", each.group, each.split, each.name, each.hash, each.pixels, *each.traits)
            for number, each in batch
        ]
        kinds = {"BOOLEAN": pa.bool_(), "VARCHAR": pa.string(), "UBIGINT": pa.uint64(), "BLOB": pa.binary()}
        types = [pa.int64(), *(kinds[kind] for kind in _COLUMNS.values())]
        columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
        self._table.register("batch", pa.table(columns, names=["id", *_COLUMNS]))
        self._table.execute("INSERT INTO seen SELECT * FROM batch")
        self._table.unregister("batch")

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._table.execute(query, list(values)).fetchall()

    def classes(self) -> tuple[int, int]:
        """Authentic and forged pictures."""
        ((authentic, forged),) = self._rows("SELECT count(*) FILTER (NOT forged), count(*) FILTER (forged) FROM seen")
        return authentic, forged

    def groups(self) -> dict[Split, int]:
        """Source groups by split."""
        found = dict(self._rows("SELECT split, count(DISTINCT grp) FROM seen GROUP BY split"))
        return {split: found.get(split, 0) for split in SPLITS}

    def largest_group(self) -> tuple[str, int]:
        """Name and pictures of the largest group."""
        query = "SELECT grp, count(*) AS size FROM seen GROUP BY grp ORDER BY size DESC, grp DESC LIMIT 1"
        return next(iter(self._rows(query)), ("none", 0))

    def parted_groups(self) -> tuple[int, str]:
        """How many groups lie in more than one split, and the first of them."""
        query = "SELECT grp FROM seen GROUP BY grp HAVING count(DISTINCT split) > 1"
        ((count, first),) = self._rows(f"SELECT count(*), min(grp) FROM ({query})")
        return count, first or ""

    def conflicts(self) -> tuple[int, list[str]]:
        """How many files have pixels that stand under both labels, one a label, and the first two of them."""
        query = (
            "WITH under AS (SELECT pixels, min(id) AS id FROM seen GROUP BY pixels, forged), "
            "doubled AS (SELECT id, min(id) OVER same AS first, count(*) OVER same AS n "
            "FROM under WINDOW same AS (PARTITION BY pixels)) "
            "SELECT name FROM doubled JOIN seen USING (id) WHERE n > 1 ORDER BY first, id"
        )
        ((count,),) = self._rows(f"SELECT count(*) FROM ({query})")
        return count, [name for (name,) in self._rows(f"{query} LIMIT 2")]

    def trait(self, field: str) -> TraitCounts:
        """How often each value of a trait stands under each label."""
        counts = (
            f"SELECT {field} AS value, count(*) AS n, count(*) FILTER (forged) AS f, min(id) AS first "
            "FROM seen GROUP BY value"
        )
        ranked = f"SELECT *, row_number() OVER (ORDER BY n DESC, first) AS place FROM ({counts})"
        kept = f"SELECT value, n - f, f FROM ({ranked}) WHERE n >= ? OR place <= ? ORDER BY place"
        ((distinct,),) = self._rows(f"SELECT count(DISTINCT {field}) FROM seen")
        return TraitCounts(distinct, *self.classes(), tuple(self._rows(kept, RARE, SHOWN_VALUES)))

    def sample(self, most: int) -> tuple[list[Traits], NDArray[np.bool_], list[str]]:
        """Traits, whether forged, and groups of at most so many pictures, all of a group but the last one's.

        In the order seen; where there are more, those of the groups whose names' hashes come first.
        """
        chosen = "SELECT id, md5(grp) AS mixed FROM seen ORDER BY mixed, id LIMIT ?"
        fields = ", ".join(Traits._fields)
        self._table.execute(
            f"SELECT forged, grp, {fields} FROM seen SEMI JOIN ({chosen}) USING (id) ORDER BY id", [most]
        )
        traits, forged, groups = [], [], []
        while rows := self._table.fetchmany(_ROWS_AT_ONCE):
            # Few of them differ, and each would be a text of its own.
            traits += [Traits(*map(sys.intern, row[2:])) for row in rows]
            forged += [row[0] for row in rows]
            groups += [row[1] for row in rows]
        return traits, np.array(forged, bool), groups

    def near_pairs(self, shown: int) -> Pairs:
        """Pictures of different groups whose hashes are all but equal: within a group, likeness is what it is for."""
        self._table.execute("CREATE OR REPLACE TABLE near (a BIGINT, b BIGINT)")
        for band in range(BANDS):
            for pairs in self._pairs_of_band(band):
                self._note_pairs(pairs)
        query = (
            "SELECT a, b FROM (SELECT DISTINCT least(a, b) AS a, greatest(a, b) AS b FROM near) "
            "JOIN seen AS one ON one.id = a JOIN seen AS two ON two.id = b WHERE one.grp != two.grp"
        )
        ((count, parted),) = self._rows(
            f"SELECT count(*), count(*) FILTER (one.split != two.split) FROM ({query}) "
            "JOIN seen AS one ON one.id = a JOIN seen AS two ON two.id = b"
        )
        return Pairs(
            count, parted, tuple(self._pair(a, b) for a, b in self._rows(f"{query} ORDER BY a, b LIMIT {shown}"))
        )

    def _pair(self, a: int, b: int) -> Pair:
        fields = ", ".join(["forged", "grp", "split", "name", "hash", "pixels", *Traits._fields])
        rows = self._rows(f"SELECT {fields} FROM seen WHERE id IN (?, ?) ORDER BY id", a, b)
        first, second = (
            Seen("forged" if forged else "authentic", group, split, name, Traits(*traits), number, pixels)
            for forged, group, split, name, number, pixels, *traits in rows
        )
        return Pair(first, second, first.pixels == second.pixels)

    def _pairs_of_band(self, band: int) -> Iterator[NDArray[np.int64]]:
        """Pairs that share a part of their hashes, those of many parts together."""
        waiting: list[NDArray[np.int64]] = []
        for values, ids in self._parts(band):
            waiting += [ids[pairs] for pairs in near_of_part(values)]
            if sum(map(len, waiting)) > _ROWS_AT_ONCE:
                yield np.concatenate(waiting)
                waiting = []
        if waiting:
            yield np.concatenate(waiting)

    def _parts(self, band: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
        """Hashes and ids of the pictures that share a part, in order of hash, then id; sorted on disk."""
        detailed = f"bit_count(hash) BETWEEN {LEAST_DETAIL} AND {64 - LEAST_DETAIL}"
        part = f"(hash >> {band * BAND_BITS}) & {(1 << BAND_BITS) - 1}"
        with self._table.cursor() as cursor:
            cursor.execute(f"SELECT {part} AS part, hash, id FROM seen WHERE {detailed} ORDER BY part, hash, id")
            rest: list[tuple[int, int, int]] = []
            while True:
                rows = cursor.fetchmany(_ROWS_AT_ONCE)
                rest += rows
                # The last part may go on in the rows to come.
                complete = rest if not rows else [row for row in rest if row[0] != rest[-1][0]]
                yield from _by_part(complete)
                if not rows:
                    return
                rest = rest[len(complete) :]

    def _note_pairs(self, pairs: NDArray[np.int64]) -> None:
        import pyarrow as pa

        self._table.register("found", pa.table({"a": pairs[:, 0], "b": pairs[:, 1]}))
        self._table.execute("INSERT INTO near SELECT * FROM found")
        self._table.unregister("found")


def _by_part(rows: list[tuple[int, int, int]]) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    if not rows:
        return
    table = np.array(rows, dtype=np.uint64)
    for part in np.split(table, np.flatnonzero(np.diff(table[:, 0])) + 1):
        if len(part) > 1:
            yield part[:, 1], part[:, 2].astype(np.int64)
