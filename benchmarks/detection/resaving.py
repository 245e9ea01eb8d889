"""What is left of a detector's ROC AUC when edited pictures are handed on otherwise than in the protocol's views.

    python -m benchmarks.detection.resaving SOURCE --out OUT [--systems blocks] [--folds 0] [--page FILE]

SOURCE and OUT are those of a run of `python -m benchmarks.detection`. Both classes have the history of the view
`matched` up to its last save, which is then replaced by another. Each figure is kept in `OUT/resaving` as soon as it is
known, so a run that was stopped goes on; the table goes to `OUT/resaving.md`, and between the page's two `resaving`
comments.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.detection.learning import Detector
from benchmarks.detection.measure import area
from benchmarks.detection.protocol import Protocol
from benchmarks.detection.report import interval
from benchmarks.detection.systems import DEFAULT, SYSTEMS
from benchmarks.detection.views import with_history
from benchmarks.page import with_rows
from forgery.cores import available_cores
from forgery.last_saves import LastSave
from forgery.metrics import Estimate
from forgery.picture import decode
from forgery.progress import track
from forgery.recipes import Evidence, Recipe

logger = logging.getLogger(__name__)

BEGIN, END = "<!-- resaving: written by benchmarks.detection.resaving -->", "<!-- /resaving -->"


LAST_SAVES: Final = {
    "quality 90, as in `matched`": LastSave(),
    "none": LastSave(quality=None),
    "quality 95": LastSave(quality=95),
    "quality 82": LastSave(quality=82),
    "quality 70": LastSave(quality=70),
    "8 pixels cut off, quality 90": LastSave(cut_px=(8, 8)),
    "3 pixels cut off, quality 90": LastSave(cut_px=(3, 3)),
    "enlarged by half, quality 90": LastSave(scale=1.5),
    "shrunk by a quarter, quality 90": LastSave(scale=0.75),
}


class ResavingFigures(BaseModel):
    """ROC AUC of one detector after one last save: over all test pictures, splices and copy-moves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    fold: int
    last_save: str
    all: Estimate
    splice: Estimate
    copy_move: Estimate


def main(arguments: Sequence[str] | None = None) -> int:
    """Save the folds' test pictures anew, ask each detector, write figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=[DEFAULT])
    parser.add_argument("--folds", nargs="*", type=int, default=[0])
    parser.add_argument("--page", type=Path, help="a Markdown page")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    protocol = Protocol(chosen.source, chosen.out)
    table = markdown([each for fold in sorted(chosen.folds) for each in measure(protocol, chosen.systems, fold)])
    (chosen.out / "resaving.md").write_text(table)
    if chosen.page:
        chosen.page.write_text(with_rows(chosen.page.read_text(), table, BEGIN, END, named_by=2))
    return 0


def measure(protocol: Protocol, names: Sequence[str], fold: int) -> list[ResavingFigures]:
    """Systems on a fold's test pictures after each of `LAST_SAVES`; what was measured before is read back.

    Returns:
        In order of systems, then of last saves.
    """
    pictures, test = protocol.pictures, protocol.pictures.of_fold(fold)
    forged, copy_moves, groups = pictures.forged[test], pictures.copy_moves[test], pictures.groups[test]
    kinds = {"all": np.ones(len(test), bool), "splice": ~copy_moves, "copy_move": ~forged | copy_moves}
    kept = protocol.out / "resaving" / f"fold{fold}.jsonl"
    known = _read(kept)
    detectors: dict[str, Detector] = {}
    for last_save, then in LAST_SAVES.items():
        missing = [name for name in names if (name, last_save) not in known]
        recipes = {SYSTEMS[name].recipe: SYSTEMS[name].parsed for name in missing}
        maps = {name: _maps(protocol, recipe, fold, then) for name, recipe in recipes.items()}
        for name in missing:
            if name not in detectors:
                detectors[name] = protocol.detector(SYSTEMS[name], fold)
            logits, _ = detectors[name].answers(maps[SYSTEMS[name].recipe])
            figures = {kind: area(forged[of], logits[of], groups[of]) for kind, of in kinds.items()}
            known[name, last_save] = ResavingFigures(system=name, fold=fold, last_save=last_save, **figures)
            _write(kept, known.values())
            logger.info("%s, fold %d, %s: %s", name, fold, last_save, interval(known[name, last_save].all))
    return [known[name, last_save] for name in names for last_save in LAST_SAVES]


def _read(kept: Path) -> dict[tuple[str, str], ResavingFigures]:
    """Figures by system and last save."""
    lines = kept.read_text().splitlines() if kept.exists() else []
    rows = map(ResavingFigures.model_validate_json, lines)
    return {(row.system, row.last_save): row for row in rows}


def _write(kept: Path, rows: Iterable[ResavingFigures]) -> None:
    kept.parent.mkdir(exist_ok=True)
    partial = kept.with_name(f".{kept.name}")
    partial.write_text("".join(f"{row.model_dump_json()}\n" for row in rows))
    partial.replace(kept)


def _maps(protocol: Protocol, recipe: Recipe, fold: int, then: LastSave) -> Evidence:
    """Of a fold's pictures in the order of `Pictures.rows`; computed each time, since nothing else needs them."""
    tested = {
        index: encoded for index, encoded in protocol.pictures.encoded() if protocol.pictures.folds[index] == fold
    }

    def compute(index: int) -> Evidence:
        picture = with_history(index, tested[index], protocol.pictures, protocol.saves)
        return recipe.compute(decode(then.file(picture)))

    with ThreadPoolExecutor(available_cores()) as pool:
        return np.stack(list(track(pool.map(compute, sorted(tested)), len(tested), "saving again")))


def markdown(found: Sequence[ResavingFigures]) -> str:
    """A row for each detector and last save."""
    lines = ["| system, fold | last save | ROC AUC | splice | copy-move |", "|---|---|---|---|---|"]
    for each in found:
        cells = " | ".join(interval(one) for one in (each.all, each.splice, each.copy_move))
        lines.append(f"| {each.system}, {each.fold} | {each.last_save} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
