"""What a training starts with: the workers, each one's maps, the network and its start weights."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from forgery import __version__
from forgery.bundle import KERAS_FILE, Bundle
from forgery.config import RunConfig
from forgery.errors import BundleError, InvalidConfig, SourceError
from forgery.evidence import EvidenceInfo, read_evidence_info
from forgery.recipes import Recipe, parse_recipe
from forgery.training.backbones import build_network, choose_backbone, find_backbone, has_frozen_norm
from forgery.training.checkpoints import Checkpoints, training_key
from forgery.training.dataset import TrainingBatches, batches
from forgery.training.fit import Fit, OnEpoch, fit, plan_phases, seed_everything
from forgery.training.map_split import MapSplit, open_split
from forgery.training.weights import start_network
from forgery.training.workers import Workers, join_workers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """A training before its first step.

    Attributes:
        config: With the backbone's own name in place of `auto`.
        info: Of the evidence set.
        recipe: Of the evidence and the model.
        workers: This process and the others.
        training: This worker's training maps.
        validation: This worker's validation maps.
        network: With its start weights, in the precision it is trained in.
        continued_from: Digest of the champion whose weights those are, if any.
        checkpoints: Of this very training.
    """

    config: RunConfig
    info: EvidenceInfo
    recipe: Recipe
    workers: Workers
    training: MapSplit
    validation: MapSplit
    network: keras.Model
    continued_from: str | None
    checkpoints: Checkpoints


def set_up(evidence_set: Path, config: RunConfig, champion: Bundle | None) -> Setup:
    """Find the other workers and the maps, and build the network; errors are those of `forgery.training.train`."""
    info = read_evidence_info(evidence_set)
    recipe = parse_recipe(info.recipe)
    config = config.model_copy(update={"backbone": choose_backbone(config.backbone, recipe)})
    seed_everything(config.seed)
    workers = join_workers()
    training, validation = _open_splits(evidence_set, workers)
    with workers.strategy.scope(), _precision(config.training.precision):
        network, continued_from = _start(config, recipe, champion)
    return Setup(
        config=config,
        info=info,
        recipe=recipe,
        workers=workers,
        training=training,
        validation=validation,
        network=network,
        continued_from=continued_from,
        checkpoints=_checkpoints(evidence_set, config, continued_from, network, workers),
    )


def learn(setup: Setup, on_epoch: OnEpoch, on_past_epoch: OnEpoch) -> Fit:
    """Fit the network of `setup` together with the other workers."""
    options, workers, training, validation = setup.config.training, setup.workers, setup.training, setup.validation
    dense = find_backbone(setup.config.backbone).dense
    cache = training.map_bytes + validation.map_bytes <= options.cache_mb * 1_000_000
    logger.info("maps are %s", "kept in memory" if cache else "streamed from the shards")
    own = options.model_copy(update={"batch_size": _own_batch(options.batch_size, workers.count)})
    # All workers take as many steps, though some have fewer maps.
    steps = -(-training.most // own.batch_size) if workers.count > 1 else 0
    return fit(
        setup.network,
        TrainingBatches(training, own, setup.config.seed, cache, dense, steps),
        batches(validation, options.batch_size, cache, dense) if validation.shards else (),
        plan_phases(options, has_frozen_norm(setup.network), continued=setup.continued_from is not None),
        options,
        class_weights(np.repeat([0.0, 1.0], training.counts)) if options.class_weights else None,
        on_epoch,
        on_past_epoch,
        setup.checkpoints,
        workers,
    )


def plain_network(setup: Setup) -> keras.Model:
    """The network as one process has it in float32: what is exported, whatever it was trained in."""
    if setup.workers.count == 1 and setup.config.training.precision == "float32":
        return setup.network
    frozen = has_frozen_norm(setup.network)
    plain = build_network(setup.config.backbone, setup.recipe, setup.config.training.dropout, frozen_norm=frozen)
    plain.set_weights(setup.network.get_weights())
    return plain


def class_weights(labels: NDArray[np.floating[Any]]) -> dict[int, float]:
    """Inverse frequency, so that both classes weigh the same and the mean weight is 1; both must occur."""
    forged = float(np.mean(labels > 0))
    return {0: 0.5 / (1 - forged), 1: 0.5 / forged}


def _own_batch(batch_size: int, workers: int) -> int:
    if batch_size % workers:
        raise InvalidConfig(f"training.batch_size is shared by the workers: {batch_size} is no multiple of {workers}")
    return batch_size // workers


@contextmanager
def _precision(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _open_splits(evidence_set: Path, workers: Workers) -> tuple[MapSplit, MapSplit]:
    training, validation = (
        open_split(evidence_set, split, workers.index, workers.count) for split in ("train", "validation")
    )
    for name, split in (("train", training), ("validation", validation)):
        authentic, forged = split.counts
        if not (authentic and forged):
            raise SourceError(
                f"the {name} split has {authentic} authentic and {forged} forged maps; it needs "
                "both: give more pictures, or another data.validation_fraction or seed"
            )
        logger.info("%s: %d authentic and %d forged maps", name, authentic, forged)
    return training, validation


def _start(config: RunConfig, recipe: Recipe, champion: Bundle | None) -> tuple[keras.Model, str | None]:
    """The network to fit and, if it goes on from the champion, that one's digest."""
    options = config.training
    if not options.continue_from_champion:
        return start_network(config.backbone, config.weights, recipe, options.dropout), None
    if champion is None:
        logger.info("there is no champion yet to continue from: starting anew")
        return start_network(config.backbone, config.weights, recipe, options.dropout), None
    theirs, ours = (champion.info.recipe, champion.info.backbone), (recipe.name, config.backbone)
    if theirs != ours:
        raise InvalidConfig(
            f"cannot continue from the champion: it is {theirs[1]} on {theirs[0]}, this run is {ours[1]} on {ours[0]}; "
            "set the same recipe and backbone, or training.continue_from_champion=false"
        )
    return _continued(champion, options.dropout), champion.digest


def _continued(champion: Bundle, dropout: float) -> keras.Model:
    try:
        saved = keras.saving.load_model(champion.path / KERAS_FILE, compile=False)
    except Exception as error:  # zipfile, h5py and Keras raise kinds of their own on damaged files
        raise BundleError(f"{KERAS_FILE} of bundle {champion.digest} cannot be loaded") from error
    network = build_network(champion.info.backbone, champion.recipe, dropout, frozen_norm=has_frozen_norm(saved))
    network.set_weights(saved.get_weights())
    return network


def _checkpoints(
    evidence_set: Path, config: RunConfig, continued_from: str | None, start: keras.Model, workers: Workers
) -> Checkpoints:
    """Those of this very training: all that decides its weights is in their key, the start weights too."""
    options = config.training.model_dump(exclude={"checkpoint_steps", "objective"})
    settings = {
        "code": __version__,
        "backbone": config.backbone,
        "seed": config.seed,
        "training": options,
        "workers": workers.count,
        "continued_from": continued_from,
        "start": _digest(start.get_weights()),
    }
    key = training_key(evidence_set, settings)
    return Checkpoints(config.checkpoints, key, config.training.checkpoint_steps, writes=workers.chief)


def _digest(arrays: list[NDArray[np.generic]]) -> str:
    content = hashlib.sha256()
    for each in arrays:
        content.update(np.ascontiguousarray(each).tobytes())
    return content.hexdigest()
