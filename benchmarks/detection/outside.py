"""Detectors of the protocol on fresh forgeries from photographs that none of them has seen.

    python -m benchmarks.detection.outside SOURCE PHOTOGRAPHS --out OUT [--systems blocks] [--folds 0 1] [--page FILE]

SOURCE and OUT are those of a run of `python -m benchmarks.detection`; PHOTOGRAPHS is a folder of pictures. Each is cut
and saved as cameras do, half of the cuts are then edited, and all go through the same two further saves. Figures go to
`OUT/outside.json` and `OUT/outside.md`, and between the page's two `outside` comments.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from benchmarks.detection.forging import forge
from benchmarks.detection.measure import area, within_picture
from benchmarks.detection.protocol import Protocol
from benchmarks.detection.report import interval, number
from benchmarks.detection.systems import DEFAULT, SYSTEMS
from benchmarks.page import with_rows
from forgery.histories import saved
from forgery.metrics import Estimate
from forgery.progress import track
from forgery.recipes import Evidence, Recipe

logger = logging.getLogger(__name__)

BEGIN, END = "<!-- outside: written by benchmarks.detection.outside -->", "<!-- /outside -->"
AUTHENTIC = "authentic"
_SIDES_PX = ((480, 320), (384, 256), (640, 480))
_LONGER_SIDE_PX = (560, 1280)  # a photograph is shrunk to between these before it is cut
_CAMERA_QUALITIES, _EDITOR_QUALITIES, _LAST_QUALITY = (80, 84, 88, 90, 93, 96), (72, 78, 82, 86, 90, 94), 90
_SUBSAMPLINGS = (0, 2)
_SEED = 5


@dataclass(frozen=True)
class Cut:
    """One picture: its photograph's number, the kind of edit or `authentic`, and its mask, uint8 [h, w], 255 edited."""

    picture: Image.Image
    photograph: int
    kind: str
    mask: NDArray[np.uint8]


class OutsideFigures(BaseModel):
    """One detector: ROC AUC over all pictures and by kind of edit, and its map within the edited pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str
    fold: int
    pictures: dict[str, int]
    roc_auc: Estimate
    by_kind: dict[str, Estimate]
    within: dict[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pictures, ask each detector, write figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=[DEFAULT])
    parser.add_argument("--folds", nargs="*", type=int, default=[0])
    parser.add_argument("--cuts", type=int, default=10, help="of each photograph")
    parser.add_argument("--page", type=Path, help="a Markdown page")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    cuts = make_cuts(chosen.photographs, chosen.cuts)
    protocol = Protocol(chosen.source, chosen.out)
    found = [figures for name in chosen.systems for figures in _figures(protocol, name, chosen.folds, cuts)]
    (chosen.out / "outside.json").write_text("\n".join(each.model_dump_json() for each in found) + "\n")
    table = markdown(found)
    (chosen.out / "outside.md").write_text(table)
    if chosen.page:
        chosen.page.write_text(with_rows(chosen.page.read_text(), table, BEGIN, END))
    return 0


def make_cuts(folder: Path, per_photograph: int) -> list[Cut]:
    """Every other cut of each photograph is edited, splices with content of another photograph."""
    files = sorted(each for each in folder.iterdir() if each.suffix.lower() in (".jpg", ".jpeg", ".png"))
    numbered = [(number, index) for index in range(len(files)) for number in range(per_photograph)]
    return [_cut(files, number, index) for number, index in track(numbered, len(numbered), "cutting")]


def _cut(files: list[Path], number: int, index: int) -> Cut:
    random = np.random.default_rng([_SEED, index, number])
    pixels = _camera_picture(files[index], random)
    mask, kind = np.zeros(pixels.shape[:2], np.uint8), AUTHENTIC
    if number % 2:
        donor = files[(index + 1 + random.integers(len(files) - 1)) % len(files)]
        pixels, mask, kind = forge(pixels, _camera_picture(donor, random), random)
    edited = _saved(Image.fromarray(pixels), _EDITOR_QUALITIES, random)
    return Cut(saved(edited, quality=_LAST_QUALITY), index, kind, mask * 255)


def _camera_picture(file: Path, random: np.random.Generator) -> NDArray[np.uint8]:
    with Image.open(file) as opened:
        photograph = opened.convert("RGB")
    longer = int(random.integers(*_LONGER_SIDE_PX))
    photograph.thumbnail((longer, longer), Image.Resampling.LANCZOS)
    wanted = _SIDES_PX[random.integers(len(_SIDES_PX))]
    width, height = (min(each, side) for each, side in zip(wanted, photograph.size, strict=True))
    left, top = int(random.integers(photograph.width - width + 1)), int(random.integers(photograph.height - height + 1))
    cut = photograph.crop((left, top, left + width, top + height))
    return np.asarray(_saved(cut, _CAMERA_QUALITIES, random), np.uint8)


def _saved(picture: Image.Image, qualities: Sequence[int], random: np.random.Generator) -> Image.Image:
    return saved(picture, quality=int(random.choice(qualities)), subsampling=int(random.choice(_SUBSAMPLINGS)))


def _figures(protocol: Protocol, name: str, folds: list[int], cuts: list[Cut]) -> list[OutsideFigures]:
    system = SYSTEMS[name]
    maps = _maps(system.parsed, cuts)
    return [_of_fold(name, fold, cuts, *protocol.detector(system, fold).answers(maps)) for fold in folds]


def _maps(recipe: Recipe, cuts: list[Cut]) -> Evidence:
    return np.stack([recipe.compute(cut.picture) for cut in track(cuts, len(cuts), recipe.name)])


def _of_fold(
    name: str, fold: int, cuts: list[Cut], logits: NDArray[np.float32], maps: NDArray[np.float32]
) -> OutsideFigures:
    kinds = np.array([cut.kind for cut in cuts])
    groups = np.array([str(cut.photograph) for cut in cuts])

    def of(chosen: NDArray[np.bool_]) -> Estimate:
        return area(kinds[chosen] != AUTHENTIC, logits[chosen], groups[chosen])

    edits = sorted(set(kinds) - {AUTHENTIC})
    within = {kind: [within_picture(maps[at], cuts[at].mask) for at in np.flatnonzero(kinds == kind)] for kind in edits}
    return OutsideFigures(
        system=name,
        fold=fold,
        pictures={kind: int((kinds == kind).sum()) for kind in (AUTHENTIC, *edits)},
        roc_auc=of(np.ones(len(kinds), bool)),
        by_kind={kind: of((kinds == kind) | (kinds == AUTHENTIC)) for kind in edits},
        within={kind: float(np.nanmean(values)) for kind, values in within.items()},
    )


def markdown(found: list[OutsideFigures]) -> str:
    """A row for each detector, a column for each kind of edit: ROC AUC of pictures, and within them."""
    kinds = list(found[0].by_kind)
    counts = ", ".join(f"{count} {kind}" for kind, count in found[0].pictures.items())
    lines = [f"Pictures: {counts}. Each cell: ROC AUC [95 % interval over photographs]; within the picture.", ""]
    lines += [f"| system, fold | all | {' | '.join(kinds)} |", "|---|---|" + "---|" * len(kinds)]
    for each in found:
        cells = [f"{interval(each.by_kind[kind])}; {number(each.within[kind])}" for kind in kinds]
        lines.append(f"| {each.system}, {each.fold} | {interval(each.roc_auc)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
