"""Measure the drift rule on a model's bundle and write `docs/drift.md`.

`python -m benchmarks.drift BUNDLE PICTURES`: the bundle's folder, and a folder of labelled pictures with source groups
that it was not trained on, e.g. from `forgery data make PICTURES --pictures 1200 --seed 7`.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.drift.rates import Rate, rate
from benchmarks.drift.streams import COPIES, SAME, Seen, fewer_forged, read_pictures, see
from forgery.bundle import Bundle, open_bundle
from forgery.engine import PROBABILITY, Engine
from forgery.monitoring.drift import DriftRule
from forgery.recipes import Evidence

PAGE = Path(__file__).resolve().parents[2] / "docs" / "drift.md"
WINDOWS = (200, 400)
DRAWS = 400
_FEW_FORGED = 0.1
logger = logging.getLogger(__name__)


def streams(bundle: Bundle, pictures: Path) -> dict[str, list[Seen]]:
    """Every stream, by its name; the first is unshifted."""
    engine = Engine(bundle)

    def score(maps: Sequence[Evidence]) -> list[float]:
        return [float(each) for each in engine.predict(np.stack(maps))[PROBABILITY]]

    read = read_pictures(pictures)
    found: dict[str, list[Seen]] = {}
    for name, copy in COPIES.items():
        found[name] = see(read, copy, bundle.recipe, score)
        logger.info("%s: %d pictures", name, len(found[name]))
    found[f"one picture in {round(1 / _FEW_FORGED)} forged"] = fewer_forged(found[SAME], _FEW_FORGED, seed=0)
    return found


def page(bundle: Bundle, found: Mapping[str, Sequence[Seen]], rates: Mapping[tuple[str, int], Rate]) -> str:
    """The experiment as Markdown."""
    known, rule = found[SAME], DriftRule()
    groups = len({each.group for each in known})
    lines = [
        "<!-- Written by `python -m benchmarks.drift`; never edited. -->",
        "",
        "# How often the drift rule speaks up",
        "",
        f"A `{bundle.info.backbone}` on `{bundle.info.recipe}`, and {len(known)} pictures of {groups} source "
        "groups, made from the photographs that its training pictures were made from, by another seed. In each draw "
        f"half of the groups are the reference; of the pictures of the other half comes the window, shifted or not. "
        f"{DRAWS} draws a cell; the defaults of the rule: index {rule.psi:g}, alpha {rule.alpha:g} over all columns.",
        "",
        f"| stream | {' | '.join(f'windows of {window}' for window in WINDOWS)} | by |",
        f"|---|{'---|' * len(WINDOWS)}---|",
    ]
    for name in found:
        cells = [_cell(rates.get((name, window))) for window in WINDOWS]
        columns = rates[name, WINDOWS[0]].columns.most_common(4)
        lines.append(f"| {name} | {' | '.join(cells)} | {', '.join(column.lower() for column, _ in columns) or '–'} |")
    lines += [
        "",
        "The first row is the rate of false alarms. Pictures of one source count as one picture of the reference, and "
        "a shift must be large besides being no accident, which keeps it below alpha. The last row is another mix of "
        "the same pictures, fewer of them forged than in validation; without a figure there were too few for a window.",
        "",
    ]
    return "\n".join(lines)


def _cell(found: Rate | None) -> str:
    return "–" if found is None else f"{100 * found.part:.1f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiment and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path)
    flags = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bundle = open_bundle(flags.bundle)
    found = streams(bundle, flags.pictures)
    rates = {
        (name, window): rate(found[SAME], stream, window, DRAWS, seed=0)
        for name, stream in found.items()
        for window in WINDOWS
        if len(stream) >= 2.2 * window  # half of the groups are not exactly half of the pictures
    }
    PAGE.write_text(page(bundle, found, rates))
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
