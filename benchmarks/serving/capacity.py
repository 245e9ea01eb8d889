"""How many replicas a load needs, from the figures of `docs/performance.md`: `python -m benchmarks.serving.capacity`.

The model is the common queue of `servers` equal ones, M/M/c: callers come at random, and each request takes a random
time of that mean (Erlang C; e.g. Gross and Harris, "Fundamentals of Queueing Theory"). Real requests take almost the
same time each, so they wait less than it says: about half as long.
"""

import argparse
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.page import with_tables

PERFORMANCE: Final = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
PAGE: Final = PERFORMANCE.with_name("scale.md")
BEGIN, END = "<!-- capacity: written by benchmarks.serving.capacity -->", "<!-- /capacity -->"

# Cores of the machine that the page's figures are of, both servers on it.
_CORES: Final = 2
# What leaves room for a replica that ends, and keeps the wait short; the benchmark's own load for its p99.
UTILISATION: Final = 0.7
_LOADS: Final = (10.0, 100.0, 1000.0)
_ROW: Final = re.compile(r"^\| (?P<name>[^|]+?) \| (?P<default>[\d.e+-]+) \| (?P<ela>[\d.e+-]+) \|$", re.MULTILINE)
_RUN: Final = re.compile(r"^Last run on (?P<run>[^:\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """What a request of one kind costs.

    Attributes:
        per_core_per_s: Requests a second and core, both servers together, at full load.
        transformer: Part of a request's time that is the transformer's, in (0, 1).
        request_s: Of a single request on an idle machine, whole.
    """

    per_core_per_s: float
    transformer: float
    request_s: float

    def cores(self, rate_per_s: float) -> tuple[int, int]:
        """Cores for transformers and for predictors that such a rate keeps busy to `UTILISATION`."""
        busy = rate_per_s / self.per_core_per_s / UTILISATION
        return math.ceil(busy * self.transformer), math.ceil(busy * (1 - self.transformer))

    def p99_s(self, rate_per_s: float) -> float:
        """99th percentile of a request's time on so many cores; under load a request has one core to itself."""
        servers = sum(self.cores(rate_per_s))
        return max(self.request_s, 1 / self.per_core_per_s) + wait_p99_s(servers, rate_per_s, self.per_core_per_s)


def waits(servers: int, load: float) -> float:
    """Part of the requests that wait: Erlang's C. `load` is the rate over the rate of one server, below `servers`."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1 - (load / servers) * (1 - blocked))


def wait_p99_s(servers: int, rate_per_s: float, server_per_s: float) -> float:
    """99th percentile of the wait for one of `servers`, in seconds; infinite where they are too few."""
    free_per_s = servers * server_per_s - rate_per_s
    if free_per_s <= 0:
        return math.inf
    return max(0.0, math.log(100 * waits(servers, rate_per_s / server_per_s))) / free_per_s


def read_costs(page: str) -> dict[str, Cost]:
    """Costs by kind, from the tables of `docs/performance.md`; KeyError names a figure it lacks."""
    rows = {match["name"]: match for match in _ROW.finditer(page)}
    return {
        kind: Cost(
            per_core_per_s=float(rows["grpc_per_s"][kind]) / _CORES,
            transformer=1 - float(rows["inference"][kind]) / _whole(page, kind),
            request_s=float(rows["grpc_ms"][kind]) / 1000,
        )
        for kind in ("default", "ela")
    }


def _whole(page: str, kind: str) -> float:
    match = re.search(r"^\| \*\*whole[^|]*\| (?P<default>[\d.]+) \| (?P<ela>[\d.]+) \|$", page, re.MULTILINE)
    if match is None:
        raise KeyError("whole")
    return float(match[kind])


def table(page: str) -> str:
    """The capacity table in Markdown."""
    run = _RUN.search(page)
    lines = [
        f"From the run of [performance](performance.md) on {run['run'] if run else 'an unknown machine'}.",
        "",
        "| kind | requests/s and core | requests/s | cores of transformers | cores of predictors | p99, at most, ms |",
        "|---|---|---|---|---|---|",
    ]
    for kind, cost in read_costs(page).items():
        for rate in _LOADS:
            transformers, predictors = cost.cores(rate)
            figures = (
                f"{cost.per_core_per_s:.1f} | {rate:g} | {transformers} | {predictors} | {1000 * cost.p99_s(rate):.0f}"
            )
            lines.append(f"| {kind} | {figures} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.capacity", description=__doc__)
    parser.add_argument("--no-page", action="store_true", help="print only")
    chosen = parser.parse_args(arguments)
    written = table(PERFORMANCE.read_text())
    sys.stdout.write(f"{written}\n")
    if not chosen.no_page:
        PAGE.write_text(with_tables(PAGE.read_text(), written, BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
