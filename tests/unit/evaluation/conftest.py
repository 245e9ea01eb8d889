from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from forgery.decision import DecisionRule
from forgery.evaluation.scores import BaselineScores, Comparison, ModelScores, TestPictures, ViewScores
from forgery.metrics import Outcome, estimates
from forgery.views import RAW

MakeScores = Callable[..., ModelScores]


def _scores(labels: list[int], probabilities: list[float], **columns: Any) -> ModelScores:
    n = len(labels)
    defaults: dict[str, Any] = {
        "groups": [f"group{index}" for index in range(n)],
        "manipulations": ["splice" if label else None for label in labels],
        "formats": ["JPEG"] * n,
        "pixels": [98_304] * n,
        "qualities": [90] * n,
    }
    pictures = TestPictures(digests=[f"{index:064x}" for index in range(n)], labels=labels, **(defaults | columns))
    metrics = estimates(Outcome.of(labels, probabilities, 0.5), pictures.groups, draws=50)
    return ModelScores(
        model_version="1" * 32,
        recipe="ela1_q90_gain15_32_bilinear",
        backbone="cnn",
        decision=DecisionRule(threshold=0.5, band_low=0.4, band_high=0.5),
        pictures=pictures,
        views={RAW: ViewScores(pictures=list(range(n)), probabilities=probabilities, metrics=metrics)},
        metrics=metrics,
        latency_ms=12.0,
        parameters=1234,
        size_bytes=5678,
    )


@pytest.fixture(scope="session")
def make_scores() -> MakeScores:
    """Scores of a model from labels (1 forged) and probabilities; other columns of the pictures by name."""
    return _scores


@pytest.fixture
def comparison(make_scores: MakeScores) -> Comparison:
    """A challenger, a worse champion and one baseline on 300 pictures."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300).tolist()

    def noisy(gain: float) -> list[float]:
        values = 0.5 + gain * (np.asarray(labels) - 0.5) + random.normal(0, 0.25, 300)
        return [float(each) for each in np.clip(values, 0, 1)]

    challenger = make_scores(labels, noisy(0.5))
    baseline = BaselineScores(
        name="header_only",
        description="headers",
        threshold=0.5,
        probabilities=[0.5] * 300,
        metrics=estimates(Outcome.of(labels, [0.5] * 300, 0.5), challenger.pictures.groups, draws=50),
    )
    return Comparison(
        challenger=challenger,
        champion=make_scores(labels, noisy(0.2)),
        baselines=[baseline],
        dataset_digest="d" * 32,
        confidence=0.95,
    )
