"""Fitting in phases, with everything decided on the validation split.

How far it is deterministic: on one machine with one number of threads, equal seeds, data and options give equal
weights, bit by bit, on a CPU; on a GPU too, at some cost in speed, where TensorFlow has deterministic kernels, and it
refuses the others. Other CPUs, GPUs, thread counts or TensorFlow versions add floats in another order.
"""

import logging
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf
from tqdm import tqdm

from forgery.config import TrainingOptions
from forgery.errors import TrainingFailed
from forgery.training.backbones import BACKBONE_LAYER, LOGIT, freeze_norm, has_frozen_norm
from forgery.training.dense import CELLS_LOSS_WEIGHT, cell_loss
from forgery.training.export import LOGIT_MAP

logger = logging.getLogger(__name__)

History = dict[str, list[float]]
OnEpoch = Callable[[int, dict[str, float]], None]

_PLATEAU_FACTOR = 0.3
_LEAST_LEARNING_RATE = 1e-7


@dataclass(frozen=True)
class Phase:
    """One call of `fit`.

    Attributes:
        name: `whole`, `head` or `fine-tuning`.
        epochs: At most so many.
        learning_rate: Of Adam, at the start.
        layers: Last layers of the backbone that learn; None all of them, 0 none.
    """

    name: str
    epochs: int
    learning_rate: float
    layers: int | None


def plan_phases(options: TrainingOptions, pretrained: bool, continued: bool) -> list[Phase]:
    """Which phases a training has.

    From scratch the whole network learns at once. A pretrained backbone first lends its features to a new head, then
    its last layers are fine-tuned; without layers to fine-tune the head gets all epochs. Going on from a champion
    skips the head phase and starts at the fine-tuning rate, whatever the network.
    """
    late = options.fine_tune_learning_rate
    if not pretrained:
        return [Phase("whole", options.epochs, late if continued else options.learning_rate, None)]
    if options.fine_tune_layers == 0:
        return [Phase("head", options.epochs, late if continued else options.learning_rate, 0)]
    fine_tuning = Phase("fine-tuning", options.epochs, late, options.fine_tune_layers)
    if continued or options.head_epochs == 0:
        return [fine_tuning]
    return [Phase("head", options.head_epochs, options.learning_rate, 0), fine_tuning]


def seed_everything(seed: int) -> None:
    """Make this process's TensorFlow deterministic; see the module's text for how far. It cannot be undone."""
    # Names of layers are counted per process; equal trainings are to give equal files.
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


@dataclass(frozen=True)
class Fit:
    """What fitting did: curves by name, `phase` names one entry per epoch, `best_epoch` counts from 1."""

    history: History
    phases: list[str]
    best_epoch: int
    seconds: float


def fit(
    network: keras.Model,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    phases: list[Phase],
    options: TrainingOptions,
    class_weights: dict[int, float] | None,
    on_epoch: OnEpoch = lambda epoch, figures: None,
) -> Fit:
    """Fit in place and leave the weights of the epoch with the lowest validation loss.

    Args:
        network: Uncompiled; logits [n, 1].
        training: Batches of one epoch: maps and labels [b, 1], or maps and {"logit": labels, "logit_map": masks} to
            learn from masks [b, h, w, 1] too (`forgery.training.dense.cell_loss`).
        validation: Batches for early stopping, learning rate and the choice of the best epoch.
        phases: In order; each starts from the best weights so far.
        options: Patience.
        class_weights: By class number; None for equal ones.
        on_epoch: Called with the epoch, from 1, and its figures.

    Raises:
        TrainingFailed: The loss is no longer a number.
    """
    started = time.monotonic()
    names: list[str] = []
    with tempfile.TemporaryDirectory(prefix="forgery-best-") as folder:
        recorder = _Recorder(network, Path(folder) / "best.weights.h5", on_epoch)
        learner = _learner(network, training)
        for phase in phases:
            set_trainable(network, phase.layers)
            compile_network(learner, phase.learning_rate, class_weights)
            logger.info("%s: at most %d epochs at learning rate %g", phase.name, phase.epochs, phase.learning_rate)
            with _progress(phase, training) as progress:
                learner.fit(
                    training,
                    validation_data=validation,
                    initial_epoch=len(names),
                    epochs=len(names) + phase.epochs,
                    class_weight=class_weights if learner is network else None,
                    # The recorder comes last: the plateau callback adds the learning rate to what it sees.
                    callbacks=[*_adapting(options, phase, first=len(names)), progress, recorder.callback()],
                    shuffle=False,
                    verbose=0,
                )
            names += [phase.name] * (recorder.epochs - len(names))
            network.load_weights(recorder.path)
    return Fit(recorder.history, names, recorder.best_epoch, time.monotonic() - started)


