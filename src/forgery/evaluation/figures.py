"""Plain data for metrics tables and charts: finite numbers, ready for a pipeline's metrics artifacts."""

from collections.abc import Mapping

import numpy as np

from forgery.bundle import Headline
from forgery.evaluation.scores import Comparison, ModelScores
from forgery.metrics import Estimate, confusion_matrix

CLASSES = ["authentic", "forged"]
# What every table of views shows.
VIEW_METRICS = ("roc_auc", "f1", "balanced_accuracy")
# The Kubeflow UI draws each point; more than this only slow it down.
_CURVE_POINTS = 100
_RELIABILITY_BINS = 10


def scalar_metrics(comparison: Comparison) -> dict[str, float]:
    """The challenger's sealed figures and latency, the champion's with the prefix `champion_`, the baselines'."""
    figures = sealed_metrics(comparison.challenger) | {"latency_ms": comparison.challenger.latency_ms}
    if champion := comparison.champion:
        theirs = sealed_metrics(champion) | {"latency_ms": champion.latency_ms}
        figures |= {f"champion_{name}": value for name, value in theirs.items()}
    for baseline in comparison.baselines:
        figures[f"{baseline.name}_f1"] = baseline.metrics["f1"].value
        figures[f"{baseline.name}_roc_auc"] = baseline.metrics["roc_auc"].value
    return figures


def sealed_metrics(scores: ModelScores) -> dict[str, float]:
    """`f1`, `f1_low`, `f1_high` and so on over the judged views, `<view>_f1` and so on in each, threshold, sizes.

    Latency is left out: it belongs to the machine, and would give every evaluation of one model another digest.
    """
    figures = _with_ends(scores.metrics)
    for name, view in scores.views.items():
        found = {metric: view.metrics[metric] for metric in VIEW_METRICS}
        if view.control is not None:
            found["control_roc_auc"] = view.control.roc_auc
        figures |= {f"{name}_{metric}": value for metric, value in _with_ends(found).items()}
    coverage, risk = coverage_and_risk(scores)
    figures |= {
        "coverage": coverage,
        "risk": risk,
        "threshold": scores.threshold,
        "test_pictures": float(len(scores.pictures)),
        "size_bytes": float(scores.size_bytes),
    }
    if scores.parameters is not None:
        figures["parameters"] = float(scores.parameters)
    return figures


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
