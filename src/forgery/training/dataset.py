"""An evidence set as `tf.data` pipelines: straight from the tar shards, decoded in parallel, deterministic by seed.

Nothing here changes a level of the evidence: augmentation mirrors maps and blanks borders, it never resamples.
"""

import logging
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from forgery.config import TrainingOptions
from forgery.dataset.manifest import Split
from forgery.errors import SourceError
from forgery.evidence import MASK_UNKNOWN, read_evidence_info, read_index, stored_shape
from forgery.recipes import parse_recipe
from forgery.training.backbones import LOGIT
from forgery.training.dense import UNKNOWN
from forgery.training.export import LOGIT_MAP

logger = logging.getLogger(__name__)

# Shards are read whole, several at once to mix them; this bounds what they hold together.
_OPEN_SHARDS_BYTES = 256 << 20
_MOST_OPEN_SHARDS = 8
# Encoded maps shuffled across shards when streaming, after each shard was shuffled within itself.
_SHUFFLED_MAPS = 512


@dataclass(frozen=True)
class Shard:
    """One tar file and where in it the maps of the split lie.

    Attributes:
        path: The file.
        offsets: Position of each member's bytes, int64 [n].
        sizes: Length of each member in bytes, int64 [n].
        labels: 1 forged, 0 authentic, float32 [n].
    """

    path: Path
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    labels: NDArray[np.float32]


@dataclass(frozen=True)
class MapSplit:
    """The maps of one split of an evidence set.

    Attributes:
        shape: Height, width and channels of what is stored.
        shards: Where.
        masks: The last channel is not evidence but the mask (`forgery.evidence.mask_channel`).
    """

    shape: tuple[int, int, int]
    shards: tuple[Shard, ...]
    masks: bool = False

    @cached_property
    def labels(self) -> NDArray[np.float32]:
        """1 forged, 0 authentic, float32 [n], in the order of `batches` without shuffling."""
        empty = np.empty(0, np.float32)
        return np.concatenate([empty, *(shard.labels for shard in self.shards)])

    @property
    def map_bytes(self) -> int:
        """Size of all maps decoded."""
        return len(self.labels) * int(np.prod(self.shape))


def open_split(evidence_set: Path, split: Split) -> MapSplit:
    """Find the maps of a split; reads the index and the tar headers alone.

    Raises:
        SourceError: A shard or a member that the index names is missing.
    """
    info = read_evidence_info(evidence_set)
    recipe = parse_recipe(info.recipe)
    rows: dict[str, dict[str, float]] = defaultdict(dict)
    for row in read_index(evidence_set, split):
        rows[row.shard][row.member] = float(row.label == "forged")
    shards = (_open_shard(evidence_set / "shards" / name, labels) for name, labels in sorted(rows.items()))
    return MapSplit(stored_shape(recipe) if info.masks else recipe.shape, tuple(shards), info.masks)


def _open_shard(path: Path, labels: dict[str, float]) -> Shard:
    try:
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive if member.name in labels]
    except (OSError, tarfile.TarError) as error:
        raise SourceError(f"shard {path} of the evidence set cannot be read: run the ELA step again") from error
    if len(members) != len(labels):
        lost = min(labels.keys() - {member.name for member in members})
        raise SourceError(f"shard {path} of the evidence set lacks {lost}: run the ELA step again")
    return Shard(
        path,
        np.array([member.offset_data for member in members], np.int64),
        np.array([member.size for member in members], np.int64),
        np.array([labels[member.name] for member in members], np.float32),
    )


def batches(split: MapSplit, batch_size: int, cache: bool, dense: bool = False) -> tf.data.Dataset:
    """Batches in the order of `split.labels`: uint8 [b, H, W, C] and float32 [b, 1].

    With `dense` and a split that holds masks the labels are {"logit": float32 [b, 1], "logit_map": masks
    [b, H, W, 1]}: the forged part of each cell, 0..1, or -1 where it is not known.

    Args:
        split: Must hold at least one map.
        batch_size: Of all batches but the last.
        cache: Keep the decoded maps in memory after the first pass.
        dense: Hand out masks too.
    """
    maps = _decoded(_encoded(split, seed=None), split.shape)
    batched = _counted(maps.batch(batch_size), split, batch_size)
    return _parted(batched.cache() if cache else batched, split, dense).prefetch(tf.data.AUTOTUNE)


