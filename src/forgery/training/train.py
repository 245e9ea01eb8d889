"""From an evidence set to a draft bundle: start, fit, calibrate, choose the threshold, export."""

import hashlib
import logging
import platform
from pathlib import Path

import keras
import numpy as np
import PIL
import tensorflow as tf
from numpy.typing import NDArray

from forgery import __version__
from forgery.bundle import KERAS_FILE, Bundle, Lineage
from forgery.config import RunConfig
from forgery.decision import choose_rule, fit_temperature
from forgery.errors import BundleError, InvalidConfig, SourceError
from forgery.evidence import EvidenceInfo, read_evidence_info
from forgery.metrics import Outcome, measure
from forgery.recipes import Recipe, parse_recipe
from forgery.tracking import Run, open_run
from forgery.training.backbones import build_network, choose_backbone, find_backbone, has_frozen_norm
from forgery.training.checkpoints import Checkpoints, training_key
from forgery.training.dataset import MapSplit, TrainingBatches, batches, open_split
from forgery.training.event_log import EventLog
from forgery.training.export import DRAFT_FILE, export_draft
from forgery.training.fit import Fit, fit, plan_phases, seed_everything
from forgery.training.result import TrainingResult
from forgery.training.weights import start_network
from forgery.variants import ORIGINAL
from forgery.writing import whole_folder

logger = logging.getLogger(__name__)

# Room asked for in the message of a full disk: SavedModel, LiteRT model and `.keras` hold the weights once each.
_BYTES_PER_WEIGHT = 3 * 4


def train(
    evidence_set: Path,
    out: Path,
    config: RunConfig,
    champion: Bundle | None,
    run_id: str,
    logs: Path | None = None,
) -> TrainingResult:
    """Fit a network and write it as a draft bundle.

    `out` appears whole or not at all; a run that was killed is simply started again, and goes on from its last
    checkpoint where `config.checkpoints` names a place for them. Everything that is chosen (the
    best epoch, learning rate, temperature, threshold, band) is chosen on the validation split. Determinism: see
    `forgery.training.fit`.

    Args:
        evidence_set: From the ELA step; its recipe becomes the model's.
        out: The draft: saved_model/, model.keras, golden/, draft.json.
        config: backbone, weights, seed, training, tracking and checkpoints are read.
        champion: The model in service; with `training.continue_from_champion` its weights are the start.
        run_id: Of the pipeline run; names the MLflow run and is kept in the lineage.
        logs: Folder for TensorBoard event files, one sub-folder each for training and validation; None for none.

    Raises:
        InvalidConfig: Unknown backbone, maps too small for it, weights that do not fit, or a champion of another
            recipe or backbone.
        SourceError: The evidence set is damaged, or a split lacks a class.
        TrainingFailed: The loss became NaN.
        StorageError: Weights cannot be downloaded, or the disk is full.
    """
    info = read_evidence_info(evidence_set)
    recipe = parse_recipe(info.recipe)
    config = config.model_copy(update={"backbone": choose_backbone(config.backbone, recipe)})
    training, validation = _open_splits(evidence_set)
    seed_everything(config.seed)
    network, continued_from = _start(config, recipe, champion)
    lineage = _lineage(config, info, run_id, continued_from)
    tags = {"dataset_digest": info.dataset_digest, "recipe": info.recipe, "backbone": config.backbone}
    with (
        open_run(config.tracking, run_id, tags) as run,
        whole_folder(out, DRAFT_FILE, needs_bytes=_BYTES_PER_WEIGHT * network.count_params()) as partial,
    ):
        _log_start(run, config, network)
        checkpoints = _checkpoints(evidence_set, config, continued_from, network)
        fitted = _fit(network, training, validation, config, continued_from is not None, run, logs, checkpoints)
        result = _calibrated(network, fitted, validation, config, run.run_id)
        maps = (each.numpy() for each, _ in batches(validation, config.training.batch_size, cache=False))
        export_draft(network, partial, recipe, result.temperature, result.decision, config.backbone, lineage, maps)
        _log_end(run, result, logs)
    checkpoints.clear()
    logger.info("%s", result.summary())
    return result


def _open_splits(evidence_set: Path) -> tuple[MapSplit, MapSplit]:
    training, validation = open_split(evidence_set, "train"), open_split(evidence_set, "validation")
    for name, split in (("train", training), ("validation", validation)):
        counts = {label: int(np.sum(split.labels == value)) for label, value in (("authentic", 0), ("forged", 1))}
        if not all(counts.values()):
            raise SourceError(
                f"the {name} split has {counts['authentic']} authentic and {counts['forged']} forged maps; it needs "
                "both: give more pictures, or another data.validation_fraction or seed"
            )
        logger.info("%s: %d authentic and %d forged maps", name, counts["authentic"], counts["forged"])
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


