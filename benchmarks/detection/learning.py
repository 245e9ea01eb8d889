"""Fit one system on one fold with the library's own training, and answer for the test pictures."""

import logging
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.detection.pictures import SEED
from benchmarks.detection.systems import System
from forgery.decision import choose_rule, fit_temperature
from forgery.recipes import Evidence
from forgery.training.backbones import find_backbone
from forgery.training.dense import LOGIT, logit_map
from forgery.training.export import LOGIT_MAP
from forgery.training.fit import fit, plan_phases, seed_everything
from forgery.training.setup import class_weights
from forgery.training.weights import start_network

logger = logging.getLogger(__name__)

_BATCH_PREDICTED = 64


@dataclass(frozen=True)
class Examples:
    """Maps with their truth.

    Attributes:
        maps: uint8 [n, H, W, C].
        labels: 1 forged, `MADE` where that was made for training, float32 [n].
        masks: float32 [n, H, W, 1], -1 unknown; None where the system learns from labels alone.
    """

    maps: Evidence
    labels: NDArray[np.float32]
    masks: NDArray[np.float32] | None


def joined(first: Examples, others: list[Examples]) -> Examples:
    """All of them as one; all have masks or none has."""
    every = [first, *others]
    masks = [each.masks for each in every if each.masks is not None]
    return Examples(
        np.concatenate([each.maps for each in every]),
        np.concatenate([each.labels for each in every]),
        np.concatenate(masks) if masks else None,
    )


@dataclass(frozen=True)
class Detector:
    """A fitted network with its decision rule."""

    network: keras.Model
    temperature: float
    threshold: float

    def probabilities(self, maps: Evidence) -> NDArray[np.float32]:
        """Calibrated probability of forged, [n]."""
        return _sigmoid(self.answers(maps)[0] / self.temperature)

    def answers(self, maps: Evidence) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits [n] and logit maps [n, h, w]."""
        both = keras.Model(self.network.inputs, [self.network.outputs[0], logit_map(self.network)])
        logits, logit_maps = both.predict(maps, batch_size=_BATCH_PREDICTED, verbose=0)
        return logits[:, 0], logit_maps[..., 0]


def learn(system: System, training: Examples, validation: Examples, weights: str, kept: Path) -> Detector:
    """Fit, calibrate and choose the threshold, all on the validation examples; from `kept` if that was done before."""
    seed_everything(SEED)
    network = start_network(
        system.backbone, weights if system.pretrained else "", system.parsed, system.options.dropout
    )
    if kept.exists():
        network.load_weights(kept)
    else:
        _fit(network, system, training, validation, pretrained=system.pretrained and bool(weights))
        kept.parent.mkdir(parents=True, exist_ok=True)
        network.save_weights(partial := kept.with_name(f"partial-{kept.name}"))
        partial.replace(kept)
    logits = Detector(network, 1.0, 0.5).answers(validation.maps)[0]
    temperature = fit_temperature(logits, validation.labels)
    return Detector(network, temperature, choose_rule(validation.labels, _sigmoid(logits / temperature)).threshold)


def _fit(network: keras.Model, system: System, training: Examples, validation: Examples, pretrained: bool) -> None:
    options = system.options
    fit(
        network,
        _batches(training, options.batch_size, shuffled=True),
        _batches(validation, options.batch_size, shuffled=False),
        plan_phases(options, pretrained=pretrained, continued=False),
        options,
        class_weights(training.labels) if options.class_weights else None,
        lambda epoch, figures: logger.info("epoch %d: %s", epoch, {k: round(v, 3) for k, v in figures.items()}),
    )


def is_dense(system: System) -> bool:
    """Whether the system learns from masks."""
    return find_backbone(system.backbone).dense


def _batches(examples: Examples, batch_size: int, shuffled: bool) -> tf.data.Dataset:
    masks = () if examples.masks is None else (examples.masks,)
    data = tf.data.Dataset.from_tensor_slices((examples.maps, examples.labels[:, None], *masks))
    if shuffled:
        data = data.shuffle(len(examples.labels), SEED).map(_turned)
    named = data if not masks else data.map(lambda maps, label, mask: (maps, {LOGIT: label, LOGIT_MAP: mask}))
    return named.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _turned(maps: tf.Tensor, label: tf.Tensor, *masks: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Mirror both ways and swap the axes at random, map and mask alike."""
    drawn = tf.random.uniform((3,)) < 0.5

    def turn(value: tf.Tensor) -> tf.Tensor:
        value = tf.cond(drawn[0], lambda: tf.reverse(value, [0]), lambda: value)
        value = tf.cond(drawn[1], lambda: tf.reverse(value, [1]), lambda: value)
        return tf.cond(drawn[2], lambda: tf.transpose(value, (1, 0, 2)), lambda: value)

    return turn(maps), label, *(turn(mask) for mask in masks)


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -50, 50))), np.float32)
