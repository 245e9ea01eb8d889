"""The gate: does the challenger replace the champion? Pure, and every answer carries its reason."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from forgery.errors import ForgeryError
from forgery.metrics import Estimate, estimates, paired_gains
from forgery.reports import render

if TYPE_CHECKING:
    from forgery.evaluation.scores import ModelScores

_JUDGED = {"f1": "F1 (forged)", "balanced_accuracy": "Balanced accuracy"}
# Percentile intervals from fewer units undercover noticeably.
_FEW_GROUPS = 30


class PromotionRule(BaseModel):
    """What a challenger must show, measured on the same test pictures as the champion.

    F1 is that of the forged class. It alone rewards answering "forged" to everything (F1 .697 on CASIA v1),
    hence the guard on balanced accuracy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = Field(0.0, ge=0, lt=1, description="F1 must be better by more than this.")
    floor: float = Field(0.5, ge=0, le=1, description="F1 below this is never promoted, not even as first model.")
    min_balanced_accuracy: float = Field(0.55, ge=0, le=1, description="Balanced accuracy below this never is.")
    max_balanced_accuracy_drop: float = Field(0.02, ge=0, le=1, description="Against the champion.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the paired bootstrap over groups.")
    bootstrap_draws: int = Field(1000, ge=100, le=100_000)
    require_significance: bool = Field(True, description="The bootstrap's lower bound of the F1 gain must exceed 0.")
    max_latency_ratio: float = Field(
        3.0, gt=0, description="Challenger over champion, one picture; guards the service."
    )


@dataclass(frozen=True)
class Check:
    """One condition of the gate; `problem` is the clause for the reason where it fails, empty where another says it."""

    name: str
    measured: str
    required: str
    passed: bool
    problem: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: the reason is one sentence with its numbers; it heads the Markdown, which has every check."""

    promote: bool
    reason: str
    markdown: str
    checks: tuple[Check, ...] = ()


def judge(challenger: "ModelScores", champion: "ModelScores | None", rule: PromotionRule, seed: int = 0) -> Verdict:
    """Decide whether the challenger replaces the champion.

    A first model needs the floor and the balanced accuracy alone. All figures are computed here from the scores of
    the single pictures. With a champion, the lower bound is that of the two-sided interval at `rule.confidence`: of
    two equal models the challenger is promoted in about (1 - confidence) / 2 of the cases, 2.5 % by default.

    Args:
        challenger: The new model on the test pictures.
        champion: The model in service on the same pictures, or None.
        rule: What is asked.
        seed: Of the bootstrap.

    Raises:
        ForgeryError: The two were measured on different pictures.
    """
    if champion is not None and champion.pictures != challenger.pictures:
        raise ForgeryError(
            "challenger and champion were measured on different test pictures; score both on the same image set"
        )
    for name, scores in (("challenger", challenger), ("champion", champion)):
        if scores is not None and (bad := sum(not math.isfinite(each) for each in scores.probabilities)):
            reason = f"Held: the {name} gives no number for {bad} of {len(scores.pictures)} test pictures."
            return Verdict(False, reason, render("verdict.md.j2", reason=reason, checks=()))
    figures = _figures(challenger, champion, rule, seed)
    checks = _alone(figures, rule)
    if champion is not None:
        checks += (*_against(figures, rule), _latency(challenger, champion, rule))
    reason = _reason(figures, checks, rule)
    promote = all(check.passed for check in checks)
    markdown = render(
        "verdict.md.j2",
        reason=reason,
        checks=checks,
        figures=figures,
        judged=_JUDGED,
        pictures=len(challenger.pictures),
        groups=len(set(challenger.pictures.groups)),
        few_groups=_FEW_GROUPS,
        rule=rule,
    )
    return Verdict(promote, reason, markdown, checks)


@dataclass(frozen=True)
class _Figures:
    """Estimates by metric; `theirs` and `gains` are empty for a first model."""

    ours: dict[str, Estimate]
    theirs: dict[str, Estimate]
    gains: dict[str, Estimate]


def _figures(challenger: "ModelScores", champion: "ModelScores | None", rule: PromotionRule, seed: int) -> _Figures:
    bootstrap = (challenger.pictures.groups, tuple(_JUDGED), rule.bootstrap_draws, rule.confidence, seed)
    ours = estimates(challenger.outcome, *bootstrap)
    if champion is None:
        return _Figures(ours, {}, {})
    gains = paired_gains(challenger.outcome, champion.outcome, *bootstrap)
    return _Figures(ours, estimates(champion.outcome, *bootstrap), gains)


def _alone(figures: _Figures, rule: PromotionRule) -> tuple[Check, ...]:
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


def _against(figures: _Figures, rule: PromotionRule) -> tuple[Check, ...]:
    gain, balanced = figures.gains["f1"], figures.gains["balanced_accuracy"].value
    better = gain.value > rule.margin
    may_be_chance = f"its F1 gain of {_gain(gain, rule)} may be chance"
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


def _latency(challenger: "ModelScores", champion: "ModelScores", rule: PromotionRule) -> Check:
    ratio = challenger.latency_ms / champion.latency_ms
    return Check(
        "Latency, ratio to the champion",
        f"{ratio:.2f} ({challenger.latency_ms:.1f} ms to {champion.latency_ms:.1f} ms)",
        f"at most {rule.max_latency_ratio:.2f}",
        ratio <= rule.max_latency_ratio,
        f"a picture takes {ratio:.2f} times as long where {rule.max_latency_ratio:.2f} is allowed",
    )


def _gain(gain: Estimate, rule: PromotionRule) -> str:
    return f"{gain.value:+.3f} ({rule.confidence:.0%} interval {gain.low:+.3f} to {gain.high:+.3f})"


def _reason(figures: _Figures, checks: tuple[Check, ...], rule: PromotionRule) -> str:
    f1 = figures.ours["f1"].value
    against = f"F1 {f1:.3f} against the champion's {figures.theirs['f1'].value:.3f}" if figures.theirs else ""
    problems = "; ".join(check.problem for check in checks if not check.passed and check.problem)
    if problems:
        return f"Held: {against}; {problems}." if against else f"Held: {problems}."
    if against:
        return f"Promoted: {against}, a gain of {_gain(figures.gains['f1'], rule)}."
    balanced = figures.ours["balanced_accuracy"].value
    return (
        f"Promoted as the first model: F1 {f1:.3f} reaches {rule.floor:.3f} and balanced accuracy {balanced:.3f} "
        f"reaches {rule.min_balanced_accuracy:.3f}."
    )
