"""One network under training: its step, its figures, and everything another process needs to go on with it."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from forgery.training.dense import CELLS_LOSS_WEIGHT, LOGIT, MADE, UNKNOWN, cell_loss, logit_map, members
from forgery.training.export import LOGIT_MAP
from forgery.training.workers import Workers

State = dict[str, NDArray[np.generic]]

_LOSS = "loss"
# Logits of the validation split are divided by that of them which suits them best, since those that are served are
# too: a network that is sure of itself too early would else be stopped while it still learns to tell more apart.
_TEMPERATURES = (1.0, 1.4, 2.0, 2.8, 4.0, 5.6)
# Of batch norm; each worker gathers its own.
_STATISTICS = ("moving_mean", "moving_variance")


class Learner:
    """Adam on cross-entropy, and where batches hold masks on the loss of cells too; each member by its own.

    Keras's own `fit` would do, but it cannot go on in the middle of an epoch, nor can it train with several workers.
    """

    def __init__(
        self, network: keras.Model, dense: bool, class_weights: Mapping[int, float] | None, workers: Workers
    ) -> None:
        """Train `network`, with masks if `dense`; each class weighs what `class_weights` says, else 1."""
        self._network = network
        answer = {LOGIT: network.outputs[0]} | ({LOGIT_MAP: logit_map(network)} if dense else {})
        learning = [{LOGIT: logit, LOGIT_MAP: cells} for logit, cells in members(network)] if dense else [answer]
        self._model = keras.Model(network.inputs, [answer, *learning])
        # By member whether it learns from forgeries made for training; the first is the one without content.
        self._by_made = [False, True][: len(learning)] if dense else [True]
        self._weights = class_weights or {0: 1.0, 1: 1.0}
        self._workers = workers
        self._losses_at = {temperature: _means(dense) for temperature in _TEMPERATURES}
        self._scores = _scores()
        self._figures = _means(dense) | self._scores

    def begin(self, learning_rate: float) -> None:
        """Forget the optimizer's moments; the layers that are trainable now are those that learn."""
        with self._workers.strategy.scope():
            optimizer = keras.optimizers.Adam(learning_rate)
            if self._network.dtype_policy.compute_dtype == "float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(self._network.trainable_variables)
        self._optimizer = optimizer
        self._train = tf.function(self._train_batch, autograph=False, reduce_retracing=True)
        self._test = tf.function(self._test_batch, autograph=False, reduce_retracing=True)

    def learn(self, batches: Iterable[tuple[tf.Tensor, ...]], rate: float, on_step: Callable[[], None]) -> None:
        """Take a step for every batch, and call `on_step` after each."""
        self._adam.learning_rate.assign(rate)
        for maps, labels in batches:
            self._train(maps, labels)
            on_step()

    def end_epoch(self) -> dict[str, float]:
        """The figures of all workers since `forget_figures`; batch norm's statistics become those of all."""
        if self._workers.count > 1:
            statistics = [each for each in self._network.weights if each.name in _STATISTICS]
            means = self._workers.mean([each.value for each in statistics])
            for variable, value in zip(statistics, means, strict=True):
                variable.assign(value)
        return self._total(self._figures)

    def evaluate(self, batches: Iterable[tuple[tf.Tensor, ...]]) -> dict[str, float]:
        """The figures of a split of which every worker gives its own batches; losses at the best temperature."""
        self.forget_figures()
        for figure in chain.from_iterable(figures.values() for figures in self._losses_at.values()):
            figure.reset_state()
        for maps, labels in batches:
            self._test(maps, labels)
        losses = (self._total(figures) for figures in self._losses_at.values())
        return min(losses, key=lambda figures: figures[_LOSS]) | self._total(self._scores)

    def forget_figures(self) -> None:
        """Count from nothing."""
        for figure in self._figures.values():
            figure.reset_state()

    def state(self) -> State:
        """All variables, those of optimizer, dropout and figures too."""
        return {name: tf.convert_to_tensor(variable.value).numpy() for name, variable in self._variables().items()}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from `state`; ValueError or KeyError where it is of another network or optimizer."""
        variables = self._variables()
        for name, variable in variables.items():
            if state[name].shape != tuple(variable.shape):
                raise ValueError(f"{name} has the shape {state[name].shape} instead of {tuple(variable.shape)}")
        for name, variable in variables.items():
            variable.assign(state[name])

    @property
    def _adam(self) -> keras.optimizers.Adam:
        return getattr(self._optimizer, "inner_optimizer", self._optimizer)

    def _variables(self) -> dict[str, keras.Variable]:
        groups = {
            "network": self._network.variables,
            "optimizer": self._optimizer.variables,
            "figures": list(chain.from_iterable(figure.variables for figure in self._figures.values())),
        }
        return {f"{group}/{at:05d}": one for group, found in groups.items() for at, one in enumerate(found)}

    def _total(self, figures: Mapping[str, keras.metrics.Metric]) -> dict[str, float]:
        if self._workers.count > 1:
            variables = list(chain.from_iterable(figure.variables for figure in figures.values()))
            for variable, value in zip(variables, self._workers.total([one.value for one in variables]), strict=True):
                variable.assign(value)
        return {name: float(figure.result()) for name, figure in figures.items()}

    def _train_batch(self, maps: tf.Tensor, labels: tf.Tensor | dict[str, tf.Tensor]) -> None:
        truth = _named(labels)
        losses, logits = self._workers.strategy.run(self._step, args=(maps, truth))
        self._count(losses, logits, truth)

    def _test_batch(self, maps: tf.Tensor, labels: tf.Tensor | dict[str, tf.Tensor]) -> None:
        outputs, *_ = self._model(maps, training=False)
        truth = _named(labels)
        for temperature, figures in self._losses_at.items():
            softened = {name: output / temperature for name, output in outputs.items()}
            for name, loss in self._losses(truth, softened).items():
                figures[name].update_state(loss, tf.shape(truth[LOGIT])[0])
        for score in self._scores.values():
            score.update_state(_forged(truth), tf.cast(outputs[LOGIT], tf.float32))

    def _step(self, maps: tf.Tensor, truth: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        learning = self._network.trainable_variables
        with tf.GradientTape() as tape:
            outputs, *each = self._model(maps, training=True)
            # A member alone has the loss of the whole. Gradients are summed over the workers.
            loss = tf.add_n([self._losses(truth, *one)[_LOSS] for one in zip(each, self._by_made, strict=True)])
            scaled = self._optimizer.scale_loss(loss / self._workers.count)
        self._optimizer.apply_gradients(zip(tape.gradient(scaled, learning), learning, strict=True))
        return self._losses(truth, outputs), outputs[LOGIT]

    def _losses(
        self, truth: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor], by_made: bool = True
    ) -> dict[str, tf.Tensor]:
        """Without `by_made` forgeries made for training cost nothing."""
        labels, logits = _forged(truth), tf.cast(outputs[LOGIT], tf.float32)
        made = tf.cast(truth[LOGIT], tf.float32)[:, 0] == MADE
        weights = tf.where(labels[:, 0] > 0.5, self._weights[1], self._weights[0])
        weights = weights if by_made else tf.where(made, 0.0, weights)
        # The function: Keras's object would divide by the number of workers once more.
        loss = tf.reduce_mean(weights * keras.losses.binary_crossentropy(labels, logits, from_logits=True))
        if LOGIT_MAP not in outputs:
            return {_LOSS: loss}
        masks = truth[LOGIT_MAP]
        masks = masks if by_made else tf.where(made[:, None, None, None], UNKNOWN, masks)
        cells = cell_loss(masks, tf.cast(outputs[LOGIT_MAP], tf.float32))
        return {_LOSS: loss + CELLS_LOSS_WEIGHT * cells, f"{LOGIT}_loss": loss, f"{LOGIT_MAP}_loss": cells}

    def _count(self, losses: dict[str, tf.Tensor], logits: tf.Tensor, truth: dict[str, tf.Tensor]) -> None:
        own = self._workers.strategy.experimental_local_results
        labels, pictures = _forged(truth), tf.shape(truth[LOGIT])[0]
        for name, figure in self._figures.items():
            if name in losses:
                figure.update_state(own(losses[name])[0], pictures)
            else:
                figure.update_state(labels, tf.cast(own(logits)[0], tf.float32))


def _forged(truth: dict[str, tf.Tensor]) -> tf.Tensor:
    """1 forged, 0 authentic, float32 [b, 1]."""
    return tf.minimum(tf.cast(truth[LOGIT], tf.float32), 1.0)


def _scores() -> dict[str, keras.metrics.Metric]:
    """Like means they add up: what each worker or each part has counted can be summed."""
    return {
        "accuracy": keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
        "auc": keras.metrics.AUC(name="auc", from_logits=True),
    }


def _means(dense: bool) -> dict[str, keras.metrics.Metric]:
    losses = [_LOSS, f"{LOGIT}_loss", f"{LOGIT_MAP}_loss"] if dense else [_LOSS]
    return {name: keras.metrics.Mean(name) for name in losses}


def _named(labels: tf.Tensor | dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return labels if isinstance(labels, dict) else {LOGIT: labels}
