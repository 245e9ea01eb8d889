"""The evaluation report: champion beside challenger beside baselines, as one self-contained HTML page."""

from collections.abc import Sequence

from markupsafe import Markup

from forgery.evaluation.examples import Example
from forgery.evaluation.figures import CLASSES, VIEW_METRICS, coverage_and_risk, reliability, roc_points
from forgery.evaluation.findings import measured_limits
from forgery.evaluation.robustness import TITLES
from forgery.evaluation.scores import Comparison, ModelScores
from forgery.evaluation.slices import SLICE_METRICS, slices
from forgery.evaluation.tables import map_table
from forgery.evaluation.wording import MAP_FIGURES, METRIC_TITLES, pretty
from forgery.metrics import DRAWS, Estimate, confusion_matrix, paired_gains
from forgery.reports import render
from forgery.reports.charts import Row, Series, interval_chart, line_chart
from forgery.views import VIEWS

_HEADLINES = ("f1", "balanced_accuracy", "roc_auc")


def report_html(comparison: Comparison, examples: Sequence[Example] = (), draws: int = DRAWS, seed: int = 0) -> str:
    """Render the report.

    Args:
        comparison: What evaluation measured.
        examples: Pictures of the challenger's worst errors and right answers, from `collect_examples`.
        draws: Bootstrap draws for the intervals of gains and slices.
        seed: Of the bootstrap.
    """
    models = {"Challenger": comparison.challenger}
    if comparison.champion:
        models["Champion"] = comparison.champion
    return render(
        "evaluation.html.j2",
        comparison=comparison,
        models=models,
        gains=_gains(comparison, draws, seed),
        metrics=METRIC_TITLES,
        headlines=_HEADLINES,
        limits=measured_limits(comparison),
        interval_charts=[_interval_chart(name, models, comparison) for name in _HEADLINES],
        roc_chart=_roc_chart(models),
        reliability_chart=_reliability_chart(models),
        matrices={name: confusion_matrix(scores.outcome) for name, scores in models.items()},
        verdicts={name: coverage_and_risk(scores) for name, scores in models.items()},
        views={name: told for name, told in VIEWS.items() if name in comparison.challenger.views},
        view_metrics={name: METRIC_TITLES[name] for name in VIEW_METRICS},
        robustness_charts=_robustness_charts(models),
        maps=map_table(comparison.challenger, draws, comparison.confidence, seed),
        map_figures=MAP_FIGURES,
        classes=CLASSES,
        slices=slices(comparison.challenger, draws, comparison.confidence, seed),
        slice_metrics={name: METRIC_TITLES[name] for name in SLICE_METRICS},
        errors=[example for example in examples if not example.right],
        right=[example for example in examples if example.right],
        groups=len(set(comparison.challenger.pictures.groups)),
        pretty=pretty,
        draws=draws,
    )


def _gains(comparison: Comparison, draws: int, seed: int) -> dict[str, Estimate]:
    challenger, champion = comparison.challenger, comparison.champion
    if champion is None:
        return {}
    return paired_gains(
        challenger.outcome,
        champion.outcome,
        challenger.groups_of(challenger.positions),
        draws=draws,
        confidence=comparison.confidence,
        seed=seed,
    )


def _interval_chart(metric: str, models: dict[str, ModelScores], comparison: Comparison) -> Markup:
    rows = [Row(name, scores.metrics[metric]) for name, scores in models.items()]
    rows += [Row(pretty(each.name), each.metrics[metric], quiet=True) for each in comparison.baselines]
    return interval_chart(rows, METRIC_TITLES[metric])


def _roc_chart(models: dict[str, ModelScores]) -> Markup:
    lines = [
        Series(f"{name}, AUC {scores.metrics['roc_auc'].value:.3f}", *roc_points(scores)[:2])
        for name, scores in models.items()
    ]
    chance = Series("chance", (0, 1), (0, 1), quiet=True)
    return line_chart([*lines, chance], "ROC curve", "authentic called forged", "forged called forged", (0, 1), (0, 1))


def _reliability_chart(models: dict[str, ModelScores]) -> Markup:
    lines = [
        Series(f"{name}, ECE {scores.metrics['ece'].value:.3f}", *reliability(scores))
        for name, scores in models.items()
    ]
    perfect = Series("perfectly calibrated", (0, 1), (0, 1), quiet=True)
    return line_chart([*lines, perfect], "Calibration", "probability said", "part that is forged", (0, 1), (0, 1))


def _robustness_charts(models: dict[str, ModelScores]) -> list[Markup]:
    """One for each kind of damage: ROC AUC by level, from mild on the left to strong on the right."""
    measured = {name: scores.robustness for name, scores in models.items() if scores.robustness is not None}
    charts = []
    for kind, (title, label) in TITLES.items() if measured else ():
        lines = []
        for name, robustness in measured.items():
            points = [point for point in robustness.points if point.damage == kind]
            steps = [point.level for point in points]
            values = [point.metrics["roc_auc"].value for point in points]
            lines.append(Series(name, steps, values))
        charts.append(line_chart(lines, title, label, "ROC AUC", y_range=(0.3, 1)))
    return charts
