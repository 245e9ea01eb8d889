import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from forgery.decision import DecisionRule
from forgery.errors import ForgeryError
from forgery.evaluation.scores import ModelScores, TestPictures
from forgery.promotion import PromotionRule, judge

Bools = NDArray[np.bool_]

RULE = PromotionRule(bootstrap_draws=300)


def scores_of(truth: Bools, answers: NDArray[np.float64], latency_ms: float = 10, name: str = "picture") -> ModelScores:
    n = len(truth)
    pictures = TestPictures(
        digests=[f"{name}{index}" for index in range(n)],
        labels=[int(each) for each in truth],
        groups=[f"group{index // 2}" for index in range(n)],
        manipulations=["splice" if each else None for each in truth],
        formats=["JPEG"] * n,
        pixels=[98_304] * n,
    )
    return ModelScores(
        model_version="0" * 32,
        recipe="ela1_q90_gain15_224_bilinear",
        backbone="cnn",
        decision=DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5),
        pictures=pictures,
        probabilities=answers.astype(float).tolist(),
        latency_ms=latency_ms,
        size_bytes=1000,
    )


def with_errors(misses: int, false_alarms: int, n: int = 400, **settings: Any) -> ModelScores:
    """Half of n pictures are forged; the first ones of each class are misjudged."""
    truth = np.arange(n) % 2 == 0
    answers = truth.copy()
    answers[np.flatnonzero(truth)[:misses]] = False
    answers[np.flatnonzero(~truth)[:false_alarms]] = True
    return scores_of(truth, answers.astype(np.float64), **settings)


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
    broken = scores.model_copy(update={"probabilities": [math.nan, *scores.probabilities[1:]]})
    verdict = judge(broken, scores, RULE) if who == "challenger" else judge(scores, broken, RULE)
    assert not verdict.promote
    assert verdict.reason == f"Held: the {who} gives no number for 1 of 400 test pictures."


def test_models_measured_on_different_pictures_are_not_compared() -> None:
    with pytest.raises(ForgeryError, match="different test pictures"):
        judge(with_errors(20, 20), with_errors(60, 60, name="other"), RULE)


def test_the_markdown_has_every_check_with_its_figures_and_marks_what_failed() -> None:
    verdict = judge(with_errors(20, 20, latency_ms=31), with_errors(60, 60), RULE)
    assert verdict.markdown.startswith(f"## {verdict.reason}\n\n| Check |")
    assert len(verdict.checks) == 6
    for check in verdict.checks:
        mark = "pass" if check.passed else "**fail**"
        assert f"| {check.name} | {check.measured} | {check.required} | {mark} |" in verdict.markdown
    assert "| F1 (forged) | 0.900 [" in verdict.markdown
    assert "400 test pictures from 200 source groups" in verdict.markdown
    assert "rough" not in verdict.markdown


def test_the_markdown_says_when_groups_are_few() -> None:
    assert "intervals are rough" in judge(with_errors(2, 2, n=20), None, RULE).markdown


def draw(seed: int, challenger_accuracy: float, champion_accuracy: float, n: int = 300) -> bool:
    random = np.random.default_rng(seed)
    truth = random.uniform(size=n) < 0.5

    def answers(accuracy: float) -> NDArray[np.float64]:
        return np.where(random.uniform(size=n) < accuracy, truth, ~truth).astype(np.float64)

    challenger, champion = scores_of(truth, answers(challenger_accuracy)), scores_of(truth, answers(champion_accuracy))
    return judge(challenger, champion, PromotionRule(bootstrap_draws=200), seed).promote


def test_of_two_equal_models_the_challenger_is_rarely_promoted() -> None:
    wrong = sum(draw(seed, 0.75, 0.75) for seed in range(400))
    # Nominal are 2.5 %; 5 % of 400 draws are more than three standard deviations away.
    assert wrong / 400 < 0.05


def test_a_better_model_is_usually_promoted() -> None:
    assert sum(draw(seed, 0.85, 0.70) for seed in range(50)) >= 45
