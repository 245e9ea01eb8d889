"""The model card: what a bundle says of its own making, figures and limits, in Markdown."""

import json

from forgery.bundle import BundleInfo
from forgery.config import RunConfig
from forgery.evaluation.figures import CLASSES, confusion, given_verdicts
from forgery.evaluation.scores import Comparison
from forgery.evaluation.slices import SLICE_METRICS, slices
from forgery.evaluation.wording import METRIC_TITLES, file_history, pretty
from forgery.reports import render


def model_card(info: BundleInfo, comparison: Comparison, config: RunConfig) -> str:
    """Render the card of the challenger; the same evaluation gives the same text, hence no date and no latency."""
    scores, rule = comparison.challenger, config.rule
    coverage, accuracy = given_verdicts(scores)
    return render(
        "model_card.md.j2",
        info=info,
        scores=scores,
        comparison=comparison,
        metrics=METRIC_TITLES,
        classes=CLASSES,
        matrix=confusion(comparison)[1],
        coverage=coverage,
        given_accuracy=accuracy,
        slices=slices(scores, rule.bootstrap_draws, rule.confidence, config.seed),
        slice_metrics={name: METRIC_TITLES[name] for name in SLICE_METRICS},
        history=file_history(comparison),
        pretty=pretty,
        training=json.dumps(info.lineage.config, indent=2, sort_keys=True),
        draws=rule.bootstrap_draws,
    )
