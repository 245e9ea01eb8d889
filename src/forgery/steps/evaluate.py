"""Measure challenger and champion, seal the bundle, write the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from forgery.bundle import CARD_FILE, open_bundle
from forgery.config import RunConfig
from forgery.engine import Engine
from forgery.evaluation.evaluate import evaluate as measure
from forgery.evaluation.examples import collect_examples
from forgery.evaluation.figures import CLASSES, roc_points, scalar_metrics
from forgery.evaluation.report import report_html
from forgery.evaluation.scores import ModelScores
from forgery.metrics import confusion_matrix
from forgery.promotion import Verdict, judge
from forgery.steps.champion import read_champion
from forgery.tracking import NOTE_TAG, open_run


@dataclass(frozen=True)
class Measured:
    """What the pipeline's metrics artifacts show of a comparison."""

    model_version: str
    scalars: dict[str, float]
    classifications: tuple["Classification", ...]  # the challenger's, then the champion's if there is one


@dataclass(frozen=True)
class Classification:
    """One model's answers: class names and counts (rows are the truth), false and true positive rates, thresholds."""

    confusion: tuple[list[str], list[list[int]]]
    roc: tuple[list[float], list[float], list[float]]

    @classmethod
    def of(cls, scores: ModelScores) -> Self:
        """Over the judged views, pooled."""
        return cls((CLASSES, confusion_matrix(scores.outcome)), roc_points(scores))


def evaluate(
    answers: Sequence[Path],
    image_set: Path,
    draft: Path,
    champion: Path,
    bundle: Path,
    comparison: Path,
    report: Path,
    *,
    config: RunConfig,
) -> Measured:
    """Write the sealed bundle, the comparison as JSON and the report as HTML; log the figures to MLflow.

    `answers` are those of the parts that were scored before.
    """
    _, current = read_champion(champion)
    compared = measure(image_set, draft, current, bundle, config, answers)
    compared.write(comparison)
    examples = collect_examples(image_set, compared.challenger, Engine(open_bundle(bundle, verify=False)))
    page = report_html(compared, examples, config.rule.bootstrap_draws, config.seed)
    report.write_text(page)
    models = [scores for scores in (compared.challenger, compared.champion) if scores is not None]
    shown = tuple(Classification.of(scores) for scores in models)
    measured = Measured(compared.challenger.model_version, scalar_metrics(compared), shown)
    _track(config, bundle, measured, page, judge(compared.challenger, compared.champion, config.rule))
    return measured


def _track(config: RunConfig, bundle: Path, measured: Measured, page: str, verdict: Verdict) -> None:
    info = open_bundle(bundle, verify=False).info
    tags = {"bundle_digest": measured.model_version, "verdict": verdict.reason, "promoted": str(verdict.promote)}
    with open_run(config.tracking, info.lineage.run_id, tags | {NOTE_TAG: verdict.markdown}) as run:
        run.log_params({"recipe": info.recipe, "variants": info.lineage.config.get("variants", [])})
        run.log_metrics({f"test_{name}": value for name, value in measured.scalars.items()})
        run.log_text(page, "evaluation.html")
        run.log_artifact(bundle / CARD_FILE)
