import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from forgery.decision import DecisionRule, choose_rule, fit_temperature
from forgery.errors import InvalidConfig

Scored = tuple[NDArray[np.int8], NDArray[np.float64]]


def calibrated(pictures: int, seed: int = 0) -> Scored:
    random = np.random.default_rng(seed)
    probabilities = random.uniform(0, 1, pictures)
    return (random.uniform(0, 1, pictures) < probabilities).astype(np.int8), probabilities


def macro_f1(labels: NDArray[np.int8], forged: NDArray[np.bool_]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, forged, average="macro", zero_division=0))


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_known_scaling_of_calibrated_logits(true_temperature: float) -> None:
    labels, probabilities = calibrated(20_000)
    logits = np.log(probabilities / (1 - probabilities)) * true_temperature
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_temperature_of_separable_data_stays_inside_its_bounds() -> None:
    temperature = fit_temperature([-3.0, -2.0, 2.0, 3.0], [0, 0, 1, 1])
    assert 0.05 < temperature < 20


@pytest.mark.parametrize("label", [0, 1])
def test_temperature_is_one_where_a_class_is_missing(label: int) -> None:
    assert fit_temperature([1.0, -2.0], [label, label]) == 1.0


def test_temperature_of_logits_that_point_the_wrong_way_is_the_upper_bound() -> None:
    assert fit_temperature([5.0, -5.0] * 50, [0, 1] * 50) == pytest.approx(20, rel=0.01)


def test_temperature_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([np.nan, 1.0], [0, 1])


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("macro_f1", 0.75),
        ("f1", 0.75),
        ("balanced_accuracy", 0.75),
        ("false_alarm:0", 0.75),
        ("false_alarm:0.2", 0.6),
        ("false_alarm:0.5", 0.35),
    ],
)
def test_threshold_lies_midway_between_the_scores_that_its_objective_parts(objective: str, expected: float) -> None:
    rule = choose_rule([0, 0, 0, 1, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9], objective)
    assert rule.threshold == pytest.approx(expected)
    assert rule.objective == objective


def test_threshold_of_separable_classes_is_in_the_middle_of_the_gap_and_has_no_band() -> None:
    rule = choose_rule([0] * 10 + [1] * 10, [0.2] * 10 + [0.6] * 10)
    assert (rule.band_low, rule.threshold, rule.band_high) == pytest.approx((0.4, 0.4, 0.4))


def test_a_tie_goes_to_the_threshold_nearest_one_half() -> None:
    # One error whether the cut is at .25 or at .7; two between them.
    rule = choose_rule([0, 1, 0, 1], [0.15, 0.35, 0.6, 0.8], "balanced_accuracy")
    assert rule.threshold == pytest.approx(0.7)


def test_false_alarm_limit_that_the_best_score_breaks_calls_nothing_forged() -> None:
    rule = choose_rule([0, 1, 1], [0.9, 0.5, 0.4], "false_alarm:0")
    assert rule.threshold == pytest.approx(0.95)


@given(st.integers(20, 200), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.2]))
def test_false_alarm_limit_holds_on_the_pictures_it_was_chosen_on(pictures: int, seed: int, rate: float) -> None:
    labels, probabilities = calibrated(pictures, seed)
    rule = choose_rule(labels, probabilities, f"false_alarm:{rate}")
    if 0 < labels.sum() < pictures:
        assert np.mean(probabilities[labels == 0] >= rule.threshold) <= rate


@settings(deadline=None)  # scikit-learn is imported by the first call
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=1, max_size=60))
def test_no_other_threshold_has_a_better_macro_f1(pictures: list[tuple[bool, int]]) -> None:
    labels = np.array([label for label, _ in pictures], np.int8)
    probabilities = np.array([score / 12 for _, score in pictures])
    rule = choose_rule(labels, probabilities)
    if labels.all() or not labels.any() or len(np.unique(probabilities)) == 1:
        assert (rule.band_low, rule.threshold, rule.band_high) == (0.5, 0.5, 0.5)
        return
    chosen = macro_f1(labels, probabilities >= rule.threshold)
    # Calling everything forged is no threshold between two scores.
    others = [macro_f1(labels, probabilities >= cut) for cut in np.unique(probabilities)[1:]]
    assert chosen >= max(others) - 1e-9


