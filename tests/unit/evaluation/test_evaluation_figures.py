import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from forgery.bundle import Lineage
from forgery.evaluation.figures import (
    confusion,
    coverage_and_risk,
    reliability,
    roc,
    roc_points,
    scalar_metrics,
    sealed_metrics,
)
from forgery.evaluation.scores import Comparison, ControlScores, ViewScores
from forgery.evaluation.wording import trained_on
from forgery.metrics import METRICS, Estimate


def test_scalars_are_finite_floats_of_challenger_champion_and_baselines(comparison: Comparison) -> None:
    scalars = scalar_metrics(comparison)
    assert all(type(value) is float and math.isfinite(value) for value in scalars.values())
    assert {f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")} <= set(scalars)
    assert comparison.champion is not None
    assert scalars["champion_f1"] == comparison.champion.metrics["f1"].value
    assert scalars["header_only_roc_auc"] == 0.5
    assert (scalars["latency_ms"], scalars["parameters"], scalars["size_bytes"]) == (12, 1234, 5678)


def test_the_first_model_has_no_champion_scalars(comparison: Comparison) -> None:
    first = comparison.model_copy(update={"champion": None})
    assert not [name for name in scalar_metrics(first) if name.startswith("champion")]


def test_the_confusion_matrix_counts_truth_in_rows(make_scores: Any, comparison: Comparison) -> None:
    scores = make_scores([0, 0, 0, 1, 1], [0.1, 0.2, 0.9, 0.4, 0.5])
    assert confusion(comparison.model_copy(update={"challenger": scores})) == (
        ["authentic", "forged"],
        [[2, 1], [1, 1]],
    )


def test_the_roc_curve_is_short_finite_monotone_and_complete(comparison: Comparison) -> None:
    curve = roc(comparison)
    false_alarms, recalls, thresholds = curve
    assert len(false_alarms) == len(recalls) == len(thresholds) <= 100
    assert np.isfinite(curve).all()
    assert (np.diff(false_alarms) >= 0).all()
    assert (np.diff(recalls) >= 0).all()
    assert (np.diff(thresholds) <= 0).all()
    assert (false_alarms[0], recalls[0], false_alarms[-1], recalls[-1]) == (0, 0, 1, 1)


def test_thinning_a_long_roc_curve_keeps_its_area(make_scores: Any) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 3000)
    probabilities = np.clip(0.4 + 0.2 * labels + random.normal(0, 0.2, 3000), 0, 1)
    scores = make_scores(labels.tolist(), probabilities.tolist())
    false_alarms, recalls, _ = roc_points(scores)
    assert len(false_alarms) == 100
    assert np.trapezoid(recalls, false_alarms) == pytest.approx(scores.metrics["roc_auc"].value, abs=0.005)


def test_reliability_sets_what_was_said_beside_what_was_true(make_scores: Any) -> None:
    said, happened = reliability(make_scores([0, 1, 1, 1, 0, 1], [0.12, 0.14, 1.0, 0.98, 0.55, 0.55]))
    assert said == pytest.approx([0.13, 0.55, 0.99])
    assert happened == pytest.approx([0.5, 0.5, 1.0])


def test_coverage_and_risk_leave_out_the_inconclusive(make_scores: Any) -> None:
    coverage, risk = coverage_and_risk(make_scores([0, 1, 1, 0], [0.1, 0.45, 0.9, 0.8]))
    assert (coverage, risk) == (0.75, pytest.approx(1 / 3))
    assert coverage_and_risk(make_scores([0, 1], [0.45, 0.45])) == (0, 0)


def test_each_view_has_its_scalars(comparison: Comparison) -> None:
    raw = comparison.challenger.views["raw"]
    control = ControlScores(pictures=[0, 1], probabilities=[0.5, 0.5], roc_auc=Estimate(value=0.5, low=0.4, high=0.6))
    views = {"raw": raw, "shared": raw.model_copy(update={"control": control})}
    changed = comparison.challenger.model_copy(update={"views": views})
    scalars = scalar_metrics(comparison.model_copy(update={"challenger": changed}))
    assert scalars["raw_f1"] == scalars["f1"] == raw.metrics["f1"].value
    assert scalars["shared_control_roc_auc"] == 0.5
    assert "raw_control_roc_auc" not in scalars
    assert "shared_roc_auc_low" not in scalars
    sealed = sealed_metrics(changed)
    assert sealed["shared_roc_auc_low"] == raw.metrics["roc_auc"].low
    assert sealed["shared_control_roc_auc_high"] == 0.6


def test_judged_views_are_pooled(make_scores: Any) -> None:
    scores = make_scores([0, 1, 1], [0.1, 0.9, 0.2], groups=["a", "b", "b"])
    other = ViewScores(pictures=[0, 1, 2], probabilities=[0.6, 0.7, 0.8])
    both = scores.model_copy(update={"views": {**scores.views, "harmonised": other}, "judged": ["raw", "harmonised"]})
    assert both.outcome.probabilities.tolist() == [0.1, 0.9, 0.2, 0.6, 0.7, 0.8]
    assert both.outcome.forged.tolist() == [False, True, True] * 2
    assert both.groups_of(both.positions).tolist() == ["a", "b", "b"] * 2
    assert confusion(Comparison.model_construct(challenger=both))[1] == [[1, 1], [1, 3]]


def test_a_judged_view_must_hold_every_picture(make_scores: Any) -> None:
    scores = make_scores([0, 1], [0.1, 0.9])
    part = ViewScores(pictures=[1], probabilities=[0.5])
    with pytest.raises(ValidationError, match="'raw' must hold an answer to each test picture"):
        type(scores).model_validate(scores.model_dump() | {"views": {"raw": part}})


def test_a_comparison_with_a_model_that_gives_no_number_survives_its_file(
    comparison: Comparison, tmp_path: Path
) -> None:
    raw = comparison.challenger.views["raw"].model_copy(update={"probabilities": [math.nan] * 300})
    broken = comparison.challenger.model_copy(update={"views": {"raw": raw}})
    comparison.model_copy(update={"challenger": broken}).write(tmp_path / "comparison.json")
    again = Comparison.read(tmp_path / "comparison.json")
    assert all(math.isnan(each) for each in again.challenger.views["raw"].probabilities)
    assert again.champion == comparison.champion


def test_columns_of_different_length_are_refused(make_scores: Any) -> None:
    with pytest.raises(ValidationError, match="one entry for each picture"):
        make_scores([0, 1], [0.1, 0.9], formats=["JPEG"])
    with pytest.raises(ValidationError, match="one probability for each picture"):
        ViewScores(pictures=[0, 1], probabilities=[0.1])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, ""),
        ({"variants": []}, "the files as they are"),
        ({"variants": ["q85", "x50"]}, "the files as they are, and copies q85, x50"),
        ({"variants": ["matched"]}, "one file history for both classes (matched)"),
    ],
)
def test_the_training_view_is_named(config: dict[str, Any], said: str) -> None:
    assert trained_on(Lineage(dataset_digest="d", run_id="r", code_version="1", config=config)) == said


def test_each_models_classification_is_its_own(comparison: Comparison) -> None:
    from forgery.steps.evaluate import Classification

    assert comparison.champion is not None
    ours, theirs = Classification.of(comparison.challenger), Classification.of(comparison.champion)
    assert ours.confusion == confusion(comparison)
    assert ours.roc == roc(comparison)
    assert theirs.confusion[0] == ours.confusion[0]
    assert theirs.roc != ours.roc
    assert sum(map(sum, theirs.confusion[1])) == sum(map(sum, ours.confusion[1])) == 300
