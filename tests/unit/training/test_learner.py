"""The figures of validation: what a network tells apart counts, not how sure it is of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from forgery.training.learner import Learner
from forgery.training.workers import alone


def loss(logits: list[float], labels: list[float], temperature: float) -> float:
    scaled = np.array(logits) / temperature
    return float(np.mean(np.logaddexp(0, scaled) - scaled * np.array(labels)))


@pytest.mark.parametrize(
    ("logits", "labels", "best"),
    [
        ([8, 8, 8, -8, -8, -8], [1, 1, 0, 0, 0, 1], 5.6),  # so sure and wrong each third time
        ([3, 3, 3, -3, -3, -3], [1, 1, 0, 0, 0, 1], 4.0),
        ([3, 2, 2, -3, -2, -2], [1, 1, 1, 0, 0, 0], 1.0),
    ],
)
def test_validation_loss_is_that_at_the_temperature_that_suits_best(
    logits: list[float], labels: list[float], best: float
) -> None:
    inputs = keras.Input((1,), dtype="uint8")
    learner = Learner(keras.Model(inputs, keras.layers.Rescaling(1.0, -128.0)(inputs)), False, None, alone())
    learner.begin(1e-3)
    maps = tf.constant(np.array(logits)[:, None] + 128, tf.uint8)
    truth = tf.constant(np.array(labels)[:, None], tf.float32)
    for _ in range(2):  # nothing is left of the first time
        figures = learner.evaluate([(maps[:4], truth[:4]), (maps[4:], truth[4:])])
        assert figures["loss"] == pytest.approx(loss(logits, labels, best), abs=1e-5)
    assert all(loss(logits, labels, best) <= loss(logits, labels, other) for other in (1.0, 1.4, 2.0, 2.8, 4.0, 5.6))
    assert figures["accuracy"] == pytest.approx(np.mean((np.array(logits) > 0) == np.array(labels)))
