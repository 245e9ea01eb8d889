from typing import Any

import pytest

from forgery.evaluation.findings import measured_limits
from forgery.evaluation.scores import (
    Comparison,
    ControlScores,
    MapScores,
    ModelScores,
    RobustnessPoint,
    RobustnessScores,
)
from forgery.metrics import Estimate

CERTAIN, CHANCE = Estimate(value=0.9, low=0.8, high=0.95), Estimate(value=0.55, low=0.45, high=0.65)


def with_view(scores: ModelScores, **changes: Any) -> ModelScores:
    return scores.model_copy(update={"views": {"raw": scores.views["raw"].model_copy(update=changes)}})


def control(estimate: Estimate) -> ControlScores:
    return ControlScores(pictures=[0, 1], probabilities=[0.5, 0.5], roc_auc=estimate)


def maps(ours: float) -> MapScores:
    return MapScores(
        pictures=[0], figures={"map": {"auc": [ours]}, "ela": {"auc": [0.7]}, "centre": {"auc": [float("nan")]}}
    )


def robustness(estimate: Estimate) -> RobustnessScores:
    points = [
        RobustnessPoint(damage="jpeg", level=level, probabilities=[0.5], metrics={"roc_auc": estimate})
        for level in (60, 50)
    ]
    return RobustnessScores(pictures=[0], points=points)


def test_a_model_with_nothing_against_it_has_no_measured_limits(comparison: Comparison) -> None:
    assert measured_limits(comparison) == []


def test_headers_that_tell_the_classes_apart_are_named(comparison: Comparison) -> None:
    leak = comparison.challenger.metrics
    leaky = comparison.baselines[0].model_copy(update={"metrics": leak})
    (said,) = measured_limits(comparison.model_copy(update={"baselines": [leaky]}))
    assert f"ROC AUC of {leak['roc_auc'].value:.3f}" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"control": control(CERTAIN)},
            "Part of its score is file history: it tells crops without a forged pixel apart in view raw",
        ),
        ({"control": control(CHANCE)}, None),
        (
            {"metrics": {"roc_auc": CHANCE}},
            "Its ranking of whole pictures may be chance in view raw (ROC AUC 0.550, 0.450 to 0.650).",
        ),
        ({"maps": maps(0.6)}, "Its map points at edits no better than plain error levels in view raw."),
        ({"maps": maps(0.8)}, None),
    ],
)
def test_what_a_view_shows_against_the_model_is_said(
    comparison: Comparison, changes: dict[str, Any], said: str | None
) -> None:
    limits = measured_limits(
        comparison.model_copy(update={"challenger": with_view(comparison.challenger, **changes), "baselines": []})
    )
    assert [limit.startswith(str(said)) for limit in limits] == ([True] if said else [])


def test_views_with_one_weakness_share_a_sentence(comparison: Comparison) -> None:
    raw = comparison.challenger.views["raw"].model_copy(update={"metrics": {"roc_auc": CHANCE}})
    scores = comparison.challenger.model_copy(update={"views": {"raw": raw, "matched": raw, "shared": raw}})
    (said,) = measured_limits(comparison.model_copy(update={"challenger": scores, "baselines": []}))
    assert "in views raw (ROC AUC 0.550, 0.450 to 0.650), matched (" in said
    assert said.endswith(" and shared (ROC AUC 0.550, 0.450 to 0.650).")


def test_damages_that_leave_chance_are_listed_by_level(comparison: Comparison) -> None:
    for estimate, expected in ((CERTAIN, 0), (CHANCE, 1)):
        damaged = comparison.challenger.model_copy(update={"robustness": robustness(estimate)})
        limits = measured_limits(comparison.model_copy(update={"challenger": damaged}))
        assert len(limits) == expected
    assert limits == ["Its ranking may be chance on pictures that were damaged: JPEG (quality: 60, 50)."]
