import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgery.metrics import METRICS, Outcome, confusion_matrix, estimates, mean_estimate, measure, paired_gains

ScoredPictures = list[tuple[bool, int, int]]
scored_pictures = st.lists(st.tuples(st.booleans(), st.integers(0, 10), st.integers(0, 5)), min_size=1, max_size=40)


def outcome_of(pictures: ScoredPictures) -> Outcome:
    return Outcome.of([label for label, _, _ in pictures], [score / 10 for _, score, _ in pictures], 0.5)


def noisy(pictures: int, groups: int, seed: int = 0, noise: float = 0.3) -> tuple[Outcome, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, pictures)
    probabilities = np.clip(0.35 + 0.3 * labels + random.normal(0, noise, pictures), 0, 1)
    return Outcome.of(labels, probabilities, 0.5), random.integers(0, groups, pictures)


@settings(deadline=None)
@given(scored_pictures.filter(lambda pictures: len({label for label, _, _ in pictures}) == 2))
def test_figures_are_those_of_scikit_learn(pictures: ScoredPictures) -> None:
    from sklearn import metrics

    outcome = outcome_of(pictures)
    truth, called = outcome.forged, outcome.probabilities >= 0.5
    figures = measure(outcome)
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(truth, called))
    assert figures["precision"] == pytest.approx(metrics.precision_score(truth, called, zero_division=0))
    assert figures["recall"] == pytest.approx(metrics.recall_score(truth, called))
    assert figures["f1"] == pytest.approx(metrics.f1_score(truth, called))
    assert figures["macro_f1"] == pytest.approx(metrics.f1_score(truth, called, average="macro"))
    assert figures["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, called))
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, outcome.probabilities))
    assert figures["average_precision"] == pytest.approx(metrics.average_precision_score(truth, outcome.probabilities))
    assert confusion_matrix(outcome) == metrics.confusion_matrix(truth, called, labels=[False, True]).tolist()


@pytest.mark.parametrize(
    ("labels", "probabilities", "expected"),
    [
        pytest.param(
            [0, 0, 1],
            [0.1, 0.2, 0.3],
            {"precision": 0, "recall": 0, "f1": 0, "balanced_accuracy": 0.5, "roc_auc": 1},
            id="nothing called forged",
        ),
        pytest.param(
            [1, 1],
            [0.9, 0.8],
            {"recall": 1, "f1": 1, "balanced_accuracy": 0.5, "macro_f1": 0.5, "roc_auc": 0.5, "average_precision": 1},
            id="forged alone",
        ),
        pytest.param(
            [0, 0],
            [0.9, 0.1],
            {"accuracy": 0.5, "precision": 0, "recall": 0, "f1": 0, "roc_auc": 0.5, "average_precision": 0},
            id="authentic alone",
        ),
        pytest.param([0, 1], [0.5, 0.5], {"roc_auc": 0.5, "f1": 2 / 3, "average_precision": 0.5}, id="one score"),
    ],
)
def test_edge_cases_have_defined_figures(
    labels: list[int], probabilities: list[float], expected: dict[str, float]
) -> None:
    figures = measure(Outcome.of(labels, probabilities, 0.5))
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


@given(scored_pictures)
def test_every_figure_and_interval_is_a_finite_number_in_zero_to_one(pictures: ScoredPictures) -> None:
    found = estimates(outcome_of(pictures), [group for _, _, group in pictures], draws=50)
    for estimate in found.values():
        assert all(0 <= each <= 1 for each in (estimate.value, estimate.low, estimate.high))


def test_calibration_error_is_the_gap_between_probability_and_frequency() -> None:
    # Ten pictures said to be forged at .75, of which five are; ten at .15, of which none is.
    outcome = Outcome.of([1, 0] * 5 + [0] * 10, [0.75] * 10 + [0.15] * 10, 0.5)
    assert measure(outcome)["ece"] == pytest.approx((0.25 + 0.15) / 2)


def test_a_model_that_says_the_base_rate_is_calibrated() -> None:
    assert measure(Outcome.of([1, 0, 0, 0], [0.25] * 4, 0.5))["ece"] == pytest.approx(0)


@pytest.mark.parametrize("probability", [np.nan, -0.1, 1.1, np.inf])
def test_a_probability_that_is_none_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        Outcome.of([0, 1], [0.5, probability], 0.5)


def test_labels_and_probabilities_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \[n\]"):
        Outcome.of([0, 1, 1], [0.5, 0.2], 0.5)


def test_an_interval_holds_its_value_and_repeats_with_its_seed() -> None:
    outcome, groups = noisy(200, 60)
    first, second = estimates(outcome, groups, seed=3), estimates(outcome, groups, seed=3)
    assert first == second
    assert all(each.low <= each.value <= each.high for name, each in first.items() if name != "ece")
    assert first["f1"] != estimates(outcome, groups, seed=4)["f1"]


