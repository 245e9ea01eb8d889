"""How a phase goes: its learning rate, and when it ends. Plain values, so that another process can go on with them."""

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from forgery.config import TrainingOptions

_PLATEAU_FACTOR = 0.3
# As Keras has it: a gain so small is none.
_PLATEAU_LEAST_GAIN = 1e-4
_LEAST_LEARNING_RATE = 1e-7


@dataclass(frozen=True)
class Phase:
    """One part of a training.

    Attributes:
        name: `whole`, `head` or `fine-tuning`.
        epochs: At most so many.
        learning_rate: Of Adam, at the start.
        layers: Last layers of the backbone that learn; None all of them, 0 none.
    """

    name: Literal["whole", "head", "fine-tuning"]
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


def cosine(phase: Phase, epoch: int) -> float:
    """The learning rate of a phase's epoch, from 0: half the full rate first, then along a cosine to almost none."""
    if epoch == 0:
        return phase.learning_rate / 2
    return phase.learning_rate * (1 + math.cos(math.pi * (epoch - 0.5) / phase.epochs)) / 2


class Pace(BaseModel):
    """Where a phase stands.

    Attributes:
        epochs: Finished ones.
        best: Lowest validation loss of the phase.
        waited: Epochs since.
        plateau_best: Lowest one that was a gain for the schedule `plateau`.
        plateau_waited: Epochs since, or since the rate fell.
        rate: Learning rate of the schedule `plateau`.
    """

    epochs: int = 0
    best: float | None = None
    waited: int = 0
    plateau_best: float | None = None
    plateau_waited: int = 0
    rate: float

    def learning_rate(self, phase: Phase, options: TrainingOptions) -> float:
        """Of the next epoch."""
        return cosine(phase, self.epochs) if options.schedule == "cosine" else self.rate

    def ended(self, phase: Phase, options: TrainingOptions) -> bool:
        """Whether there is no next epoch."""
        return self.epochs >= phase.epochs or self.waited >= options.patience

    def after(self, loss: float, options: TrainingOptions) -> "Pace":
        """The pace after an epoch with that validation loss."""
        better = self.best is None or loss < self.best
        gained = self.plateau_best is None or loss < self.plateau_best - _PLATEAU_LEAST_GAIN
        waited = 0 if gained else self.plateau_waited + 1
        falls = waited >= max(1, options.patience // 2)
        return Pace(
            epochs=self.epochs + 1,
            best=loss if better else self.best,
            waited=0 if better else self.waited + 1,
            plateau_best=loss if gained else self.plateau_best,
            plateau_waited=0 if falls else waited,
            rate=max(self.rate * _PLATEAU_FACTOR, _LEAST_LEARNING_RATE) if falls else self.rate,
        )
