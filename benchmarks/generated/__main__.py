"""Train recipes of whole pictures on enlarged pictures and write what evaluation says of them.

python -m benchmarks.generated --out OUT [--photographs FOLDER] [--page docs/generated.md]
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.generated.pictures import make_pictures
from forgery.config import RunConfig
from forgery.dataset.ingest import ingest
from forgery.evaluation.evaluate import evaluate
from forgery.evaluation.scores import Comparison, ModelScores
from forgery.evaluation.slices import slices
from forgery.evidence import build_evidence
from forgery.metrics import Estimate
from forgery.recipes import parse_recipe
from forgery.training.train import train

RECIPES = ("rgb1_128_upright", "fft1_128", "ela1_q90_gain15_128_bilinear")
BEGIN, END = "<!-- table: written by benchmarks.generated -->", "<!-- /table -->"
logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pictures, then train and measure each recipe that is not measured yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generated", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps what is computed")
    parser.add_argument("--photographs", type=Path, help="folder of JPEG files; default: those of installed packages")
    parser.add_argument("--page", type=Path, help="a Markdown page with the two `table` comments")
    parser.add_argument("--recipes", nargs="*", default=RECIPES)
    parser.add_argument("--epochs", type=int, default=8)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    image_set = _image_set(chosen.out, chosen.photographs)
    found = {name: _measured(image_set, name, chosen.epochs, chosen.out / name) for name in chosen.recipes}
    table = markdown(found)
    (chosen.out / "results.md").write_text(table)
    if chosen.page:
        page = chosen.page.read_text()
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        chosen.page.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}")
    return 0


def _image_set(out: Path, photographs: Path | None) -> Path:
    folder = out / "images"
    if not folder.exists():
        make_pictures(out / "pictures", photographs)
        ingest(str(out / "pictures"), folder, RunConfig().data, seed=0)
    return folder


def _measured(image_set: Path, recipe: str, epochs: int, out: Path) -> ModelScores:
    kept = out / "comparison.json"
    if not kept.exists():
        options = {"epochs": epochs, "learning_rate": 1e-3}
        places = {"tracking": "", "checkpoints": ""}
        config = RunConfig.read({"recipe": recipe, "variants": [], "training": options, **places})
        if not (out / "evidence").exists():
            build_evidence(image_set, out / "evidence", parse_recipe(recipe))
        if not (out / "draft").exists():
            train(out / "evidence", out / "draft", config, None, "benchmark")
        evaluate(image_set, out / "draft", None, out / "bundle", config).write(kept)
    return Comparison.read(kept).challenger


def markdown(found: dict[str, ModelScores]) -> str:
    """A row for each recipe and view: ROC AUC of all, and of each way to enlarge over all judged copies."""
    views = list(next(iter(found.values())).views)
    kinds = ("smooth", "chequerboard")
    head = ["recipe", *(f"ROC AUC, {view}" for view in views), *(f"{kind}, judged copies" for kind in kinds)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, scores in found.items():
        parts = {
            part.name: part.figures["roc_auc"] for part in slices(scores, 1000, 0.95) if part.kind == "manipulation"
        }
        cells = [scores.views[view].metrics["roc_auc"] for view in views] + [parts.get(kind) for kind in kinds]
        lines.append(f"| `{name}` | {' | '.join(map(_estimate, cells))} |")
    return "\n".join(lines) + "\n"


def _estimate(estimate: Estimate | None) -> str:
    return "–" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
