import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from forgery.decision import DecisionRule
from forgery.errors import ForgeryError
from forgery.evaluation.scores import (
    ControlScores,
    ModelScores,
    RobustnessPoint,
    RobustnessScores,
    TestPictures,
    ViewScores,
)
from forgery.metrics import Estimate
from forgery.promotion import PromotionRule, judge
from forgery.views import HARMONISED, RAW, SHARED

Bools = NDArray[np.bool_]

RULE = PromotionRule(bootstrap_draws=300)
UNUSED = Estimate(value=0, low=0, high=0)  # the gate works from single answers


def scores_of(
    truth: Bools,
    answers: NDArray[np.float64],
    latency_ms: float = 10,
    name: str = "picture",
    harmonised: NDArray[np.float64] | None = None,
    control: NDArray[np.float64] | None = None,
    damaged: NDArray[np.float64] | None = None,
) -> ModelScores:
    """`control` are answers to crops of all pictures in both views, `damaged` those to all pictures, damaged once."""
    n = len(truth)
    everything = list(range(n))
    copies = {RAW: answers, HARMONISED: answers if harmonised is None else harmonised}
    pictures = TestPictures(
        digests=[f"{name}{index}" for index in range(n)],
        labels=[int(each) for each in truth],
        groups=[f"group{index // 2}" for index in range(n)],
        manipulations=["splice" if each else None for each in truth],
        formats=["JPEG"] * n,
        pixels=[98_304] * n,
        qualities=[90] * n,
    )
    return ModelScores(
        model_version="0" * 32,
        recipe="ela1_q90_gain15_224_bilinear",
        backbone="cnn",
        decision=DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5),
        pictures=pictures,
        views={
            view: ViewScores(
                pictures=everything,
                probabilities=found.astype(float).tolist(),
                control=None
                if control is None
                else ControlScores(pictures=everything, probabilities=control.tolist(), roc_auc=UNUSED),
            )
            for view, found in copies.items()
        },
        judged=[RAW, HARMONISED],
        robustness=None
        if damaged is None
        else RobustnessScores(
            pictures=everything,
            points=[RobustnessPoint(damage="jpeg", level=50, probabilities=damaged.tolist(), metrics={})],
        ),
        latency_ms=latency_ms,
        size_bytes=1000,
    )


def misjudged(misses: int, false_alarms: int, n: int = 400) -> tuple[Bools, NDArray[np.float64]]:
    """Half of n pictures are forged; the first ones of each class are misjudged."""
    truth = np.arange(n) % 2 == 0
    answers = truth.copy()
    answers[np.flatnonzero(truth)[:misses]] = False
    answers[np.flatnonzero(~truth)[:false_alarms]] = True
    return truth, answers.astype(np.float64)


def with_errors(misses: int, false_alarms: int, n: int = 400, **settings: Any) -> ModelScores:
    return scores_of(*misjudged(misses, false_alarms, n), **settings)


def damaged(errors: int) -> NDArray[np.float64]:
    return misjudged(errors, errors)[1]


