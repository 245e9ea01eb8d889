"""An evidence set as batches: the order of an epoch, masks beside maps, deterministic by seed."""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from forgery.config import TrainingOptions
from forgery.evidence import MASK_UNKNOWN
from forgery.training.augmentation import augmented
from forgery.training.dense import LOGIT, UNKNOWN
from forgery.training.export import LOGIT_MAP
from forgery.training.map_split import MapSplit
from forgery.training.reading import decoded, encoded, shuffled_members

# Encoded maps shuffled across shards when streaming, after each shard was shuffled within itself.
_SHUFFLED_MAPS = 512
# Maps decoded together on their way into memory.
_READ_AT_ONCE = 64
# Stateless draws of equal seeds are equal, so every one has a pair of numbers of its own: the first tells run and
# epoch, the second 0 the order of maps, 1 that of shards, 2 and on that within each, then eight for each step.
_SEEDS_PER_EPOCH = 1 << 32
_FIRST_DRAW, _DRAWS_PER_STEP = 1 << 32, 8


def batches(split: MapSplit, batch_size: int, cache: bool, dense: bool = False) -> tf.data.Dataset:
    """Batches in the order of `split.labels`: uint8 [b, H, W, C] and float32 [b, 1].

    Labels are 1 for forged, 0 for authentic, `MADE` for forgeries made for training. With `dense` and a split that
    holds masks they are {"logit": float32 [b, 1], "logit_map": masks [b, H, W, 1]}: the forged part of each cell, 0..1,
    or -1 where it is not known.

    Args:
        split: Must hold at least one map.
        batch_size: Of all batches but the last.
        cache: Keep the decoded maps in memory after the first pass.
        dense: Hand out masks too.
    """
    batched = _counted(decoded(encoded(split), split.shape, batch_size), split, batch_size)
    return _parted(batched.cache() if cache else batched, split, dense).prefetch(tf.data.AUTOTUNE)


class TrainingBatches:
    """Batches in another order each epoch, augmented as `options` say, of the form `batches` gives them.

    An epoch is a function of seed and number alone, whatever the number of threads and whatever was read before, so
    that training can go on in the middle of any. With `cache` every map is in memory and an epoch is a full shuffle.
    Without it the order of shards, the order within each, and a window of 512 maps across them are shuffled, so
    memory does not grow with the data set.
    """

    def __init__(
        self,
        split: MapSplit,
        options: TrainingOptions,
        seed: int,
        cache: bool,
        dense: bool = False,
        steps: int = 0,
    ) -> None:
        """Read nothing yet, but with `cache` everything.

        Args:
            split: Must hold at least one map.
            options: `batch_size`, `flips` and `crops` are read.
            seed: Of orders and augmentation.
            cache: Keep the decoded maps in memory.
            dense: Hand out masks too.
            steps: Batches of an epoch; where the maps give fewer, the first ones of the epoch come again. 0: as many
                as the maps give.
        """
        maps = len(split.labels)
        self._steps = steps or -(-maps // options.batch_size)
        # Read when an epoch starts: tf.data would trace its functions anew for a Python number.
        self._epoch = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._first_step = tf.Variable(0, trainable=False, dtype=tf.int64)
        order = self._cached(split, seed) if cache else self._streamed(split, seed)
        if steps:
            order = order.repeat().take(steps * options.batch_size)
        rest = _from_here(order, self._first_step, options.batch_size)
        batched = self._gathered(split, rest, options.batch_size) if cache else self._read(split, rest, options)
        if options.flips or options.crops:
            batched = augmented(batched, self._draws(seed), options, cells=split.masks)
        self._batches = _parted(batched, split, dense).prefetch(tf.data.AUTOTUNE)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._steps

    @property
    def dense(self) -> bool:
        """Whether batches hold masks."""
        return isinstance(self._batches.element_spec[1], dict)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Any]:
        """The batches of an epoch from a step on; the iterator of the epoch before is of no use any more."""
        self._epoch.assign(number)
        self._first_step.assign(first_step)
        return iter(self._batches)

    def _cached(self, split: MapSplit, seed: int) -> tf.data.Dataset:
        self._maps, self._labels = _in_memory(split)

        def shuffled(_: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(tf.range(len(split.labels)), self._key(seed))
            return tf.data.Dataset.from_tensor_slices(order)

        return tf.data.Dataset.from_tensors(0).flat_map(shuffled)

    def _gathered(self, split: MapSplit, order: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        def gather(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return tf.gather(self._maps, rows), tf.gather(self._labels, rows)

        return order.batch(batch_size).map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _streamed(self, split: MapSplit, seed: int) -> tf.data.Dataset:
        window = min(_SHUFFLED_MAPS, len(split.labels))
        # What comes into the window is shuffled by the epoch; the window itself may always do the same.
        return shuffled_members(split, self._key, seed).shuffle(window, seed, reshuffle_each_iteration=False)

    def _read(self, split: MapSplit, order: tf.data.Dataset, options: TrainingOptions) -> tf.data.Dataset:
        return decoded(order, split.shape, options.batch_size)

    def _key(self, seed: int, what: tf.Tensor | int = 0) -> tf.Tensor:
        """Seeds of stateless draws: those of one epoch differ in their second number, those of epochs in the first."""
        return tf.stack([self._epoch * _SEEDS_PER_EPOCH + seed, tf.cast(what, tf.int64)])

    def _draws(self, seed: int) -> tf.data.Dataset:
        def draw(step: tf.Tensor) -> tf.Tensor:
            return self._key(seed, _FIRST_DRAW + _DRAWS_PER_STEP * (self._first_step + step))

        return tf.data.Dataset.range(self._steps).map(draw)


def _from_here(order: tf.data.Dataset, first_step: tf.Variable, batch_size: int) -> tf.data.Dataset:
    """Without what the steps before have had; a number that is known when tracing would not change any more."""
    return tf.data.Dataset.from_tensors(0).flat_map(lambda _: order.skip(first_step * batch_size))


def _in_memory(split: MapSplit) -> tuple[tf.Tensor, tf.Tensor]:
    """All maps, uint8 [n, H, W, C], and labels, float32 [n, 1]."""
    # Of an array TensorFlow would hold all maps twice more while it takes them over, of parts once.
    maps = tf.concat([part for part, _ in decoded(encoded(split), split.shape, _READ_AT_ONCE)], axis=0)
    return maps, tf.constant(split.labels[:, None])


def _parted(batched: tf.data.Dataset, split: MapSplit, dense: bool) -> tf.data.Dataset:
    """Evidence and mask, which were one map until here so that both were mirrored alike."""
    if not split.masks:
        return batched

    def part(stored: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | dict[str, tf.Tensor]]:
        maps, mask = stored[..., :-1], stored[..., -1:]
        if not dense:
            return maps, labels
        known = tf.cast(mask, tf.float32) / (MASK_UNKNOWN - 1)
        return maps, {LOGIT: labels, LOGIT_MAP: tf.where(mask == MASK_UNKNOWN, UNKNOWN, known)}

    return batched.map(part, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _counted(batched: tf.data.Dataset, split: MapSplit, batch_size: int) -> tf.data.Dataset:
    # Reading members out of shards hides their number from tf.data; progress bars and Keras want it.
    return batched.apply(tf.data.experimental.assert_cardinality(-(-len(split.labels) // batch_size)))