def test_intervals_cover_the_true_accuracy_about_as_often_as_they_say() -> None:
    truth = measure(noisy(200_000, 10, seed=99)[0])["accuracy"]
    covered = 0
    for seed in range(200):
        outcome, _ = noisy(150, 150, seed)
        found = estimates(outcome, np.arange(150), ["accuracy"], draws=200, confidence=0.9)["accuracy"]
        covered += found.low <= truth <= found.high
    assert 0.83 <= covered / 200 <= 0.97


def test_copies_within_a_group_do_not_narrow_the_interval() -> None:
    outcome, _ = noisy(60, 60)
    copies = Outcome.of(np.repeat(outcome.forged, 5), np.repeat(outcome.probabilities, 5), 0.5)
    alone = estimates(outcome, np.arange(60))
    repeated = estimates(copies, np.repeat(np.arange(60), 5))
    for name in METRICS:
        assert repeated[name].model_dump() == pytest.approx(alone[name].model_dump())


def test_draws_in_chunks_are_the_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, groups = noisy(50, 20)
    at_once = estimates(outcome, groups, draws=100)
    monkeypatch.setattr("forgery.metrics._CHUNK_WEIGHTS", 50 * 7)
    assert estimates(outcome, groups, draws=100) == at_once


def test_one_group_alone_gives_the_widest_interval() -> None:
    outcome, _ = noisy(20, 5)
    assert (estimates(outcome, ["one"] * 20)["f1"].low, estimates(outcome, ["one"] * 20)["f1"].high) == (0, 1)
    gain = paired_gains(outcome, outcome, ["one"] * 20)["f1"]
    assert (gain.low, gain.value, gain.high) == (-1, 0, 1)


def test_a_model_gains_nothing_over_itself() -> None:
    outcome, groups = noisy(100, 30)
    for gain in paired_gains(outcome, outcome, groups, draws=100).values():
        assert (gain.low, gain.value, gain.high) == (0, 0, 0)


def test_pairing_narrows_the_interval_of_two_models_that_err_alike() -> None:
    champion, groups = noisy(300, 300)
    better = np.where(np.arange(300) % 20 == 0, champion.forged, champion.probabilities)
    challenger = Outcome(champion.forged, better.astype(np.float64), 0.5)
    gain = paired_gains(challenger, champion, groups)["accuracy"]
    unpaired = estimates(champion, groups)["accuracy"]
    assert gain.value > 0
    assert gain.high - gain.low < (unpaired.high - unpaired.low) / 2


def test_gains_of_models_with_different_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="same pictures"):
        paired_gains(Outcome.of([0, 1], [0, 1], 0.5), Outcome.of([1, 0], [0, 1], 0.5), ["a", "b"])


def test_a_thousand_draws_of_all_figures_take_well_under_two_seconds() -> None:
    outcome, groups = noisy(350, 120)
    start = time.process_time()
    estimates(outcome, groups, draws=1000)
    assert time.process_time() - start < 2


def test_a_mean_leaves_out_what_is_not_known_and_has_an_interval_over_groups() -> None:
    values = [0.2, 0.4, np.nan, 0.9]
    alone = mean_estimate(values, ["a", "b", "c", "d"], draws=200)
    together = mean_estimate(values, ["a"] * 4)
    assert alone is not None
    assert together is not None
    assert alone.value == together.value == pytest.approx(0.5)
    assert 0.2 <= alone.low < 0.5 < alone.high <= 0.9
    assert (together.low, together.high) == (0, 1)
    assert mean_estimate([np.nan], ["a"]) is None


def test_gains_of_few_groups_have_wider_intervals_than_plain_percentiles() -> None:
    champion, groups = noisy(60, 8)
    challenger, _ = noisy(60, 8, seed=1)
    challenger = Outcome(champion.forged, challenger.probabilities, 0.5)
    gain = paired_gains(challenger, champion, groups, ("accuracy",))["accuracy"]
    wider = paired_gains(challenger, champion, groups, ("accuracy",), confidence=0.99)["accuracy"]
    names, index = np.unique(groups, return_inverse=True)
    random = np.random.default_rng(0)
    better = ((challenger.probabilities >= 0.5) == champion.forged) * 1.0
    better -= (champion.probabilities >= 0.5) == champion.forged
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=1000)[:, index]
    low, high = np.quantile(drawn @ better / drawn.sum(axis=1), [0.025, 0.975])
    assert wider.low <= gain.low < low
    assert high < gain.high <= wider.high
