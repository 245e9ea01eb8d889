"""Measure serving on two cores and write the tables of `docs/performance.md`.

A row of JSON is printed for each ratio. With --fuzz or --soak only those are run.
"""

import argparse
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.page import with_tables
from benchmarks.rows import Row
from benchmarks.serving import batching, endurance, memory, speed
from benchmarks.serving.models import KINDS, make_bundle
from benchmarks.serving.pictures import photograph
from benchmarks.serving.report import BEGIN, END, ratios, tables
from benchmarks.serving.speed import Scale, Speed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
logger = logging.getLogger(__name__)

# Load average from which other programs take a good part of two cores.
_QUIET = 0.7
_BUSY = ": **other programs had most of both cores. Figures of time say little; those of memory hold**"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; returns 1 if a goal is missed."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    use_two_cores()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if chosen.fuzz or chosen.soak:
            rows = _endurance(folder, chosen)
        else:
            rows = _speed(folder, Scale(chosen.rounds, chosen.seconds), chosen)
    sys.stdout.writelines(f"{row.model_dump_json()}\n" for row in rows)
    return 0 if all(row.met for row in rows) else 1


def use_two_cores() -> None:
    """Keep this process, and the servers it starts, to two cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="default: all")
    parser.add_argument("--rounds", type=int, default=60, help="calls of each kind in turn; default: 60")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load; default: 10")
    parser.add_argument("--no-page", action="store_true", help="print only")
    parser.add_argument("--fuzz", type=int, default=0, metavar="N", help="send N hostile requests, e.g. 100000")
    parser.add_argument("--soak", type=float, default=0, metavar="S", help="keep 70 %% load for S seconds, e.g. 1200")
    return parser


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, 2 cores, Python {platform.python_version()}, load average {load:.1f} before it began"
    ) + (_BUSY if load > _QUIET else "")


def _speed(folder: Path, scale: Scale, chosen: argparse.Namespace) -> list[Row]:
    machine, log, picture = _machine(), folder / "servers.log", photograph()
    found: dict[str, Speed] = {}
    rows: list[Row] = []
    for kind in chosen.kinds:
        bundle = make_bundle(KINDS[kind], folder / kind)
        found[kind] = speed.measure(kind, bundle, picture, log, scale)
        rows += [*found[kind].rows, memory.measure(kind, bundle, log)]
        found[kind].figures.update(batching.measure(bundle, scale.rounds))
    if not chosen.no_page:
        profiles = {kind: each.profile for kind, each in found.items()}
        figures = {kind: each.figures for kind, each in found.items()}
        PAGE.write_text(with_tables(PAGE.read_text(), tables(rows, profiles, figures, machine), BEGIN, END))
    return rows


def _endurance(folder: Path, chosen: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    bundles = {kind: make_bundle(KINDS[kind], folder / kind) for kind in chosen.kinds}
    for name, endure, wanted in (("fuzz", endurance.fuzz, chosen.fuzz), ("soak", endurance.soak, chosen.soak)):
        if not wanted:
            continue
        machine = _machine()
        found = [
            row.model_copy(update={"name": f"{kind}: {row.name}"})
            for kind, bundle in bundles.items()
            for row in endure(bundle, wanted, folder / "servers.log").rows
        ]
        if not chosen.no_page:
            begin, end = f"<!-- {name}: written by benchmarks.serving -->", f"<!-- /{name} -->"
            table = f"Last run on {machine}.\n\n{ratios(found)}"
            PAGE.write_text(with_tables(PAGE.read_text(), table, begin, end))
        rows += found
    return rows


if __name__ == "__main__":
    sys.exit(main())
