"""Run the protocol on CASIA v1 (or another set of pictures with groups and masks) and write its tables.

    python -m benchmarks.detection FOLDER --out OUT [--systems blocks ela-cnn] [--folds 0 1 2 3 4] [--weights FILE]

With --page FILE the tables are also written into that page, between its two `tables` comments; rows of systems that OUT
lacks stay.

OUT keeps evidence, networks and answers: a run that was stopped goes on from there, and further systems or folds join
those that are there. `OUT/results.json` and `OUT/results.md` are written anew from all of them after each fold.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.detection.baselines import BASELINES, baseline_verdicts
from benchmarks.detection.measure import view_figures
from benchmarks.detection.pictures import FOLDS
from benchmarks.detection.protocol import Protocol, pooled
from benchmarks.detection.report import BEGIN, END, Results, SystemResult, markdown, system_result
from benchmarks.detection.systems import SYSTEMS, System
from benchmarks.detection.views import RAW, VIEWS
from benchmarks.page import with_rows
from forgery.dataset.manifest import read_info

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the systems and folds asked for, then report on all there are."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.detection", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="pictures: a folder, a zip or an s3:// prefix, as for training")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what is computed")
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS), help="default: all")
    parser.add_argument("--folds", nargs="*", type=int, choices=range(FOLDS), default=list(range(FOLDS)))
    parser.add_argument("--page", type=Path, help="a Markdown page, e.g. docs/detection.md")
    parser.add_argument("--weights", default="", help="start weights of pretrained systems")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    protocol = Protocol(chosen.source, chosen.out, chosen.weights)
    for fold in chosen.folds:
        for name in chosen.systems:
            logger.info("%s, fold %d", name, fold)
            protocol.verdicts(SYSTEMS[name], fold)
            write_report(protocol)
    page = write_report(protocol)
    if chosen.page:
        chosen.page.write_text(with_rows(chosen.page.read_text(), page, BEGIN, END))
    return 0


def write_report(protocol: Protocol) -> str:
    """Figures of every system over the folds it was run on, in both files; returns the Markdown."""
    systems = {name: _result(protocol, system) for name, system in SYSTEMS.items() if _folds(protocol, system)}
    everything = list(range(FOLDS))
    baselines = {name: _baseline(protocol, name, everything) for name in BASELINES}
    results = Results(dataset_digest=read_info(protocol.pictures.image_set).digest, systems={**systems, **baselines})
    (protocol.out / "results.json").write_text(results.model_dump_json(indent=2) + "\n")
    page = markdown(results)
    (protocol.out / "results.md").write_text(page)
    return page


def _folds(protocol: Protocol, system: System) -> list[int]:
    folder = protocol.out / "verdicts" / system.name
    return [fold for fold in range(FOLDS) if all((folder / f"fold{fold}-{view}.npz").exists() for view in VIEWS)]


def _result(protocol: Protocol, system: System) -> SystemResult:
    folds = _folds(protocol, system)
    verdicts = [protocol.verdicts(system, fold) for fold in folds]
    views = {view: view_figures(pooled([each[view] for each in verdicts])) for view in VIEWS}
    return system_result(system, folds, views)


def _baseline(protocol: Protocol, name: str, folds: list[int]) -> SystemResult:
    verdicts = pooled([baseline_verdicts(name, protocol.pictures, fold) for fold in folds])
    return SystemResult(recipe="–", backbone="–", trained_on=[], folds=folds, views={RAW: view_figures(verdicts)})


if __name__ == "__main__":
    sys.exit(main())
