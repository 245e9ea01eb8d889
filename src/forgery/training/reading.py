"""Maps out of shards as `tf.data`: shards are read whole, maps decoded by batches, in an order that is given."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from forgery.errors import ForgeryError
from forgery.evidence_set import decode_map
from forgery.recipes import Evidence
from forgery.training.map_split import MapSplit

# Shards are read whole, several at once to mix them; this bounds what they hold together.
_OPEN_SHARDS_BYTES = 256 << 20
_MOST_OPEN_SHARDS = 8
# Why shards could not be read: TensorFlow hands on no error of Python's, but a text with a traceback in it.
_failures: list[ForgeryError] = []


@contextmanager
def reading() -> Iterator[None]:
    """Raises what kept a shard from being read in the place of TensorFlow's error."""
    _failures.clear()
    try:
        yield
    except tf.errors.OpError as error:
        if _failures:
            raise _failures[0] from error
        raise


@contextmanager
def _noting_failures() -> Iterator[None]:
    """For `reading` to raise."""
    try:
        yield
    except ForgeryError as error:
        _failures.append(error)
        raise


def _content(split: MapSplit, number: tf.Tensor) -> tf.Tensor:
    def read(at: np.integer[Any]) -> bytes:
        with _noting_failures():
            return split.shards[at].content.read()

    # Equal numbers give equal bytes; what is told to have state would run one after the other.
    return tf.ensure_shape(tf.numpy_function(read, [number], tf.string, stateful=False), ())


def _shards(split: MapSplit) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(
        (
            tf.range(len(split.shards)),
            tf.ragged.constant([shard.offsets for shard in split.shards], tf.int64),
            tf.ragged.constant([shard.sizes for shard in split.shards], tf.int64),
            tf.ragged.constant([shard.labels for shard in split.shards], tf.float32),
        )
    )


def encoded(split: MapSplit) -> tf.data.Dataset:
    """PNG bytes and label, one map at a time; shards one after the other."""
    return _shards(split).flat_map(lambda at, *members: _members(_content(split, at), *members))


def shuffled_members(split: MapSplit, key: Callable[[int, tf.Tensor], tf.Tensor], seed: int) -> tf.data.Dataset:
    """PNG bytes and label, one map at a time; several shards at once, and each of them shuffled by `key`."""
    count = len(split.shards)
    _, offsets, sizes, labels = next(iter(_shards(split).ragged_batch(count)))

    def numbers(_: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(count), key(seed, tf.constant(1)))
        return tf.data.Dataset.from_tensor_slices(order)

    def open_shuffled(at: tf.Tensor) -> tf.data.Dataset:
        return _members(_content(split, at), offsets[at], sizes[at], labels[at], key(seed, at + 2))

    return (
        tf.data.Dataset.from_tensors(0)
        .flat_map(numbers)
        .interleave(
            open_shuffled,
            cycle_length=_open_shards(split),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    )


def _members(
    archive: tf.Tensor, offsets: tf.Tensor, sizes: tf.Tensor, labels: tf.Tensor, order: tf.Tensor | None = None
) -> tf.data.Dataset:
    positions = tf.range(tf.size(labels))
    if order is not None:
        positions = tf.random.experimental.stateless_shuffle(positions, order)
    members = tf.data.Dataset.from_tensor_slices(
        (tf.gather(offsets, positions), tf.gather(sizes, positions), tf.gather(labels, positions))
    )
    return members.map(lambda offset, size, label: (tf.strings.substr(archive, offset, size), label))


def _open_shards(split: MapSplit) -> int:
    largest = max(shard.content.size for shard in split.shards)
    return int(np.clip(_OPEN_SHARDS_BYTES // max(1, largest), 1, min(_MOST_OPEN_SHARDS, len(split.shards))))


def decoded(maps: tf.data.Dataset, shape: tuple[int, int, int], batch_size: int) -> tf.data.Dataset:
    """Batches of maps uint8 [b, H, W, C] of `shape` and labels [b, 1], from what `encoded` gives."""

    def decode_all(pngs: NDArray[np.object_]) -> Evidence:
        with _noting_failures():
            return np.stack([decode_map(png, shape) for png in pngs])

    def decode(pngs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.numpy_function(decode_all, [pngs], tf.uint8, stateful=False)
        return tf.ensure_shape(found, (None, *shape)), labels[:, None]

    return maps.batch(batch_size).map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
