"""Run the benchmarks and write `docs/benchmarks.md`.

A benchmark is a module of this package with a function `measure() -> list[Row]`; modules whose name starts with an
underscore, `rows` and `page` are none. Name some to run only those: `python -m benchmarks data`.
"""

import argparse
import importlib
import logging
import os
import pkgutil
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import benchmarks
from benchmarks.rows import Row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
logger = logging.getLogger(__name__)

_PARTS = ("page", "rows")


def names() -> list[str]:
    """The benchmarks there are."""
    # Packages are protocols with a command of their own, e.g. `python -m benchmarks.detection`.
    found = (module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg)
    return [name for name in found if not name.startswith("_") and name not in _PARTS]


def measure(chosen: Iterable[str]) -> list[Row]:
    """Run benchmarks one after the other, in this process."""
    rows: list[Row] = []
    for name in chosen:
        begin = time.monotonic()
        rows += importlib.import_module(f"benchmarks.{name}").measure()
        logger.info("%s: %.0f s", name, time.monotonic() - begin)
    return rows


def page(rows: Sequence[Row], machine: str) -> str:
    """The table as Markdown, with how to repeat it."""
    head = (
        "<!-- Written by `make bench`; never edited. -->\n\n"
        "# Benchmarks\n\n"
        "Ratios within one run: both sides of each are measured in turn on the same machine, minutes apart at most, so "
        "that they say the same on a faster or a busier one. Repeat them with `make bench`, or one module with "
        "`.venv/bin/python -m benchmarks NAME`.\n\n"
        f"Last run on {machine}.\n\n"
        "| what | ratio | goal | met |\n|---|---|---|---|\n"
    )
    return head + "".join(
        f"| {row.name} | {row.ratio:.2f} | {row.goal} | {'yes' if row.met else 'no'} |\n" for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all benchmarks, or those named; returns 1 if a goal is missed. Only a full run writes the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names())}")
    chosen = parser.parse_args(arguments).names
    if unknown := set(chosen) - set(names()):
        parser.error(f"no benchmark {min(unknown)!r}; there are {', '.join(names())}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rows = measure(chosen or names())
    sys.stdout.writelines(f"{row.model_dump_json()}\n" for row in rows)
    if not chosen:
        PAGE.write_text(page(rows, f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
