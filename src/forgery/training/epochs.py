"""Training batches by the number of the epoch."""

from collections.abc import Iterator
from typing import Protocol

import tensorflow as tf

Batch = tuple[tf.Tensor, ...]


class Epochs(Protocol):
    """Training batches by epoch, e.g. `forgery.training.dataset.TrainingBatches`."""

    @property
    def dense(self) -> bool:
        """Whether batches hold masks."""

    def __len__(self) -> int:
        """Batches of an epoch."""

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from a step on."""


class RepeatedEpoch:
    """A data set that is every epoch."""

    def __init__(self, data: tf.data.Dataset) -> None:
        """`data` must know how many batches it has."""
        self._data = data
        self.dense = isinstance(data.element_spec[1], dict)

    def __len__(self) -> int:
        return len(self._data)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """The data set from a step on, whatever the number."""
        del number
        return iter(self._data.skip(first_step))