def test_band_covers_the_scores_whose_verdicts_are_hardly_better_than_a_coin() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(0, 1, 4000)
    # Certain outside .45 to .55, a coin inside.
    coin = np.abs(probabilities - 0.5) < 0.05
    labels = np.where(coin, random.uniform(0, 1, 4000) < 0.5, probabilities > 0.5)
    rule = choose_rule(labels, probabilities)
    assert rule.band_low == pytest.approx(0.45, abs=0.03)
    assert rule.band_high == pytest.approx(0.55, abs=0.03)


def test_band_never_takes_more_than_a_fifth_of_the_pictures() -> None:
    random = np.random.default_rng(2)
    labels, probabilities = random.integers(0, 2, 500), random.uniform(0, 1, 500)
    rule = choose_rule(labels, probabilities)
    inside = np.mean([rule.label(float(each)) == "inconclusive" for each in probabilities])
    assert 0 < inside <= 0.2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=60))
def test_abstaining_never_costs_more_than_it_saves(pictures: list[tuple[bool, int]]) -> None:
    labels = np.array([label for label, _ in pictures])
    probabilities = np.array([score / 5 for _, score in pictures])
    rule = choose_rule(labels, probabilities)
    inside = (probabilities > rule.band_low) & (probabilities < rule.band_high)
    errors_inside = np.sum(((probabilities >= rule.threshold) != labels)[inside])
    assert 0.4 * inside.sum() <= errors_inside + 1e-9


@pytest.mark.parametrize("objective", ["accuracy", "false_alarm:", "false_alarm:1", "false_alarm:-.1", "f1:.1", ""])
def test_an_unknown_objective_is_refused_with_the_known_ones(objective: str) -> None:
    with pytest.raises(InvalidConfig, match="known: macro_f1, f1, balanced_accuracy, false_alarm:<rate>"):
        choose_rule([0, 1], [0.1, 0.9], objective)


def test_neighbouring_floats_are_parted() -> None:
    low = 0.5
    high = float(np.nextafter(low, 1))
    rule = choose_rule([0, 1], [low, high])
    assert rule.label(low) == "authentic"
    assert rule.label(high) == "forged"


@pytest.mark.parametrize(
    ("probability", "label"),
    [
        (0.0, "authentic"),
        (0.4, "authentic"),
        (0.41, "inconclusive"),
        (0.59, "inconclusive"),
        (0.6, "forged"),
        (1.0, "forged"),
    ],
)
def test_verdicts_inside_the_band_are_inconclusive_and_its_ends_are_not(probability: float, label: str) -> None:
    assert DecisionRule(threshold=0.5, band_low=0.4, band_high=0.6).label(probability) == label


def test_a_threshold_outside_its_band_is_refused() -> None:
    with pytest.raises(ValidationError, match="band_low <= threshold"):
        DecisionRule(threshold=0.2, band_low=0.3, band_high=0.6)


def test_certain_answers_are_never_inconclusive() -> None:
    labels = [0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0]
    rule = choose_rule(labels, [0.0, 0.0, 0.2, 0.2, 0.2, 0.4, 0.4, 0.6, 0.6, 0.6, 0.8, 1.0])
    # Abstaining from .8, which is right, would pay only if the error at 1 could be left out too.
    assert (rule.threshold, rule.band_low, rule.band_high) == (0.7, 0.7, 0.7)


def test_coverage_and_risk_are_those_of_the_pictures_it_was_chosen_on() -> None:
    labels, probabilities = calibrated(500)
    rule = choose_rule(labels, probabilities)
    verdicts = [rule.label(each) for each in probabilities]
    given = [(verdict, label) for verdict, label in zip(verdicts, labels, strict=True) if verdict != "inconclusive"]
    wrong = sum((verdict == "forged") != bool(label) for verdict, label in given)
    assert 0.8 <= len(given) / 500 < 1
    assert rule.coverage == len(given) / 500
    assert rule.risk == pytest.approx(wrong / len(given))
    everything = rule.model_copy(update={"band_low": rule.threshold, "band_high": rule.threshold})
    assert everything.coverage_and_risk(labels, probabilities)[1] > rule.risk


def test_without_a_verdict_there_is_no_risk() -> None:
    assert DecisionRule(threshold=0.5, band_low=0.2, band_high=0.8).coverage_and_risk([0, 1], [0.4, 0.6]) == (0, 0)


def test_a_rule_of_an_older_bundle_is_read() -> None:
    assert DecisionRule.model_validate({"threshold": 0.5, "band_low": 0.5, "band_high": 0.5}).coverage is None
