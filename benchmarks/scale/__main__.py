"""Measure what runs cost as data grow, and write the tables of `docs/scale.md`.

What is measured is kept below the work folder, so that a run that was stopped goes on; remove the folder to begin anew.
"""

import argparse
import json
import logging
import os
import platform
import sys
from pathlib import Path

from benchmarks.page import with_tables
from benchmarks.scale.protocol import measure
from benchmarks.scale.report import goals, tables

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
BEGIN, END = "<!-- cost model: begin -->", "<!-- cost model: end -->"


def main() -> int:
    """Returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/scale"), help="results and what is being measured")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000], metavar="PICTURES")
    chosen = parser.parse_args()
    if len(set(chosen.sizes)) < 2:
        parser.error("--sizes needs two sizes at least, to tell how steps grow")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rows = measure(chosen.work.absolute(), chosen.sizes)
    (chosen.work / "scale.json").write_text(json.dumps(rows, indent=2) + "\n")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    PAGE.write_text(with_tables(PAGE.read_text(), tables(rows, machine), BEGIN, END))
    return 0 if all(row.met for row in goals(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
