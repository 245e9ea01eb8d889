"""Measure challenger and champion, seal the bundle, write the report."""

from dataclasses import dataclass
from pathlib import Path

from forgery.bundle import CARD_FILE, open_bundle
from forgery.config import RunConfig
from forgery.engine import Engine
from forgery.evaluation.evaluate import evaluate as measure
from forgery.evaluation.examples import collect_examples
from forgery.evaluation.figures import confusion, roc, scalar_metrics
from forgery.evaluation.report import report_html
from forgery.promotion import Verdict, judge
from forgery.steps.champion import read_champion
from forgery.tracking import NOTE_TAG, open_run


@dataclass(frozen=True)
class Measured:
    """What the pipeline's metrics artifacts show of a comparison."""

    model_version: str
    scalars: dict[str, float]
    confusion: tuple[list[str], list[list[int]]]
    roc: tuple[list[float], list[float], list[float]]


def evaluate(
    image_set: Path, draft: Path, champion: Path, bundle: Path, comparison: Path, report: Path, *, config: RunConfig
) -> Measured:
    """Write the sealed bundle, the comparison as JSON and the report as HTML; log the figures to MLflow."""
    _, current = read_champion(champion)
    compared = measure(image_set, draft, current, bundle, config)
    compared.write(comparison)
    examples = collect_examples(image_set, compared.challenger, Engine(open_bundle(bundle, verify=False)))
    page = report_html(compared, examples, config.rule.bootstrap_draws, config.seed)
    report.write_text(page)
    measured = Measured(compared.challenger.model_version, scalar_metrics(compared), confusion(compared), roc(compared))
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
