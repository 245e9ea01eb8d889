"""Lines by the million in order, in bounded memory: runs are sorted and written, then merged."""

import contextlib
import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

_RUN_BYTES: Final = 4_000_000
# What Python adds to a line and its key.
_OVERHEAD_BYTES: Final = 200
# After so many runs they are twice as large, since all of them are open when they are merged.
_RUNS_OF_A_SIZE: Final = 100


def sort_lines(lines: Iterable[str], key: Callable[[str], str], run_bytes: int = _RUN_BYTES) -> Iterator[str]:
    """Sort lines, which end in a line break, by a key; those with equal keys stay as they came.

    Args:
        lines: Taken once.
        key: Of a line.
        run_bytes: What of them is in memory at once, until there are a hundred runs of it.
    """
    with tempfile.TemporaryDirectory(prefix="forgery-sort-") as folder:
        runs: list[Path] = []
        run: list[str] = []
        size = 0
        for line in lines:
            run.append(line)
            size += len(line) + _OVERHEAD_BYTES
            if size >= run_bytes << len(runs) // _RUNS_OF_A_SIZE:
                runs.append(_written(sorted(run, key=key), Path(folder, str(len(runs)))))
                run, size = [], 0
        run.sort(key=key)
        yield from heapq.merge(merge_lines(runs, key), run, key=key) if runs else run


def merge_lines(files: Sequence[Path], key: Callable[[str], str]) -> Iterator[str]:
    """The lines of files that are sorted by a key, in order of it; of equal ones those of earlier files first."""
    with contextlib.ExitStack() as stack:
        yield from heapq.merge(*(stack.enter_context(file.open()) for file in files), key=key)


def _written(lines: Iterable[str], file: Path) -> Path:
    with file.open("w") as target:
        target.writelines(lines)
    return file
