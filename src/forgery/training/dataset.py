"""An evidence set as `tf.data` pipelines: straight from the tar shards, decoded in parallel, deterministic by seed.

Nothing here changes a level of the evidence: augmentation mirrors maps and blanks borders, it never resamples.
"""

import logging
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

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
# Maps decoded together on their way into memory.
_READ_AT_ONCE = 64
# Stateless draws of equal seeds are equal, so every one has a pair of numbers of its own: the first tells run and
# epoch, the second 0 the order of maps, 1 that of shards, 2 and on that within each, then eight for each step.
_SEEDS_PER_EPOCH = 1 << 32
_FIRST_DRAW, _DRAWS_PER_STEP = 1 << 32, 8


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
    """The maps of one split of an evidence set, or those that one of several workers reads.

    Attributes:
        shape: Height, width and channels of what is stored.
        shards: Where.
        masks: The last channel is not evidence but the mask (`forgery.evidence.mask_channel`).
        counts: Authentic and forged maps of the whole split.
        most: Maps of the worker that has the most.
    """

    shape: tuple[int, int, int]
    shards: tuple[Shard, ...]
    masks: bool
    counts: tuple[int, int]
    most: int

    @cached_property
    def labels(self) -> NDArray[np.float32]:
        """1 forged, 0 authentic, float32 [n], in the order of `batches` without shuffling."""
        empty = np.empty(0, np.float32)
        return np.concatenate([empty, *(shard.labels for shard in self.shards)])

    @property
    def map_bytes(self) -> int:
        """Size of all maps decoded."""
        return len(self.labels) * int(np.prod(self.shape))


def open_split(evidence_set: Path, split: Split, worker: int = 0, workers: int = 1) -> MapSplit:
    """Find the maps of a split; reads the index and the tar headers alone.

    Args:
        evidence_set: From the ELA step; the shards of other workers may be absent.
        split: Which.
        worker: Which of `workers` reads; whole shards are dealt to them, the same ones each time.
        workers: How many there are.

    Raises:
        SourceError: A shard or a member that the index names is missing.
    """
    info = read_evidence_info(evidence_set)
    recipe = parse_recipe(info.recipe)
    maps, forged = Counter[str](), 0
    for row in read_index(evidence_set, split):
        maps[row.shard] += 1
        forged += row.label == "forged"
    hands = deal(maps, workers)
    return MapSplit(
        shape=stored_shape(recipe) if info.masks else recipe.shape,
        shards=tuple(sorted(_open_shards_of(evidence_set, split, set(hands[worker])), key=lambda shard: shard.path)),
        masks=info.masks,
        counts=(maps.total() - forged, forged),
        most=max(sum(maps[name] for name in hand) for hand in hands),
    )


def _open_shards_of(evidence_set: Path, split: Split, names: set[str]) -> Iterator[Shard]:
    """Members' names are held for one shard at a time: those of a million maps take more than what is kept of them."""
    for name, rows in groupby(read_index(evidence_set, split), key=lambda row: row.shard):
        if name in names:
            yield _open_shard(
                evidence_set / "shards" / name, {row.member: float(row.label == "forged") for row in rows}
            )


def deal(shards: Mapping[str, int], workers: int) -> list[list[str]]:
    """Names of shards for each worker, so that all have about as many maps: the largest first, to who has the least.

    Args:
        shards: Maps of each shard by its name.
        workers: How many; with fewer shards some get none.
    """
    hands: list[list[str]] = [[] for _ in range(workers)]
    for name in sorted(shards, key=lambda name: (-shards[name], name)):
        min(hands, key=lambda hand: sum(shards[each] for each in hand)).append(name)
    return [sorted(hand) for hand in hands]


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
    maps = _decoded(_encoded(split), split.shape)
    batched = _counted(maps.batch(batch_size), split, batch_size)
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
            batched = _augmented(batched, self._draws(seed), options, cells=split.masks)
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
        return _shuffled_members(split, self._key, seed).shuffle(window, seed, reshuffle_each_iteration=False)

    def _read(self, split: MapSplit, order: tf.data.Dataset, options: TrainingOptions) -> tf.data.Dataset:
        return _decoded(order, split.shape).batch(options.batch_size)

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
    maps = np.empty((len(split.labels), *split.shape), np.uint8)
    at = 0
    for part, _ in _decoded(_encoded(split), split.shape).batch(_READ_AT_ONCE).as_numpy_iterator():
        maps[at : at + len(part)] = part
        at += len(part)
    return tf.constant(maps), tf.constant(split.labels[:, None])


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


def _shards(split: MapSplit) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(
        (
            [str(shard.path) for shard in split.shards],
            tf.ragged.constant([shard.offsets for shard in split.shards], tf.int64),
            tf.ragged.constant([shard.sizes for shard in split.shards], tf.int64),
            tf.ragged.constant([shard.labels for shard in split.shards], tf.float32),
        )
    )


def _encoded(split: MapSplit) -> tf.data.Dataset:
    """PNG bytes and label, one map at a time; shards one after the other."""
    return _shards(split).flat_map(_members)


def _shuffled_members(split: MapSplit, key: Callable[[int, tf.Tensor], tf.Tensor], seed: int) -> tf.data.Dataset:
    """PNG bytes and label, one map at a time; several shards at once, and each of them shuffled by `key`."""
    count = len(split.shards)
    paths, offsets, sizes, labels = next(iter(_shards(split).ragged_batch(count)))

    def numbers(_: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(count), key(seed, tf.constant(1)))
        return tf.data.Dataset.from_tensor_slices(order)

    def open_shuffled(at: tf.Tensor) -> tf.data.Dataset:
        return _members(paths[at], offsets[at], sizes[at], labels[at], key(seed, at + 2))

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


def _augmented(
    batched: tf.data.Dataset, draws: tf.data.Dataset, options: TrainingOptions, cells: bool
) -> tf.data.Dataset:
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
