"""A training by several workers as the pipeline's step sees it: send, run, bring back."""

import hashlib
import json
import logging
import sys
from pathlib import Path
from typing import Final

from forgery.bundle import Bundle
from forgery.config import RunConfig
from forgery.errors import InvalidConfig, TrainingFailed
from forgery.evidence import INDEX_FILE, read_evidence_info
from forgery.jobs.follow import POLL_S, run_job
from forgery.jobs.manifest import training_job
from forgery.jobs.parcel import Parcel
from forgery.jobs.port import TrainingJobs
from forgery.training.export import DRAFT_FILE
from forgery.training.result import TrainingResult
from forgery.writing import whole_folder

logger = logging.getLogger(__name__)

WORKER: Final = "forgery.training.worker"
EVIDENCE, CHAMPION, DRAFT, LOGS = "evidence", "champion", "draft", "logs"
SETTINGS, RESULT, FAILURE = "settings.json", "result.json", "failure.txt"
_NAME_DIGITS: Final = 20


def train_by_job(
    jobs: TrainingJobs,
    evidence_set: Path,
    out: Path,
    config: RunConfig,
    champion: Bundle | None,
    run_id: str,
    logs: Path,
    poll_s: float = POLL_S,
) -> TrainingResult:
    """What `forgery.training.train.train` does, by `config.workers` pods.

    Done again after an interruption it sends what is missing and follows the job that is there.

    Raises:
        InvalidConfig: `config.checkpoints` is empty, or the batch cannot be shared.
        TrainingFailed: The job failed, or a worker refused; the message is the worker's.
        ServiceUnavailable: There is no cluster, or none that knows such jobs.
        StorageError: The place of checkpoints refused.
    """
    if not config.checkpoints:
        raise InvalidConfig(
            "several workers meet in the place of `checkpoints`, which is empty: name one, or workers=1"
        )
    if config.training.batch_size % config.workers:
        raise InvalidConfig(
            f"training.batch_size is shared by the workers: {config.training.batch_size} is no multiple of "
            f"{config.workers}"
        )
    name = _name(evidence_set, config, run_id)
    parcel = Parcel(config.checkpoints, name)
    if parcel.read(RESULT) is None:
        _send(parcel, evidence_set, config, champion, run_id)
        command = [sys.executable, "-m", WORKER, config.checkpoints, name]
        run_job(jobs, training_job(name, config.workers, command, jobs.own_pod()), lambda: _failure(parcel), poll_s)
    result = _bring(parcel, out, logs)
    jobs.delete(name)
    parcel.clear()
    return result


def _name(evidence_set: Path, config: RunConfig, run_id: str) -> str:
    settings = config.model_dump_json(include={"backbone", "weights", "seed", "training", "workers"})
    content = hashlib.sha256(f"{run_id}\n{settings}\n{read_evidence_info(evidence_set).digest}\n".encode())
    content.update((evidence_set / INDEX_FILE).read_bytes())
    return f"forgery-train-{content.hexdigest()[:_NAME_DIGITS]}"


def _send(parcel: Parcel, evidence_set: Path, config: RunConfig, champion: Bundle | None, run_id: str) -> None:
    parcel.send(evidence_set, EVIDENCE)
    if champion is not None and config.training.continue_from_champion:
        parcel.send(champion.path, CHAMPION)
    settings = {"config": config.model_dump(), "run_id": run_id}
    parcel.write(SETTINGS, json.dumps(settings).encode())
    # Of an earlier try, which may have been mended since.
    parcel.remove(FAILURE)


def _failure(parcel: Parcel) -> str | None:
    said = parcel.read(FAILURE)
    return said.decode() if said else None


def _bring(parcel: Parcel, out: Path, logs: Path) -> TrainingResult:
    content = parcel.read(RESULT)
    if content is None:
        raise TrainingFailed("the job has ended without a result: look into the log of its first worker")
    parcel.fetch(LOGS, logs)
    with whole_folder(out, DRAFT_FILE) as partial:
        parcel.fetch(DRAFT, partial)
    return TrainingResult.from_dict(json.loads(content))
