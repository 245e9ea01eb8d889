"""One worker of a training job: `python -m forgery.training.worker PLACE NAME`, with TF_CONFIG set by who starts it.

See `forgery.jobs.parcel` for what it reads and writes. An error that a restart would not mend is written where the step
sees it; any other ends the process, and whoever runs the job starts it again.
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from forgery.bundle import open_bundle
from forgery.config import RunConfig
from forgery.errors import ForgeryError, ServiceUnavailable, StorageError
from forgery.evidence import EVIDENCE_SPLITS, INDEX_FILE, INFO_FILE, read_index
from forgery.evidence_set import PLACES_FILE
from forgery.jobs.parcel import Parcel
from forgery.jobs.training import CHAMPION, DRAFT, EVIDENCE, FAILURE, LOGS, RESULT, SETTINGS
from forgery.steps import step
from forgery.training.map_split import deal
from forgery.training.train import assist, train

logger = logging.getLogger(__name__)

_POLL_S = 2.0
_MENDED_BY_TIME = (StorageError, ServiceUnavailable)


def work(parcel: Parcel, folder: Path) -> None:
    """Take part in the job, in an empty folder."""
    cluster = json.loads(os.environ["TF_CONFIG"])
    index, count = int(cluster["task"]["index"]), len(cluster["cluster"]["worker"])
    settings = json.loads(parcel.read(SETTINGS) or b"{}")
    config = RunConfig.read(settings["config"])
    fetch_evidence(parcel, folder / EVIDENCE, index, count)
    champion = None
    if config.training.continue_from_champion and parcel.read(f"{CHAMPION}.json"):
        parcel.fetch(CHAMPION, folder / CHAMPION)
        champion = open_bundle(folder / CHAMPION)
    if index:
        assist(folder / EVIDENCE, config, champion)
        _wait_for_result(parcel)
        return
    (folder / LOGS).mkdir()
    result = train(folder / EVIDENCE, folder / DRAFT, config, champion, settings["run_id"], folder / LOGS)
    for name in (DRAFT, LOGS):
        parcel.send(folder / name, name)
    parcel.write(RESULT, json.dumps(result.to_dict()).encode())


def _wait_for_result(parcel: Parcel) -> None:
    """A chief that dies before it has brought its result needs the others once more: TensorFlow ends them with it."""
    while parcel.read(RESULT) is None and parcel.read(FAILURE) is None:
        time.sleep(_POLL_S)


def fetch_evidence(parcel: Parcel, folder: Path, worker: int, workers: int) -> None:
    """The index, this worker's shards, and for the chief, who calibrates, those of the whole validation split."""
    parcel.fetch(EVIDENCE, folder, lambda path: path in (INDEX_FILE, PLACES_FILE, INFO_FILE))
    wanted: set[str] = set()
    for split in EVIDENCE_SPLITS:
        maps = Counter(row.shard for row in read_index(folder, split))
        own = {piece.shard for piece in deal(maps, workers)[worker]}
        wanted.update(f"shards/{name}" for name in (maps if split == "validation" and worker == 0 else own))
    parcel.fetch(EVIDENCE, folder, lambda path: path in wanted)


def main() -> None:
    """Work, and tell the step of errors that no restart mends."""
    parcel = Parcel(sys.argv[1], sys.argv[2])
    with step("worker"), tempfile.TemporaryDirectory(prefix="forgery-worker-") as folder:
        try:
            work(parcel, Path(folder))
        except _MENDED_BY_TIME:
            raise
        except ForgeryError as error:
            parcel.write(FAILURE, str(error).encode())
            raise


if __name__ == "__main__":
    main()
