"""Figures of one system: verdicts with intervals over groups, controls, and what its map says within a picture."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from forgery.evaluation.maps import within_picture
from forgery.metrics import Estimate, Outcome, estimates

__all__ = ["FIGURES", "Verdicts", "ViewFigures", "area", "at_common_threshold", "view_figures", "within_picture"]

FIGURES = ("roc_auc", "f1", "macro_f1", "balanced_accuracy")

Floats = NDArray[np.float64]


class ViewFigures(BaseModel):
    """One system on one view; a figure that cannot be had (a fold without such pictures) is missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pictures: int
    all: dict[str, Estimate]
    splice: dict[str, Estimate]
    copy_move: dict[str, Estimate]
    control: Estimate | None = None
    within_splice: float | None = None
    within_copy_move: float | None = None


@dataclass(frozen=True)
class Verdicts:
    """Answers on test pictures of all folds, put on one scale on which .5 is each fold's threshold.

    Attributes:
        forged: Truth, [n].
        copy_moves: [n].
        groups: [n].
        probabilities: [n].
        within: ROC AUC of the map's cells against the mask, [n]; NaN where there is no mask.
        control_forged: Truth of the control crops, [m].
        control_groups: [m].
        control_probabilities: [m].
    """

    forged: NDArray[np.bool_]
    copy_moves: NDArray[np.bool_]
    groups: NDArray[np.str_]
    probabilities: Floats
    within: Floats
    control_forged: NDArray[np.bool_]
    control_groups: NDArray[np.str_]
    control_probabilities: Floats


def view_figures(verdicts: Verdicts, draws: int = 1000) -> ViewFigures:
    """All figures of one view."""
    everything = np.ones(len(verdicts.forged), bool)
    splices = verdicts.forged & ~verdicts.copy_moves
    return ViewFigures(
        pictures=len(everything),
        all=_part(verdicts, everything, draws),
        splice=_part(verdicts, ~verdicts.copy_moves, draws),
        copy_move=_part(verdicts, ~splices, draws),
        control=_control(verdicts, draws),
        within_splice=_mean(verdicts.within[splices]),
        within_copy_move=_mean(verdicts.within[verdicts.copy_moves]),
    )


def _part(verdicts: Verdicts, chosen: NDArray[np.bool_], draws: int) -> dict[str, Estimate]:
    outcome = Outcome.of(verdicts.forged[chosen], verdicts.probabilities[chosen], 0.5)
    return estimates(outcome, verdicts.groups[chosen], FIGURES, draws)


def _control(verdicts: Verdicts, draws: int) -> Estimate | None:
    if not len(verdicts.control_forged):
        return None
    outcome = Outcome.of(verdicts.control_forged, verdicts.control_probabilities, 0.5)
    return estimates(outcome, verdicts.control_groups, ("roc_auc",), draws)["roc_auc"]


def _mean(values: Iterable[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def area(forged: NDArray[np.bool_], logits: NDArray[np.float32], groups: NDArray[np.str_]) -> Estimate:
    """ROC AUC of logits, all arrays [n], with its interval over groups."""
    probabilities = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -50, 50)))
    return estimates(Outcome.of(forged, probabilities, 0.5), groups, ("roc_auc",), 1000)["roc_auc"]


def at_common_threshold(probabilities: NDArray[np.float32], threshold: float) -> Floats:
    """Shift log-odds so that the threshold becomes .5; folds with thresholds of their own can then be pooled."""
    clipped = np.clip(np.asarray([*probabilities, threshold], np.float64), 1e-7, 1 - 1e-7)
    odds = np.log(clipped / (1 - clipped))
    return np.asarray(1 / (1 + np.exp(-(odds[:-1] - odds[-1]))), np.float64)
