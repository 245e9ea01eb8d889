"""Plain data for metrics tables and charts: finite numbers, ready for a pipeline's metrics artifacts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from forgery.bundle import Headline
from forgery.evaluation.robustness import ROBUSTNESS_METRICS
from forgery.evaluation.scores import Comparison, ModelScores, ViewScores
from forgery.metrics import Estimate, confusion_matrix

CLASSES = ["authentic", "forged"]
# What every table of views shows.
VIEW_METRICS = ("roc_auc", "f1", "balanced_accuracy")
CONTROL = "control_roc_auc"
_OF_VIEW = (*VIEW_METRICS, CONTROL)
# The Kubeflow UI draws each point; more than this only slow it down.
_CURVE_POINTS = 100
_RELIABILITY_BINS = 10


def scalar_metrics(comparison: Comparison) -> dict[str, float]:
    """What a list of metrics shows of a run, few enough to be read.

    The challenger's figures with their intervals over the judged views, without them in each view; the champion's with
    the prefix `champion_`, the baselines' with their names.
    """
    ours = comparison.challenger
    figures = sealed_metrics(ours) | {"latency_ms": ours.latency_ms}
    ends = {f"{view}_{name}{end}" for view in ours.views for name in _OF_VIEW for end in ("_low", "_high")}
    figures = {name: value for name, value in figures.items() if name not in ends}
    if champion := comparison.champion:
        figures |= {f"champion_{name}": estimate.value for name, estimate in champion.metrics.items()}
        figures["champion_latency_ms"] = champion.latency_ms
    for baseline in comparison.baselines:
        figures[f"{baseline.name}_f1"] = baseline.metrics["f1"].value
        figures[f"{baseline.name}_roc_auc"] = baseline.metrics["roc_auc"].value
    return figures


def sealed_metrics(scores: ModelScores) -> dict[str, float]:
    """All figures by name: `f1`, `f1_low`, `f1_high` and so on over the judged views, `<view>_f1` and so on in each.

    Also means over maps (`<view>_map_auc`) and damages (`damaged_roc_auc`), coverage and risk, threshold, sizes.
    Latency is left out: it belongs to the machine, and would give every evaluation of one model another digest.
    """
    coverage, risk = coverage_and_risk(scores)
    figures = _with_ends(scores.metrics) | {
        "coverage": coverage,
        "risk": risk,
        "threshold": scores.threshold,
        "test_pictures": float(len(scores.pictures)),
        "size_bytes": float(scores.size_bytes),
    }
    for name, view in scores.views.items():
        figures |= {f"{name}_{metric}": value for metric, value in _of_view(view).items()}
    if points := scores.robustness.points if scores.robustness else []:
        figures |= {
            f"damaged_{name}": _mean([each.metrics[name].value for each in points]) for name in ROBUSTNESS_METRICS
        }
    if scores.parameters is not None:
        figures["parameters"] = float(scores.parameters)
    return figures


def _of_view(view: ViewScores) -> dict[str, float]:
    figures = _with_ends({name: view.metrics[name] for name in VIEW_METRICS})
    if view.control is not None:
        figures |= _with_ends({CONTROL: view.control.roc_auc})
    for name, values in view.maps.figures["map"].items() if view.maps is not None else ():
        if any(map(math.isfinite, values)):
            figures[f"map_{name}"] = _mean(values)
    return figures


def _mean(values: Sequence[float]) -> float:
    """Of those that are finite."""
    return float(np.mean([value for value in values if math.isfinite(value)]))


def headline(comparison: Comparison) -> Headline:
    """What the sealed bundle says of itself in one line."""
    scores = comparison.challenger
    f1 = scores.metrics["f1"]
    return Headline(
        metric="f1",
        value=f1.value,
        low=f1.low,
        high=f1.high,
        confidence=comparison.confidence,
        split="test",
        views=tuple(scores.judged),
        pictures=len(scores.pictures),
    )


def _with_ends(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {
        f"{name}{end}": value
        for name, estimate in estimates.items()
        for end, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high))
    }


def confusion(comparison: Comparison) -> tuple[list[str], list[list[int]]]:
    """Class names, and the challenger's counts: rows are the truth, columns its answers."""
    return CLASSES, confusion_matrix(comparison.challenger.outcome)


def roc(comparison: Comparison) -> tuple[list[float], list[float], list[float]]:
    """The challenger's false and true positive rates and thresholds: at most 100 points, all finite."""
    return roc_points(comparison.challenger)


def roc_points(scores: ModelScores) -> tuple[list[float], list[float], list[float]]:
    """As `roc`, of any model; the first threshold, above every score, is given as 1."""
    from sklearn.metrics import roc_curve

    outcome = scores.outcome
    false_alarms, recalls, thresholds = roc_curve(outcome.forged, outcome.probabilities)
    kept = np.unique(np.linspace(0, len(thresholds) - 1, _CURVE_POINTS).round().astype(int))
    return (
        [float(each) for each in false_alarms[kept]],
        [float(each) for each in recalls[kept]],
        [float(each) for each in np.minimum(thresholds[kept], 1.0)],
    )


def reliability(scores: ModelScores) -> tuple[list[float], list[float]]:
    """Mean probability and part that is forged, for each tenth of the scale that holds pictures."""
    outcome = scores.outcome
    bins = np.minimum((outcome.probabilities * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    filled = np.unique(bins)
    said = [float(outcome.probabilities[bins == each].mean()) for each in filled]
    happened = [float(outcome.forged[bins == each].mean()) for each in filled]
    return said, happened


def coverage_and_risk(scores: ModelScores) -> tuple[float, float]:
    """Part of the judged copies outside the inconclusive band, and the part of their verdicts that is wrong (or 0)."""
    return scores.decision.coverage_and_risk(scores.outcome.forged, scores.outcome.probabilities)
