"""Fitting in phases, with everything decided on the validation split.

How far it is deterministic: on one machine with one number of threads, equal seeds, data and options give equal
weights, bit by bit, on a CPU, also where a training was killed and went on from a checkpoint; on a GPU too, at some
cost in speed, where TensorFlow has deterministic kernels, and it refuses the others. Other CPUs, GPUs, thread counts,
numbers of workers or TensorFlow versions add floats in another order.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Never

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from pydantic import BaseModel
from tqdm import tqdm

from forgery.config import TrainingOptions
from forgery.errors import TrainingFailed
from forgery.training.backbones import BACKBONE_LAYER, freeze_norm, has_frozen_norm
from forgery.training.checkpoints import Checkpoint, Checkpoints
from forgery.training.epochs import Batch, Epochs, RepeatedEpoch
from forgery.training.learner import Learner
from forgery.training.pace import Pace, Phase, cosine, plan_phases
from forgery.training.workers import Workers, alone

__all__ = ["Fit", "OnEpoch", "Phase", "cosine", "fit", "plan_phases", "seed_everything", "set_trainable"]

logger = logging.getLogger(__name__)

History = dict[str, list[float]]
OnEpoch = Callable[[int, dict[str, float]], None]

_BEST = "best/"


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
    training: Epochs | tf.data.Dataset,
    validation: Iterable[Batch],
    phases: list[Phase],
    options: TrainingOptions,
    class_weights: Mapping[int, float] | None,
    on_epoch: OnEpoch = lambda epoch, figures: None,
    on_past_epoch: OnEpoch = lambda epoch, figures: None,
    checkpoints: Checkpoints | None = None,
    workers: Workers | None = None,
) -> Fit:
    """Fit in place and leave the weights of the epoch with the lowest validation loss, softened as calibration would.

    Args:
        network: Logits [n, 1]; made in the scope of the workers' strategy.
        training: Batches by epoch: maps and labels [b, 1], or maps and {"logit": labels, "logit_map": masks} to
            learn from masks [b, h, w, 1] too (`forgery.training.dense.cell_loss`). A data set stands for equal epochs.
        validation: Batches for early stopping, learning rate and the choice of the best epoch; of several workers each
            gives its own.
        phases: In order; each starts from the best weights so far.
        options: Patience and schedule.
        class_weights: By class number; None for equal ones.
        on_epoch: Called with the epoch, from 1, and its figures.
        on_past_epoch: Called likewise for epochs that an earlier process has finished, where this one goes on.
        checkpoints: Where the state is kept; None for nowhere. They are left for the caller to clear.
        workers: Of which this process is one; None for a process alone.

    Raises:
        TrainingFailed: The loss is no longer a number.
    """
    epochs = RepeatedEpoch(training) if isinstance(training, tf.data.Dataset) else training
    fitting = _Fitting(network, epochs, validation, options, class_weights, on_epoch, checkpoints, workers or alone())
    fitting.resume(phases, on_past_epoch)
    for number in range(fitting.progress.phase, len(phases)):
        fitting.run(number, phases[number])
    progress = fitting.progress
    return Fit(progress.history, progress.names, progress.best_epoch, progress.seconds)


class _Progress(BaseModel):
    """Where a training stands, besides its arrays: `phase` counts from 0, `step` within the epoch."""

    phase: int = 0
    pace: Pace = Pace(rate=0.0)
    step: int = 0
    history: History = {}
    names: list[str] = []
    best_epoch: int = 0
    best_loss: float | None = None
    seconds: float = 0.0


class _Fitting:
    def __init__(
        self,
        network: keras.Model,
        training: Epochs,
        validation: Iterable[Batch],
        options: TrainingOptions,
        class_weights: Mapping[int, float] | None,
        on_epoch: OnEpoch,
        checkpoints: Checkpoints | None,
        workers: Workers,
    ) -> None:
        self.progress = _Progress()
        self._network = network
        self._training = training
        self._validation = validation
        self._options = options
        self._on_epoch = on_epoch
        self._checkpoints = checkpoints
        self._workers = workers
        self._learner = Learner(network, training.dense, class_weights, workers)
        self._best: list[NDArray[np.generic]] = network.get_weights()
        self._started = time.monotonic()
        self._restored: Checkpoint | None = None

    def resume(self, phases: list[Phase], on_past_epoch: OnEpoch) -> None:
        """Go on from the newest checkpoint, if there is one that fits."""
        found = self._read()
        if found is None:
            return
        self.progress = _Progress.model_validate_json(found.progress)
        at = self.progress.phase
        self._prepare(phases[at])
        try:
            self._learner.restore(found.arrays)
        except (KeyError, ValueError) as error:
            logger.warning("the checkpoint is of another network, training starts anew: %s", error)
            self.progress = _Progress()
            return
        self._restored = found
        self._best = [found.arrays[f"{_BEST}{number:05d}"] for number in range(len(self._best))]
        for epoch in range(len(self.progress.names)):
            on_past_epoch(epoch + 1, {name: values[epoch] for name, values in self.progress.history.items()})

    def run(self, number: int, phase: Phase) -> None:
        """Learn to the end of a phase."""
        if self._restored is None:
            self._network.set_weights(self._best)
            self._prepare(phase)
            self.progress.phase, self.progress.pace = number, Pace(rate=phase.learning_rate)
        logger.info("%s: at most %d epochs at learning rate %g", phase.name, phase.epochs, phase.learning_rate)
        done = self.progress.pace.epochs * len(self._training) + self.progress.step
        with _progress(phase, len(self._training), done) as bar:
            while not self.progress.pace.ended(phase, self._options):
                self._epoch(phase, bar)
        self._restored = None
        self._network.set_weights(self._best)

    def _prepare(self, phase: Phase) -> None:
        set_trainable(self._network, phase.layers)
        self._learner.begin(phase.learning_rate)

    def _epoch(self, phase: Phase, bar: "tqdm[Never]") -> None:
        progress = self.progress
        rate = progress.pace.learning_rate(phase, self._options)
        if progress.step == 0:
            self._learner.forget_figures()

        def on_step() -> None:
            bar.update()
            progress.step += 1
            every = self._checkpoints.every_steps if self._checkpoints else 0
            if every and progress.step % every == 0 and progress.step < len(self._training):
                self._keep()

        self._learner.learn(self._training.epoch(len(progress.names), progress.step), rate, on_step)
        figures = self._learner.end_epoch()
        figures |= {f"val_{name}": value for name, value in self._learner.evaluate(self._validation).items()}
        bar.set_postfix(val_loss=f"{figures['val_loss']:.3f}")
        self._end_epoch(phase, figures | {"learning_rate": rate})
        self._keep()

    def _end_epoch(self, phase: Phase, figures: dict[str, float]) -> None:
        progress = self.progress
        epoch = len(progress.names) + 1
        if not (math.isfinite(figures["loss"]) and math.isfinite(figures["val_loss"])):
            raise TrainingFailed(
                f"the loss is no longer a number in epoch {epoch}: lower training.learning_rate "
                "or training.fine_tune_learning_rate"
            )
        progress.names.append(phase.name)
        for name, value in figures.items():
            progress.history.setdefault(name, []).append(value)
        if progress.best_loss is None or figures["val_loss"] < progress.best_loss:
            progress.best_epoch, progress.best_loss = epoch, figures["val_loss"]
            self._best = self._network.get_weights()
        progress.pace, progress.step = progress.pace.after(figures["val_loss"], self._options), 0
        logger.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        self._on_epoch(epoch, figures)

    def _keep(self) -> None:
        now = time.monotonic()
        self.progress.seconds, self._started = self.progress.seconds + now - self._started, now
        if self._checkpoints is None:
            return
        best = {f"{_BEST}{number:05d}": value for number, value in enumerate(self._best)}
        steps = len(self.progress.names) * len(self._training) + self.progress.step
        self._checkpoints.write(steps, self._learner.state() | best, self.progress.model_dump_json())

    def _read(self) -> Checkpoint | None:
        if self._checkpoints is None:
            return None
        # The chief's word is all workers': one of them may have looked before the last checkpoint was written.
        steps = int(self._workers.total([self._checkpoints.latest() if self._workers.chief else 0])[0])
        return self._checkpoints.read(steps) if steps else None


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


@contextmanager
def _progress(phase: Phase, steps: int, done: int) -> Iterator["tqdm[Never]"]:
    """A bar over the batches of a phase, on a terminal only."""
    total = phase.epochs * steps
    with tqdm(total=total, initial=done, desc=phase.name, unit="batch", disable=None) as bar:
        yield bar
