"""The model card: what a bundle says of its own making, figures and limits, in Markdown."""

import json

from forgery.bundle import BundleInfo
from forgery.config import RunConfig
from forgery.evaluation.figures import CLASSES, VIEW_METRICS, confusion, coverage_and_risk
from forgery.evaluation.findings import measured_limits
from forgery.evaluation.robustness import TITLES
from forgery.evaluation.scores import Comparison
from forgery.evaluation.slices import SLICE_METRICS, slices
from forgery.evaluation.tables import map_table
from forgery.evaluation.wording import MAP_FIGURES, METRIC_TITLES, pretty
from forgery.recipes import parse_recipe
from forgery.reports import render
from forgery.views import VIEWS


def model_card(info: BundleInfo, comparison: Comparison, config: RunConfig) -> str:
    """Render the card of the challenger; the same evaluation gives the same text, hence no date and no latency."""
    scores, rule = comparison.challenger, config.rule
    coverage, risk = coverage_and_risk(scores)
    return render(
        "model_card.md.j2",
        info=info,
        content=bool(parse_recipe(info.recipe).content_channels),
        scores=scores,
        comparison=comparison,
        metrics=METRIC_TITLES,
        classes=CLASSES,
        matrix=confusion(comparison)[1],
        coverage=coverage,
        risk=risk,
        views=VIEWS,
        view_metrics={name: METRIC_TITLES[name] for name in VIEW_METRICS},
        damages=TITLES,
        maps=map_table(scores, rule.bootstrap_draws, rule.confidence, config.seed),
        map_figures=MAP_FIGURES,
        slices=slices(scores, rule.bootstrap_draws, rule.confidence, config.seed),
        slice_metrics={name: METRIC_TITLES[name] for name in SLICE_METRICS},
        limits=measured_limits(comparison),
        pretty=pretty,
        training=json.dumps(info.lineage.config, indent=2, sort_keys=True),
        draws=rule.bootstrap_draws,
    )
