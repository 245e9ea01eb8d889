"""A training epoch from shards against one on the same maps in memory: `python -m benchmarks.training`."""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from benchmarks.rows import Row
from forgery.config import RunConfig, TrainingOptions
from forgery.dataset.demo import make_demo
from forgery.dataset.shards import ShardWriter
from forgery.evidence import INDEX_FILE, INFO_FILE, MASK_UNKNOWN, EvidenceInfo, EvidenceRow, encode_map
from forgery.recipes import Recipe, evidence, parse_recipe
from forgery.training.backbones import AUTO, build_network, choose_backbone
from forgery.training.dataset import TrainingBatches
from forgery.training.fit import set_trainable
from forgery.training.learner import Learner
from forgery.training.map_split import open_split
from forgery.training.workers import alone

logger = logging.getLogger(__name__)

_GOAL = "<= 1.1"
_GOAL_STREAMED = "<= 1.11"  # nine tenths of the steps a second
_BATCH = 32
_PICTURES = 16
_RATE = 1e-4


def measure(quick: bool = False) -> list[Row]:
    """Ratios to bare `fit`, for the small network (where reading weighs most) and fine-tuning; and of the default."""
    maps, epochs = (128, 3) if quick else (512, 7)
    cases: list[tuple[str, int, int | None, bool]] = [("cnn", 128, None, True), ("cnn", 128, None, False)]
    if not quick:
        cases += [("mobilenet_v2", 224, 30, True), ("mobilenet_v2", 224, 30, False)]
    return [*(_compare(*case, maps, epochs) for case in cases), _streamed_default(min(maps, 256), 6)]


def _compare(backbone: str, size_px: int, layers: int | None, cache: bool, maps: int, epochs: int) -> Row:
    recipe = parse_recipe(f"ela1_q90_gain15_{size_px}_bilinear")
    drawn = np.stack(list(_draw(recipe, maps)))
    labels = (np.arange(maps) % 2).astype(np.float32)[:, None]
    tensors = tf.constant(drawn)
    network = build_network(backbone, recipe, frozen_norm=layers is not None)
    set_trainable(network, layers)
    network.compile(
        keras.optimizers.Adam(_RATE),
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0), keras.metrics.AUC(from_logits=True)],
        # XLA's convolutions on a CPU take 15 to 20 times as long as oneDNN's.
        jit_compile=False,
    )
    learner = Learner(network, dense=False, class_weights=None, workers=alone())
    learner.begin(_RATE)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), recipe, drawn)
        options = TrainingOptions(batch_size=_BATCH)
        ours = TrainingBatches(open_split(Path(folder), "train"), options, seed=0, cache=cache)
        ratio = _ratio(
            lambda: learner.learn(ours.epoch(0), _RATE, lambda: None),
            lambda: network.fit(tensors, labels, batch_size=_BATCH, verbose=0),
            epochs,
        )
    how = "kept in memory" if cache else "streamed"
    return Row(
        name=f"training epoch, {backbone} {size_px} px, maps {how} / bare fit on tensors", ratio=ratio, goal=_GOAL
    )


def _streamed_default(maps: int, epochs: int) -> Row:
    """The default recipe and network, whose maps are the largest: streamed against kept in memory, by our own loop."""
    recipe = parse_recipe(RunConfig().recipe)
    network = build_network(choose_backbone(AUTO, recipe), recipe)
    learner = Learner(network, dense=recipe.dense, class_weights=None, workers=alone())
    learner.begin(_RATE)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), recipe, np.stack(list(_of_pictures(recipe, maps))))
        split = open_split(Path(folder), "train")
        streamed, kept = (
            TrainingBatches(split, TrainingOptions(batch_size=_BATCH), seed=0, cache=cache, dense=split.masks)
            for cache in (False, True)
        )
        ratio = _ratio(
            lambda: learner.learn(streamed.epoch(0), _RATE, lambda: None),
            lambda: learner.learn(kept.epoch(0), _RATE, lambda: None),
            epochs,
        )
    name = f"training epoch, default ({recipe.name}), maps streamed / kept in memory"
    return Row(name=name, ratio=ratio, goal=_GOAL_STREAMED)


def _of_pictures(recipe: Recipe, maps: int) -> Iterator[NDArray[np.uint8]]:
    """Maps of some generated pictures, moved about in their frame, each with a mask: they compress like real ones."""
    height, width, _ = recipe.shape
    mask = np.zeros((height, width, 1), np.uint8)
    mask[: height // 3, : width // 3] = MASK_UNKNOWN - 1
    with tempfile.TemporaryDirectory() as folder:
        pictures = sorted(make_demo(Path(folder), _PICTURES, seed=0).rglob("*.jpg"))
        drawn = [np.concatenate([evidence(picture.read_bytes(), recipe), mask], axis=2) for picture in pictures]
    for number in range(maps):
        turns, at = divmod(number, len(drawn))
        yield np.roll(drawn[at], turns, axis=1)


def _ratio(ours: Callable[[], object], reference: Callable[[], object], epochs: int) -> float:
    """Least time over least time, taken in turn after one epoch each for tracing and caches.

    The least is what the work itself takes: whatever else the machine does only ever adds.
    """
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for _ in range(epochs + 1):
        for name, run in (("ours", ours), ("reference", reference)):
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    least = {name: min(taken[1:]) for name, taken in times.items()}
    logger.info("least epoch: ours %.2f s, reference %.2f s", least["ours"], least["reference"])
    return least["ours"] / least["reference"]


def _draw(recipe: Recipe, maps: int) -> Iterator[NDArray[np.uint8]]:
    """Maps that compress like real ones: mostly low levels, with edges."""
    rng = np.random.default_rng(0)
    height, width, channels = recipe.shape
    for _ in range(maps):
        yield np.minimum(rng.exponential(9, (height, width, channels)), 255).astype(np.uint8)


def _write(folder: Path, recipe: Recipe, drawn: NDArray[np.uint8]) -> None:
    with ShardWriter(folder, "train", 64) as shards, (folder / INDEX_FILE).open("w") as index:
        for number, one in enumerate(drawn):
            member = f"{number:064x}.original.png"
            shard = shards.add([(member, encode_map(one))])
            row = EvidenceRow(
                digest=f"{number:064x}",
                variant="original",
                label="forged" if number % 2 else "authentic",
                group=str(number),
                split="train",
                shard=shard,
                member=member,
            )
            index.write(row.model_dump_json() + "\n")
    info = EvidenceInfo(
        recipe=recipe.name,
        dataset_digest="",
        variants=[],
        counts={},
        maps=len(drawn),
        map_bytes=drawn.nbytes,
        masks=drawn.shape[-1] > recipe.shape[-1],
    )
    (folder / INFO_FILE).write_text(info.model_dump_json())


def main() -> None:
    """Print one JSON row a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small network alone, fewer maps")
    logging.basicConfig(level=logging.INFO)
    keras.utils.set_random_seed(0)
    for row in measure(parser.parse_args().quick):
        print(row.model_dump_json())


if __name__ == "__main__":
    main()
