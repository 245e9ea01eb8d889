from itertools import pairwise

import pytest

from forgery.config import TrainingOptions
from forgery.training.fit import Phase, cosine, plan_phases
from forgery.training.setup import class_weights

OPTIONS = TrainingOptions(
    epochs=9, head_epochs=2, learning_rate=1e-3, fine_tune_learning_rate=1e-4, fine_tune_layers=30
)
HEAD = Phase("head", 2, 1e-3, 0)
FINE_TUNING = Phase("fine-tuning", 9, 1e-4, 30)


@pytest.mark.parametrize(
    ("changes", "pretrained", "continued", "expected"),
    [
        ({}, False, False, [Phase("whole", 9, 1e-3, None)]),
        ({}, False, True, [Phase("whole", 9, 1e-4, None)]),
        ({}, True, False, [HEAD, FINE_TUNING]),
        ({}, True, True, [FINE_TUNING]),
        ({"head_epochs": 0}, True, False, [FINE_TUNING]),
        ({"fine_tune_layers": 0}, True, False, [Phase("head", 9, 1e-3, 0)]),
        ({"fine_tune_layers": 0}, True, True, [Phase("head", 9, 1e-4, 0)]),
    ],
)
def test_phases_follow_from_the_options(
    changes: dict[str, int], pretrained: bool, continued: bool, expected: list[Phase]
) -> None:
    assert plan_phases(OPTIONS.model_copy(update=changes), pretrained, continued) == expected


def test_both_classes_weigh_the_same_in_all() -> None:
    import numpy as np

    labels = np.array([1, 0, 0, 0], np.float32)
    weights = class_weights(labels)
    assert weights[1] * 1 == pytest.approx(weights[0] * 3) == pytest.approx(2)


def test_along_a_cosine_the_rate_falls_from_full_to_almost_none() -> None:
    rates = [cosine(FINE_TUNING, epoch) for epoch in range(FINE_TUNING.epochs)]
    assert rates[0] == pytest.approx(FINE_TUNING.learning_rate / 2)
    assert rates[1] == pytest.approx(FINE_TUNING.learning_rate, rel=0.02)
    assert all(later < earlier for earlier, later in pairwise(rates[1:]))
    assert 0 < rates[-1] < FINE_TUNING.learning_rate / 10