class _Recorder:
    """Keeps curves and the best weights across phases; Keras's own checkpoint forgets neither, but knows no NaN."""

    def __init__(self, network: keras.Model, path: Path, on_epoch: OnEpoch) -> None:
        self.path = path
        self.history: History = {}
        self.epochs = 0
        self.best_epoch = 0
        self._best_loss = math.inf
        self._network = network
        self._on_epoch = on_epoch

    def callback(self) -> keras.callbacks.Callback:
        return keras.callbacks.LambdaCallback(on_epoch_end=self._end_epoch)

    def _end_epoch(self, index: int, logs: Mapping[str, float]) -> None:
        # With masks Keras puts the output's name before that of the figure.
        figures = {name.replace(f"{LOGIT}_a", "a"): float(value) for name, value in logs.items()}
        epoch = index + 1
        if not (math.isfinite(figures["loss"]) and math.isfinite(figures["val_loss"])):
            raise TrainingFailed(
                f"the loss is no longer a number in epoch {epoch}: lower training.learning_rate "
                "or training.fine_tune_learning_rate"
            )
        self.epochs = epoch
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        if figures["val_loss"] < self._best_loss:
            self.best_epoch, self._best_loss = epoch, figures["val_loss"]
            self._network.save_weights(self.path)
        logger.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        self._on_epoch(epoch, figures)


def set_trainable(network: keras.Model, layers: int | None) -> None:
    """Let the last `layers` of the backbone learn, all with None; a frozen batch norm stays frozen."""
    frozen_norm = has_frozen_norm(network)
    inner = network.get_layer(BACKBONE_LAYER).layers
    frozen = 0 if layers is None else len(inner) - layers
    # Setting the backbone's own flag does not reach layers that were frozen one by one.
    for position, layer in enumerate(inner):
        layer.trainable = position >= frozen
    if frozen_norm:
        freeze_norm(network)


def compile_network(network: keras.Model, learning_rate: float, class_weights: dict[int, float] | None = None) -> None:
    """Adam and cross-entropy; for a network with two outputs (`_learner`) that of the masks too.

    The class weights are for two outputs alone: with one, Keras takes them in `fit`.
    """
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    metrics = [
        keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
        keras.metrics.AUC(name="auc", from_logits=True),
    ]
    dense = isinstance(network.output, dict)
    network.compile(
        keras.optimizers.Adam(learning_rate),
        {LOGIT: _weighted(loss, class_weights), LOGIT_MAP: cell_loss} if dense else loss,
        metrics={LOGIT: metrics} if dense else metrics,
        loss_weights={LOGIT: 1.0, LOGIT_MAP: CELLS_LOSS_WEIGHT} if dense else None,
        # XLA's convolutions on a CPU take 15 to 20 times as long as oneDNN's.
        jit_compile=False,
    )


def _learner(network: keras.Model, training: tf.data.Dataset) -> keras.Model:
    """The network as the labels ask for it: where they hold masks, with its logit map as a second output."""
    if not isinstance(training.element_spec[1], dict):
        return network
    outputs = {LOGIT: network.outputs[0], LOGIT_MAP: network.get_layer(LOGIT_MAP).output}
    return keras.Model(network.inputs, outputs)


def _weighted(
    loss: Callable[[tf.Tensor, tf.Tensor, tf.Tensor | None], tf.Tensor], class_weights: dict[int, float] | None
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The loss with a weight for each class; Keras itself weighs classes of networks with one output alone."""
    weights = class_weights or {0: 1.0, 1: 1.0}
    return lambda labels, logits: loss(labels, logits, tf.where(labels[:, 0] > 0.5, weights[1], weights[0]))


def _adapting(options: TrainingOptions, phase: Phase, first: int) -> list[keras.callbacks.Callback]:
    """Early stopping, and a learning rate that falls; `first` is the number of the phase's first epoch, from 0."""
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=options.patience)
    if options.schedule == "cosine":
        return [stopping, keras.callbacks.LearningRateScheduler(lambda epoch: cosine(phase, epoch - first))]
    plateau = keras.callbacks.ReduceLROnPlateau(
        "val_loss", factor=_PLATEAU_FACTOR, patience=max(1, options.patience // 2), min_lr=_LEAST_LEARNING_RATE
    )
    return [stopping, plateau]


def cosine(phase: Phase, epoch: int) -> float:
    """The learning rate of a phase's epoch, from 0: half the full rate first, then along a cosine to almost none."""
    if epoch == 0:
        return phase.learning_rate / 2
    return phase.learning_rate * (1 + math.cos(math.pi * (epoch - 0.5) / phase.epochs)) / 2


@contextmanager
def _progress(phase: Phase, training: tf.data.Dataset) -> Iterator[keras.callbacks.Callback]:
    """A bar over the batches of a phase, on a terminal only."""
    with tqdm(total=phase.epochs * len(training), desc=phase.name, unit="batch", disable=None) as bar:
        if bar.disable:
            yield keras.callbacks.Callback()
            return
        yield keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: bar.update(),
            on_epoch_end=lambda epoch, logs: bar.set_postfix(val_loss=f"{logs['val_loss']:.3f}"),
        )
