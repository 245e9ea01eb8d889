"""The processes that train one network together: TensorFlow's multi-worker strategy, or none for a process alone.

Every worker holds the network, reads shards of its own and takes its part of every batch. Gradients are summed at every
step. What the workers count on their own, figures and the statistics of batch norm, is brought together at the end of
an epoch, so that all of them know the same and decide the same.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from forgery.errors import InvalidConfig

_CONFIG = "TF_CONFIG"


@dataclass(frozen=True)
class Workers:
    """This worker among all.

    Attributes:
        strategy: Variables are made in its scope.
        index: Of this worker; the first, 0, is the chief and alone writes.
        count: Of all workers.
    """

    strategy: tf.distribute.Strategy
    index: int = 0
    count: int = 1

    @property
    def chief(self) -> bool:
        """Whether this worker writes what all have learnt."""
        return self.index == 0

    def total(self, values: Sequence[tf.Tensor | float]) -> list[NDArray[np.generic]]:
        """The sum over all workers of each value; every worker must ask, and gets the same."""
        return self._reduced(values, tf.distribute.ReduceOp.SUM)

    def mean(self, values: Sequence[tf.Tensor | float]) -> list[NDArray[np.generic]]:
        """The mean over all workers of each value, as `total` gives the sum."""
        return self._reduced(values, tf.distribute.ReduceOp.MEAN)

    def _reduced(self, values: Sequence[tf.Tensor | float], how: tf.distribute.ReduceOp) -> list[NDArray[np.generic]]:
        own = [tf.convert_to_tensor(value) for value in values]
        if self.count > 1 and own:
            own = list(self.strategy.experimental_local_results(_reduce(self.strategy, own, how))[0])
        return [value.numpy() for value in own]


def _reduce(strategy: tf.distribute.Strategy, values: list[tf.Tensor], how: tf.distribute.ReduceOp) -> object:
    def of_all() -> list[tf.Tensor]:
        return tf.distribute.get_replica_context().all_reduce(how, values)  # type: ignore[no-any-return]

    run: Callable[[], object] = tf.function(lambda: strategy.run(of_all))
    return run()


def alone() -> Workers:
    """One process, without a strategy."""
    return Workers(tf.distribute.get_strategy())


def join_workers() -> Workers:
    """This process as a worker of the cluster that `TF_CONFIG` names; alone without it, or where it names one worker.

    It must be called before TensorFlow has computed anything, and waits until every worker has called it.

    Raises:
        InvalidConfig: `TF_CONFIG` names another kind of cluster.
    """
    config = json.loads(os.environ.get(_CONFIG) or "{}")
    cluster, task = config.get("cluster", {}), config.get("task", {})
    addresses = cluster.get("worker", [])
    if len(addresses) < 2 and set(cluster) <= {"worker"}:
        return alone()
    if set(cluster) != {"worker"} or task.get("type") != "worker":
        raise InvalidConfig(f"{_CONFIG} must name workers alone, the first of whom is the chief; it has {set(cluster)}")
    return Workers(tf.distribute.MultiWorkerMirroredStrategy(), int(task["index"]), len(addresses))
