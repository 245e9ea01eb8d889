"""The gate: does the challenger replace the champion? Pure, and every answer carries its reason."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from forgery.errors import ForgeryError
from forgery.guards import JUDGED, Check, Figures, controls, floors, gains, latency, measure_figures, robustness, spread
from forgery.reports import render
from forgery.views import HARMONISED, RAW, View

if TYPE_CHECKING:
    from forgery.evaluation.scores import ModelScores

__all__ = ["Check", "PromotionRule", "Verdict", "judge"]

# Percentile intervals from fewer units undercover noticeably.
_FEW_GROUPS = 30


class PromotionRule(BaseModel):
    """What a challenger must show, measured on the same test pictures as the champion.

    F1 is that of the forged class over all judged copies. It alone rewards answering "forged" to everything (F1 .697 on
    CASIA v1), hence the guards on balanced accuracy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: list[View] = Field(
        [RAW, HARMONISED],
        min_length=1,
        description="Copies of the test pictures that are judged together: raw, harmonised, matched, shared.",
    )
    margin: float = Field(0.0, ge=0, lt=1, description="F1 must be better by more than this.")
    floor: float = Field(0.5, ge=0, le=1, description="F1 below this is never promoted, not even as first model.")
    min_balanced_accuracy: float = Field(0.55, ge=0, le=1, description="Balanced accuracy below this never is.")
    max_balanced_accuracy_drop: float = Field(0.02, ge=0, le=1, description="Against the champion.")
    max_control: float = Field(
        0.55,
        ge=0.5,
        le=1,
        description="ROC AUC on crops without a forged pixel, in each of `views`: an interval wholly above it tells "
        "that the model reads file history. 1: not asked for.",
    )
    max_robustness_drop: float = Field(
        0.05, ge=0, le=1, description="Against the champion, of the mean balanced accuracy on damaged pictures."
    )
    sample_pictures: int = Field(
        400,
        ge=0,
        description="Most test pictures for controls, maps against masks and views that are not judged, half of them "
        "forged; bounds the time of evaluation. 0: all.",
    )
    robustness_pictures: int = Field(
        32, ge=0, description="Test pictures that are damaged in 15 ways for the robustness curves. 0: none, no guard."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the paired bootstrap over groups.")
    bootstrap_draws: int = Field(1000, ge=100, le=100_000)
    require_significance: bool = Field(True, description="The bootstrap's lower bound of the F1 gain must exceed 0.")
    max_latency_ratio: float = Field(
        3.0, gt=0, description="Challenger over champion, one picture; guards the service."
    )


@dataclass(frozen=True)
class Verdict:
    """The gate's answer: the reason is one sentence with its numbers; it heads the Markdown, which has every check."""

    promote: bool
    reason: str
    markdown: str
    checks: tuple[Check, ...] = ()


def judge(challenger: "ModelScores", champion: "ModelScores | None", rule: PromotionRule, seed: int = 0) -> Verdict:
    """Decide whether the challenger replaces the champion.

    A first model needs the floors and the control alone. All figures are computed here from the scores of the single
    pictures. With a champion, the lower bound is that of the two-sided interval at `rule.confidence`: of two equal
    models the challenger is promoted in at most about (1 - confidence) / 2 of the cases, 2.5 % by default.

    Args:
        challenger: The new model on the test pictures.
        champion: The model in service on the same pictures, or None.
        rule: What is asked.
        seed: Of the bootstrap.

    Raises:
        ForgeryError: The two were measured on different pictures, or one not in the views that are judged.
    """
    models = {"challenger": challenger} | ({"champion": champion} if champion is not None else {})
    _require_comparable(models, rule)
    for name, scores in models.items():
        answers = [each for view in scores.views.values() for each in view.probabilities]
        if bad := sum(not math.isfinite(each) for each in answers):
            reason = f"Held: the {name} gives no number for {bad} of {len(answers)} copies of the test pictures."
            return Verdict(False, reason, render("verdict.md.j2", reason=reason, checks=()))
    figures = measure_figures(challenger, champion, rule, seed)
    checks = (*floors(figures, rule), *controls(challenger, rule, seed))
    if champion is not None:
        checks += (*gains(figures, rule), *robustness(challenger, champion, rule), latency(challenger, champion, rule))
    reason = _reason(figures, checks, rule)
    markdown = render(
        "verdict.md.j2",
        reason=reason,
        checks=checks,
        figures=figures,
        judged=JUDGED,
        pictures=len(challenger.pictures),
        groups=len(set(challenger.pictures.groups)),
        few_groups=_FEW_GROUPS,
        rule=rule,
    )
    return Verdict(all(check.passed for check in checks), reason, markdown, checks)


def _require_comparable(models: "dict[str, ModelScores]", rule: PromotionRule) -> None:
    if len({tuple(scores.pictures.digests) for scores in models.values()}) > 1:
        raise ForgeryError(
            "challenger and champion were measured on different test pictures; score both on the same image set"
        )
    for name, scores in models.items():
        if missing := [view for view in rule.views if view not in scores.judged]:
            raise ForgeryError(
                f"the {name} was not measured on every test picture in view {missing[0]!r}; evaluate with the same "
                "rule.views as the gate"
            )


def _reason(figures: Figures, checks: tuple[Check, ...], rule: PromotionRule) -> str:
    f1 = figures.ours["f1"].value
    against = f"F1 {f1:.3f} against the champion's {figures.theirs['f1'].value:.3f}" if figures.theirs else ""
    problems = "; ".join(check.problem for check in checks if not check.passed and check.problem)
    if problems:
        return f"Held: {against}; {problems}." if against else f"Held: {problems}."
    if against:
        return f"Promoted: {against}, a gain of {spread(figures.gains['f1'], rule)}."
    balanced = figures.ours["balanced_accuracy"].value
    return (
        f"Promoted as the first model: F1 {f1:.3f} reaches {rule.floor:.3f} and balanced accuracy {balanced:.3f} "
        f"reaches {rule.min_balanced_accuracy:.3f}."
    )
