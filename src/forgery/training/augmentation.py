"""Other views of training maps that are as true as they are."""

import tensorflow as tf

from forgery.config import TrainingOptions


def augmented(
    batched: tf.data.Dataset, draws: tf.data.Dataset, options: TrainingOptions, cells: bool
) -> tf.data.Dataset:
    """Flip and crop maps as `options` say; `draws` has two seeds, int64 [2], for each batch.

    No level of the evidence is changed: maps are mirrored and their borders blanked, never resampled.
    """

    def augment(labelled: tuple[tf.Tensor, tf.Tensor], draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        maps, labels = labelled
        if options.flips:
            maps = _flipped(_flipped(maps, draw, axis=1), draw + 1, axis=2)
            maps = _transposed(maps, draw + 4) if cells else maps
        if options.crops:
            maps = _cropped(_cropped(maps, draw + 2, 1, options.crops), draw + 3, 2, options.crops)
        return maps, labels

    # Stateless draws: the step decides, not which thread comes first.
    return tf.data.Dataset.zip(batched, draws).map(augment, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _flipped(maps: tf.Tensor, seed: tf.Tensor, axis: int) -> tf.Tensor:
    """Mirror each map with probability one half."""
    return _each(_half(maps, seed), tf.reverse(maps, [axis]), maps)


def _transposed(maps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Swap rows and columns of each map, as many of the ones as of the others, with probability one half."""
    return _each(_half(maps, seed), tf.transpose(maps, (0, 2, 1, 3)), maps)


def _half(maps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(tf.shape(maps)[:1], seed) < 0.5


def _each(chosen: tf.Tensor, some: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Whole maps of the one or the other; `tf.where` would look at every value, and take five times as long."""
    return tf.raw_ops.Select(condition=chosen, x=some, y=others)


def _cropped(maps: tf.Tensor, seed: tf.Tensor, axis: int, most: float) -> tf.Tensor:
    """Blank up to `most` of a side at random: a crop whose rest stays where it was, so no pixel is resampled.

    Zero is the level of a place where saving again changes nothing.
    """
    side = maps.shape[axis]
    drawn = tf.random.stateless_uniform((2, tf.shape(maps)[0], 1), seed)
    lost = drawn[0] * most * side
    first = drawn[1] * lost
    position = tf.range(side, dtype=tf.float32)[None]
    kept = (position >= first) & (position < first + side - lost)
    broadcast = (-1, side, 1, 1) if axis == 1 else (-1, 1, side, 1)
    return tf.where(tf.reshape(kept, broadcast), maps, tf.zeros((), maps.dtype))