def crops_told_apart(auc: float, n: int = 400) -> NDArray[np.float64]:
    """Answers to crops, of which so many pairs of a forged and an authentic one are in the right order."""
    ranks = np.arange(n // 2) / n
    answers = np.zeros(n)
    answers[np.arange(n) % 2 == 0] = ranks + (auc - 0.5)
    answers[np.arange(n) % 2 == 1] = ranks
    return np.clip(answers, 0, 1)


def forged_to_everything(n: int = 400) -> ModelScores:
    return scores_of(np.arange(n) % 2 == 0, np.ones(n))


@pytest.mark.parametrize(
    ("challenger", "champion", "rule", "promote", "reason"),
    [
        pytest.param(
            with_errors(40, 40), None, RULE, True, "Promoted as the first model: F1 0.800 reaches 0.500", id="first"
        ),
        pytest.param(
            with_errors(120, 60), None, RULE, False, "F1 of 0.471 is below the floor of 0.500", id="first below floor"
        ),
        pytest.param(
            forged_to_everything(),
            None,
            RULE,
            False,
            "its balanced accuracy of 0.500 is below the floor of 0.550",
            id="first that says forged to everything",
        ),
        pytest.param(
            with_errors(20, 20),
            with_errors(60, 60),
            RULE,
            True,
            "Promoted: F1 0.900 against the champion's 0.700, a gain of +0.200 (95% interval +0.",
            id="clearly better",
        ),
        pytest.param(
            with_errors(40, 40),
            with_errors(40, 40),
            RULE,
            False,
            "Held: F1 0.800 against the champion's 0.800; its F1 gain of +0.000 is not more than 0.000.",
            id="champion survives a tie",
        ),
        pytest.param(
            with_errors(30, 30),
            with_errors(40, 40),
            PromotionRule(bootstrap_draws=300, margin=0.1),
            False,
            "its F1 gain of +0.050 is not more than 0.100",
            id="better by less than the margin",
        ),
        pytest.param(
            with_errors(39, 39),
            with_errors(40, 40),
            RULE,
            False,
            "its F1 gain of +0.005 (95% interval +0.000 to +0.0",
            id="better by chance",
        ),
        pytest.param(
            with_errors(39, 39),
            with_errors(40, 40),
            PromotionRule(bootstrap_draws=300, require_significance=False),
            True,
            "Promoted: F1 0.805",
            id="significance not asked for",
        ),
        pytest.param(
            with_errors(0, 100),
            with_errors(80, 0),
            RULE,
            False,
            "its balanced accuracy changes by -0.050, worse than -0.020",
            id="F1 bought with balanced accuracy",
        ),
        pytest.param(
            with_errors(20, 20, latency_ms=31),
            with_errors(60, 60),
            RULE,
            False,
            "a picture takes 3.10 times as long where 3.00 is allowed",
            id="too slow",
        ),
        pytest.param(
            with_errors(20, 20, latency_ms=30), with_errors(60, 60), RULE, True, "Promoted", id="as slow as is allowed"
        ),
        pytest.param(
            with_errors(110, 110),
            with_errors(160, 160),
            RULE,
            False,
            "F1 of 0.450 is below the floor",
            id="better than a bad champion, yet below the floor",
        ),
        pytest.param(
            with_errors(20, 20, harmonised=misjudged(100, 100)[1]),
            with_errors(60, 60),
            RULE,
            False,
            "Held: F1 0.700 against the champion's 0.700; its F1 gain of +0.000",
            id="what is gained on raw files is lost on harmonised ones",
        ),
        pytest.param(
            with_errors(20, 20, harmonised=misjudged(100, 100)[1]),
            with_errors(60, 60),
            PromotionRule(views=[RAW], bootstrap_draws=300),
            True,
            "Promoted: F1 0.900",
            id="raw files alone, where that is asked for",
        ),
        pytest.param(
            with_errors(20, 20, control=crops_told_apart(0.9)),
            with_errors(60, 60),
            RULE,
            False,
            "in view raw it tells crops without a forged pixel apart (ROC AUC 0.",
            id="reads file history",
        ),
        pytest.param(
            with_errors(20, 20, control=crops_told_apart(0.9)),
            None,
            RULE,
            False,
            "so it reads file history",
            id="first model that reads file history",
        ),
        pytest.param(
            with_errors(20, 20, control=crops_told_apart(0.5)), None, RULE, True, "Promoted", id="reads no file history"
        ),
        pytest.param(
            with_errors(20, 20, control=crops_told_apart(0.9)),
            with_errors(60, 60),
            PromotionRule(max_control=1, bootstrap_draws=300),
            True,
            "Promoted",
            id="file history may be read",
        ),
        pytest.param(
            with_errors(20, 20, damaged=damaged(71)),
            with_errors(60, 60, damaged=damaged(60)),
            RULE,
            False,
            "on damaged pictures its balanced accuracy changes by -0.055, worse than -0.050",
            id="breaks where pictures are damaged",
        ),
        pytest.param(
            with_errors(20, 20, damaged=damaged(70)),
            with_errors(60, 60, damaged=damaged(60)),
            RULE,
            True,
            "Promoted",
            id="loses as much on damaged pictures as is allowed",
        ),
    ],
)
def test_the_gate(
    challenger: ModelScores, champion: ModelScores | None, rule: PromotionRule, promote: bool, reason: str
) -> None:
    verdict = judge(challenger, champion, rule)
    assert verdict.promote is promote
    assert reason in verdict.reason
    assert "\n" not in verdict.reason
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_a_model_that_gives_no_number_holds(who: str) -> None:
    scores = with_errors(20, 20)
    raw = scores.views[RAW]
    unknown = raw.model_copy(update={"probabilities": [math.nan, *raw.probabilities[1:]]})
    broken = scores.model_copy(update={"views": {RAW: unknown}})
    verdict = judge(broken, scores, RULE) if who == "challenger" else judge(scores, broken, RULE)
    assert not verdict.promote
    assert verdict.reason == f"Held: the {who} gives no number for 1 of 400 copies of the test pictures."


def test_models_measured_on_different_pictures_are_not_compared() -> None:
    with pytest.raises(ForgeryError, match="different test pictures"):
        judge(with_errors(20, 20), with_errors(60, 60, name="other"), RULE)


def test_a_view_that_was_not_measured_cannot_be_judged() -> None:
    with pytest.raises(ForgeryError, match="challenger was not measured on every test picture in view 'shared'"):
        judge(with_errors(20, 20), None, PromotionRule(views=[RAW, SHARED]))


def test_the_markdown_has_every_check_with_its_figures_and_marks_what_failed() -> None:
    verdict = judge(with_errors(20, 20, latency_ms=31), with_errors(60, 60), RULE)
    assert verdict.markdown.startswith(f"## {verdict.reason}\n\n| Check |")
    assert len(verdict.checks) == 6
    for check in verdict.checks:
        mark = "pass" if check.passed else "**fail**"
        assert f"| {check.name} | {check.measured} | {check.required} | {mark} |" in verdict.markdown
    assert "| F1 (forged) | 0.900 [" in verdict.markdown
    assert "Judged over raw and harmonised copies of 400 test pictures from 200 source groups" in verdict.markdown
    assert "rough" not in verdict.markdown


def test_the_markdown_says_when_groups_are_few() -> None:
    assert "intervals are rough" in judge(with_errors(2, 2, n=20), None, RULE).markdown


def strength(accuracy: float) -> float:
    """How far apart the classes' normal scores lie for this accuracy at the threshold between them."""
    return 2 * NormalDist().inv_cdf(accuracy)


def answers_of(truth: Bools, accuracy: float, shared: NDArray[np.float64], random: np.random.Generator) -> Any:
    """Scores in both views: part of what a picture looks like to one model it does to all, and in both views."""
    own = random.normal(size=len(truth))
    for _ in (RAW, HARMONISED):
        noise = 0.6 * shared + 0.7 * own + np.sqrt(1 - 0.6**2 - 0.7**2) * random.normal(size=len(truth))
        yield 1 / (1 + np.exp(-((truth - 0.5) * strength(accuracy) + noise)))


def promoted(seed: int, challenger: float, champion: float, n: int = 300) -> bool:
    random = np.random.default_rng(seed)
    truth = random.uniform(size=n) < 0.5
    # Pictures of a group look alike.
    shared = (np.repeat(random.normal(size=n // 2), 2) + random.normal(size=n)) / np.sqrt(2)
    models = []
    for accuracy in (challenger, champion):
        raw, harmonised = answers_of(truth, accuracy, shared, random)
        models.append(scores_of(truth, raw, harmonised=harmonised))
    return judge(*models, PromotionRule(bootstrap_draws=200), seed).promote


@pytest.mark.slow
def test_of_two_equal_models_the_challenger_is_promoted_no_more_often_than_stated() -> None:
    wrong = sum(promoted(seed, 0.75, 0.75) for seed in range(1000))
    assert 0 < wrong / 1000 <= 0.025


def test_a_better_model_is_usually_promoted() -> None:
    assert sum(promoted(seed, 0.85, 0.70) for seed in range(50)) >= 45
