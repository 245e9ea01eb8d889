"""The single conditions of the gate (`forgery.promotion`), each with its numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forgery.metrics import Estimate, estimates, measure, paired_gains

if TYPE_CHECKING:
    from forgery.evaluation.scores import ModelScores, RobustnessScores
    from forgery.promotion import PromotionRule

JUDGED = {"f1": "F1 (forged)", "balanced_accuracy": "Balanced accuracy"}


@dataclass(frozen=True)
class Check:
    """One condition of the gate; `problem` is the clause for the reason where it fails, empty where another says it."""

    name: str
    measured: str
    required: str
    passed: bool
    problem: str


@dataclass(frozen=True)
class Figures:
    """Over the judged views. Estimates by metric; `theirs` and `gains` are empty for a first model."""

    ours: dict[str, Estimate]
    theirs: dict[str, Estimate]
    gains: dict[str, Estimate]


def measure_figures(
    challenger: "ModelScores", champion: "ModelScores | None", rule: "PromotionRule", seed: int
) -> Figures:
    """Figures of both and the paired gains; copies of one picture are drawn together, being of one group."""
    groups = challenger.groups_of(challenger.positions_in(rule.views))
    bootstrap = (groups, tuple(JUDGED), rule.bootstrap_draws, rule.confidence, seed)
    outcome = challenger.outcome_in(rule.views)
    ours = estimates(outcome, *bootstrap)
    if champion is None:
        return Figures(ours, {}, {})
    theirs = champion.outcome_in(rule.views)
    return Figures(ours, estimates(theirs, *bootstrap), paired_gains(outcome, theirs, *bootstrap))


def floors(figures: Figures, rule: "PromotionRule") -> tuple[Check, ...]:
    """What every model must reach."""
    f1, balanced = figures.ours["f1"].value, figures.ours["balanced_accuracy"].value
    return (
        Check(
            "F1, floor",
            f"{f1:.3f}",
            f"at least {rule.floor:.3f}",
            f1 >= rule.floor,
            f"its F1 of {f1:.3f} is below the floor of {rule.floor:.3f}",
        ),
        Check(
            "Balanced accuracy, floor",
            f"{balanced:.3f}",
            f"at least {rule.min_balanced_accuracy:.3f}",
            balanced >= rule.min_balanced_accuracy,
            f"its balanced accuracy of {balanced:.3f} is below the floor of {rule.min_balanced_accuracy:.3f}",
        ),
    )


def gains(figures: Figures, rule: "PromotionRule") -> tuple[Check, ...]:
    """What a model must be better by than the champion, and not lose."""
    gain, balanced = figures.gains["f1"], figures.gains["balanced_accuracy"].value
    better = gain.value > rule.margin
    may_be_chance = f"its F1 gain of {spread(gain, rule)} may be chance"
    return (
        Check(
            "F1, gain",
            f"{gain.value:+.3f}",
            f"more than {rule.margin:.3f}",
            better,
            f"its F1 gain of {gain.value:+.3f} is not more than {rule.margin:.3f}",
        ),
        Check(
            f"F1, lower bound of the gain at {rule.confidence:.0%}",
            f"{gain.low:+.3f}",
            "more than 0" if rule.require_significance else "not asked for",
            gain.low > 0 or not rule.require_significance,
            may_be_chance if better else "",
        ),
        Check(
            "Balanced accuracy, change",
            f"{balanced:+.3f}",
            f"at least {-rule.max_balanced_accuracy_drop:+.3f}",
            balanced >= -rule.max_balanced_accuracy_drop,
            f"its balanced accuracy changes by {balanced:+.3f}, worse than {-rule.max_balanced_accuracy_drop:+.3f}",
        ),
    )


def latency(challenger: "ModelScores", champion: "ModelScores", rule: "PromotionRule") -> Check:
    """The service must not become much slower."""
    ratio = challenger.latency_ms / champion.latency_ms
    return Check(
        "Latency, ratio to the champion",
        f"{ratio:.2f} ({challenger.latency_ms:.1f} ms to {champion.latency_ms:.1f} ms)",
        f"at most {rule.max_latency_ratio:.2f}",
        ratio <= rule.max_latency_ratio,
        f"a picture takes {ratio:.2f} times as long where {rule.max_latency_ratio:.2f} is allowed",
    )


def controls(challenger: "ModelScores", rule: "PromotionRule", seed: int) -> Iterator[Check]:
    """Crops without a forged pixel must look alike; no check for a view in which none could be cut."""
    for view in rule.views:
        control = challenger.views[view].control
        if control is None or rule.max_control >= 1:
            continue
        outcome = challenger.outcome_of(control.pictures, control.probabilities)
        groups = challenger.groups_of(control.pictures)
        auc = estimates(outcome, groups, ("roc_auc",), rule.bootstrap_draws, rule.confidence, seed)["roc_auc"]
        yield Check(
            f"Control, {view}: ROC AUC without a forged pixel",
            f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})",
            f"interval not wholly above {rule.max_control:.3f}",
            auc.low <= rule.max_control,
            f"in view {view} it tells crops without a forged pixel apart (ROC AUC {auc.value:.3f}, at least "
            f"{auc.low:.3f} where {rule.max_control:.3f} is allowed), so it reads file history",
        )


def robustness(challenger: "ModelScores", champion: "ModelScores", rule: "PromotionRule") -> Iterator[Check]:
    """Damaged pictures must not be judged much worse; no check where none were measured, or not the same ones."""
    if challenger.robustness is None or champion.robustness is None:
        return
    ours, theirs = _damaged(challenger, challenger.robustness), _damaged(champion, champion.robustness)
    change, allowed = ours - theirs, -rule.max_robustness_drop
    yield Check(
        "Balanced accuracy on damaged pictures, change",
        f"{change:+.3f} ({ours:.3f} to {theirs:.3f})",
        f"at least {allowed:+.3f}",
        change >= allowed,
        f"on damaged pictures its balanced accuracy changes by {change:+.3f}, worse than {allowed:+.3f}",
    )


def _damaged(scores: "ModelScores", robustness: "RobustnessScores") -> float:
    outcomes = (scores.outcome_of(robustness.pictures, point.probabilities) for point in robustness.points)
    return float(np.mean([measure(outcome)["balanced_accuracy"] for outcome in outcomes]))


def spread(gain: Estimate, rule: "PromotionRule") -> str:
    """A gain with its interval."""
    return f"{gain.value:+.3f} ({rule.confidence:.0%} interval {gain.low:+.3f} to {gain.high:+.3f})"
