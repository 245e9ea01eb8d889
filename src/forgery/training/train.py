"""From an evidence set to a draft bundle: start, fit, calibrate, choose the threshold, export."""

import logging
import platform
from pathlib import Path

import keras
import numpy as np
import PIL
import tensorflow as tf

from forgery import __version__
from forgery.bundle import Bundle, Lineage
from forgery.config import RunConfig
from forgery.decision import choose_rule, fit_temperature
from forgery.metrics import Outcome, measure
from forgery.tracking import Run, open_run
from forgery.training.dataset import batches
from forgery.training.event_log import EventLog
from forgery.training.export import DRAFT_FILE, export_draft
from forgery.training.fit import Fit
from forgery.training.map_split import MapSplit, open_split
from forgery.training.reading import reading
from forgery.training.result import TrainingResult
from forgery.training.setup import Setup, learn, plain_network, set_up
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
    checkpoint where `config.checkpoints` names a place for them. Everything that is chosen (the best epoch, learning
    rate, temperature, threshold, band) is chosen on the validation split. Determinism: see `forgery.training.fit`.

    Where `TF_CONFIG` names several workers this must be the first, and the others call `assist`.

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
    setup = set_up(evidence_set, config, champion)
    network, options = setup.network, setup.config.training
    tags = {"dataset_digest": setup.info.dataset_digest, "recipe": setup.info.recipe, "backbone": setup.config.backbone}
    with (
        reading(),
        open_run(config.tracking, run_id, tags) as run,
        whole_folder(out, DRAFT_FILE, needs_bytes=_BYTES_PER_WEIGHT * network.count_params()) as partial,
    ):
        _log_start(run, setup.config, network)
        fitted = _fit(setup, run, logs)
        network, validation = plain_network(setup), open_split(evidence_set, "validation")
        result = _calibrated(network, fitted, validation, setup.config, run.run_id)
        maps = (each.numpy() for each, _ in batches(validation, options.batch_size, cache=False))
        lineage = _lineage(setup, run_id)
        backbone = setup.config.backbone
        export_draft(network, partial, setup.recipe, result.temperature, result.decision, backbone, lineage, maps)
        _log_end(run, result, logs)
    setup.checkpoints.clear()
    logger.info("%s", result.summary())
    return result


def assist(evidence_set: Path, config: RunConfig, champion: Bundle | None) -> None:
    """Take part in a training of several workers as one that writes nothing; the chief calls `train`.

    Both read `TF_CONFIG`; see `forgery.training.workers`. Evidence, configuration and champion must be the chief's.
    """
    with reading():
        learn(set_up(evidence_set, config, champion), lambda epoch, figures: None, lambda epoch, figures: None)


def _fit(setup: Setup, run: Run, logs: Path | None) -> Fit:
    events = EventLog(logs)

    def record(epoch: int, figures: dict[str, float]) -> None:
        events.write(epoch, figures)
        run.log_metrics(figures, epoch)

    return learn(setup, record, events.write)


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


def _lineage(setup: Setup, run_id: str) -> Lineage:
    # What shaped the weights; the data is named by its digest, places are no part of it.
    described = setup.config.model_dump(include={"backbone", "weights", "seed", "training"})
    variants = [variant for variant in setup.info.variants if variant != ORIGINAL]
    described |= {"recipe": setup.info.recipe, "variants": variants}
    return Lineage(
        dataset_digest=setup.info.dataset_digest,
        run_id=run_id,
        code_version=__version__,
        config=described,
        continued_from=setup.continued_from,
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
