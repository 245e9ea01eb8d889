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
from forgery.training.backbones import BACKBONE_LAYER, freeze_norm, has_frozen_norm

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
        training: Batches of one epoch.
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
        for phase in phases:
            set_trainable(network, phase.layers)
            _compile(network, phase.learning_rate)
            logger.info("%s: at most %d epochs at learning rate %g", phase.name, phase.epochs, phase.learning_rate)
            with _progress(phase, training) as progress:
                network.fit(
                    training,
                    validation_data=validation,
                    initial_epoch=len(names),
                    epochs=len(names) + phase.epochs,
                    class_weight=class_weights,
                    # The recorder comes last: the plateau callback adds the learning rate to what it sees.
                    callbacks=[*_adapting(options), progress, recorder.callback()],
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
        figures = {name: float(value) for name, value in logs.items()}
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
    backbone = network.get_layer(BACKBONE_LAYER)
    frozen_norm = has_frozen_norm(network)
    backbone.trainable = True
    learning = len(backbone.layers) if layers is None else layers
    for layer in backbone.layers[: len(backbone.layers) - learning]:
        layer.trainable = False
    if frozen_norm:
        freeze_norm(network)


def _compile(network: keras.Model, learning_rate: float) -> None:
    network.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0),
            keras.metrics.AUC(name="auc", from_logits=True),
        ],
        # XLA's convolutions on a CPU take 15 to 20 times as long as oneDNN's.
        jit_compile=False,
    )


def _adapting(options: TrainingOptions) -> list[keras.callbacks.Callback]:
    return [
        keras.callbacks.EarlyStopping("val_loss", patience=options.patience),
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", factor=_PLATEAU_FACTOR, patience=max(1, options.patience // 2), min_lr=_LEAST_LEARNING_RATE
        ),
    ]


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