def training_batches(
    split: MapSplit, options: TrainingOptions, seed: int, cache: bool, dense: bool = False
) -> tf.data.Dataset:
    """Batches in another order each epoch, augmented as `options` say, of the form `batches` gives them.

    Equal seeds give equal epochs, whatever the number of threads. With `cache` every map is in memory and an epoch is
    a full shuffle. Without it the order of shards, the order within each, and a window of 512 maps across them are
    shuffled, so memory does not grow with the data set.
    """
    if cache:
        maps = _decoded(_encoded(split, seed=None), split.shape).cache().shuffle(len(split.labels), seed)
    else:
        window = min(_SHUFFLED_MAPS, len(split.labels))
        maps = _decoded(_encoded(split, seed).shuffle(window, seed), split.shape)
    batched = _counted(maps.batch(options.batch_size), split, options.batch_size)
    if options.flips or options.crops:
        batched = _augmented(batched, options, seed, cells=split.masks)
    return _parted(batched, split, dense).prefetch(tf.data.AUTOTUNE)


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


def _encoded(split: MapSplit, seed: int | None) -> tf.data.Dataset:
    """PNG bytes and label, one map at a time; shards one after the other, or interleaved and shuffled by `seed`."""
    shards = tf.data.Dataset.from_tensor_slices(
        (
            [str(shard.path) for shard in split.shards],
            tf.ragged.constant([shard.offsets for shard in split.shards], tf.int64),
            tf.ragged.constant([shard.sizes for shard in split.shards], tf.int64),
            tf.ragged.constant([shard.labels for shard in split.shards], tf.float32),
        )
    )
    if seed is None:
        return shards.flat_map(_members)
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    shuffled = tf.data.Dataset.zip(shards.shuffle(len(split.shards), seed), seeds)

    def open_shuffled(shard: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], order: tf.Tensor) -> tf.data.Dataset:
        return _members(*shard, order)

    return shuffled.interleave(
        open_shuffled,
        cycle_length=_open_shards(split),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _members(
    path: tf.Tensor, offsets: tf.Tensor, sizes: tf.Tensor, labels: tf.Tensor, order: tf.Tensor | None = None
) -> tf.data.Dataset:
    archive = tf.io.read_file(path)
    positions = tf.range(tf.size(labels))
    if order is not None:
        positions = tf.random.experimental.stateless_shuffle(positions, order)
    members = tf.data.Dataset.from_tensor_slices(
        (tf.gather(offsets, positions), tf.gather(sizes, positions), tf.gather(labels, positions))
    )
    return members.map(lambda offset, size, label: (tf.strings.substr(archive, offset, size), label))


def _open_shards(split: MapSplit) -> int:
    largest = max(shard.path.stat().st_size for shard in split.shards)
    return int(np.clip(_OPEN_SHARDS_BYTES // max(1, largest), 1, min(_MOST_OPEN_SHARDS, len(split.shards))))


def _decoded(encoded: tf.data.Dataset, shape: tuple[int, int, int]) -> tf.data.Dataset:
    def decode(png: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _decode_map(png, shape), label[None]

    return encoded.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _decode_map(png: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """TensorFlow's counterpart of `forgery.evidence.decode_map`."""
    height, width, channels = shape
    if channels in (1, 3):
        return tf.ensure_shape(tf.io.decode_png(png, channels), shape)
    stacked = tf.ensure_shape(tf.io.decode_png(png, 1), (channels * height, width, 1))
    return tf.transpose(tf.reshape(stacked, (channels, height, width)), (1, 2, 0))


def _augmented(batched: tf.data.Dataset, options: TrainingOptions, seed: int, cells: bool) -> tf.data.Dataset:
    def augment(labelled: tuple[tf.Tensor, tf.Tensor], draw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        maps, labels = labelled
        if options.flips:
            maps = _flipped(_flipped(maps, draw, axis=1), draw + 1, axis=2)
            maps = _transposed(maps, draw + 4) if cells else maps
        if options.crops:
            maps = _cropped(_cropped(maps, draw + 2, 1, options.crops), draw + 3, 2, options.crops)
        return maps, labels

    # Stateless draws: the seed decides, not which thread comes first.
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(batched, draws).map(augment, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _flipped(maps: tf.Tensor, seed: tf.Tensor, axis: int) -> tf.Tensor:
    """Mirror each map with probability one half."""
    chosen = tf.random.stateless_uniform((tf.shape(maps)[0], 1, 1, 1), seed) < 0.5
    return tf.where(chosen, tf.reverse(maps, [axis]), maps)


def _transposed(maps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Swap rows and columns of each map, as many of the ones as of the others, with probability one half."""
    chosen = tf.random.stateless_uniform((tf.shape(maps)[0], 1, 1, 1), seed) < 0.5
    return tf.where(chosen, tf.transpose(maps, (0, 2, 1, 3)), maps)


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
