"""What is searched: options of training, each within its range, and what the default has of them."""

from typing import Any

import optuna

from forgery.config import TrainingOptions

# Name to range; the default lies inside each.
LEARNING_RATE, DROPOUT = (5e-4, 3e-2), (0.0, 0.4)
BATCH_SIZES = (16, 32, 64)
SCHEDULES = ("cosine", "plateau")
SEARCHED = ("learning_rate", "dropout", "batch_size", "schedule", "class_weights")


def proposed(trial: optuna.Trial, epochs: int) -> TrainingOptions:
    """The options that a trial is to try, for at most so many epochs."""
    return TrainingOptions(
        epochs=epochs,
        learning_rate=trial.suggest_float("learning_rate", *LEARNING_RATE, log=True),
        dropout=trial.suggest_float("dropout", *DROPOUT),
        batch_size=trial.suggest_categorical("batch_size", BATCH_SIZES),
        schedule=trial.suggest_categorical("schedule", SCHEDULES),
        class_weights=trial.suggest_categorical("class_weights", (True, False)),
    )


def default() -> dict[str, Any]:
    """What ships: the others are measured beside it."""
    return {name: getattr(TrainingOptions(), name) for name in SEARCHED}