def _fit(
    network: keras.Model,
    training: MapSplit,
    validation: MapSplit,
    config: RunConfig,
    continued: bool,
    run: Run,
    logs: Path | None,
    checkpoints: Checkpoints,
) -> Fit:
    options = config.training
    dense = find_backbone(config.backbone).dense
    cache = training.map_bytes + validation.map_bytes <= options.cache_mb * 1_000_000
    logger.info("maps are %s", "kept in memory" if cache else "streamed from the shards")
    events = EventLog(logs)

    def record(epoch: int, figures: dict[str, float]) -> None:
        events.write(epoch, figures)
        run.log_metrics(figures, epoch)

    return fit(
        network,
        TrainingBatches(training, options, config.seed, cache, dense),
        batches(validation, options.batch_size, cache, dense),
        plan_phases(options, pretrained=has_frozen_norm(network), continued=continued),
        options,
        class_weights(training.labels) if options.class_weights else None,
        record,
        events.write,
        checkpoints,
    )


def _checkpoints(evidence_set: Path, config: RunConfig, continued_from: str | None, start: keras.Model) -> Checkpoints:
    """Those of this very training: all that decides its weights is in their key, the start weights too."""
    options = config.training.model_dump(exclude={"checkpoint_steps", "objective"})
    weights = hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in start.get_weights()))
    settings = {
        "code": __version__,
        "backbone": config.backbone,
        "seed": config.seed,
        "training": options,
        "continued_from": continued_from,
        "start": weights.hexdigest(),
    }
    return Checkpoints(
        config.checkpoints, training_key(evidence_set, settings), every_steps=config.training.checkpoint_steps
    )


def class_weights(labels: NDArray[np.float32]) -> dict[int, float]:
    """Inverse frequency, so that both classes weigh the same and the mean weight is 1; both must occur."""
    forged = float(np.mean(labels))
    return {0: 0.5 / (1 - forged), 1: 0.5 / forged}


def _calibrated(
    network: keras.Model, fitted: Fit, validation: MapSplit, config: RunConfig, tracking_run_id: str
) -> TrainingResult:
    logits = network.predict(batches(validation, config.training.batch_size, cache=False), verbose=0)[:, 0]
    temperature = fit_temperature(logits, validation.labels)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64) / temperature))
    decision = choose_rule(validation.labels, probabilities, config.training.objective)
    return TrainingResult(
        history=fitted.history,
        phases=fitted.phases,
        best_epoch=fitted.best_epoch,
        seconds=fitted.seconds,
        parameters=network.count_params(),
        temperature=temperature,
        decision=decision,
        validation=measure(Outcome.of(validation.labels, probabilities, decision.threshold)),
        tracking_run_id=tracking_run_id,
    )


def _lineage(config: RunConfig, info: EvidenceInfo, run_id: str, continued_from: str | None) -> Lineage:
    # What shaped the weights; the data is named by its digest, places are no part of it.
    described = config.model_dump(include={"backbone", "weights", "seed", "training"})
    described |= {"recipe": info.recipe, "variants": [variant for variant in info.variants if variant != ORIGINAL]}
    return Lineage(
        dataset_digest=info.dataset_digest,
        run_id=run_id,
        code_version=__version__,
        config=described,
        continued_from=continued_from,
    )


def _log_start(run: Run, config: RunConfig, network: keras.Model) -> None:
    run.log_params(
        {"backbone": config.backbone, "weights": config.weights, "seed": config.seed}
        | {f"training.{name}": value for name, value in config.training.model_dump().items()}
        | {"parameters": network.count_params()}
        | {f"environment.{name}": version for name, version in _environment().items()}
    )


def _environment() -> dict[str, str]:
    versions = {module.__name__.lower(): str(module.__version__) for module in (tf, keras, np, PIL)}
    return versions | {"python": platform.python_version(), "forgery": __version__}


def _log_end(run: Run, result: TrainingResult, logs: Path | None) -> None:
    run.log_metrics({f"validation_{name}": value for name, value in result.validation.items()})
    run.log_metrics({"temperature": result.temperature, "threshold": result.decision.threshold})
    run.log_metrics({"seconds": result.seconds, "best_epoch": result.best_epoch})
    run.log_text(result.curves_html(), "training.html")
    if logs is not None:
        run.log_artifact(logs, "tensorboard")
