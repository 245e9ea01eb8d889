"""Creating a job, or finding the one an earlier try has created, and waiting for its end."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from forgery.errors import TrainingFailed
from forgery.jobs.port import JobStatus, TrainingJobs

logger = logging.getLogger(__name__)

POLL_S = 5.0


def run_job(
    jobs: TrainingJobs,
    job: Mapping[str, Any],
    failure: Callable[[], str | None] = lambda: None,
    poll_s: float = POLL_S,
) -> None:
    """Return when the job has succeeded; its chief's log goes to this process's.

    A job of that name that still runs is followed; one that has failed is removed and created anew, so that a step
    that is tried again tries again. The job is left for the caller to delete.

    Args:
        jobs: Who runs it.
        job: The manifest.
        failure: Asked now and then: what a worker says that no restart would mend, which ends the job; else None.
        poll_s: Seconds between two looks.

    Raises:
        TrainingFailed: The job failed, was removed by somebody, or `failure` said so.
        ServiceUnavailable: See `forgery.jobs.port.TrainingJobs`.
    """
    name = job["metadata"]["name"]
    _start(jobs, job, poll_s)
    last, said = "", JobStatus("waiting")
    while True:
        status = jobs.status(name)
        for line in jobs.chief_log(name, last):
            last = line
            logger.info("worker 0: %s", _message(line.partition(" ")[2]))
        if said != status and status is not None:
            logger.info("job %s: %s %s", name, status.state, status.reason)
            said = status
        if message := failure():
            jobs.delete(name)
            raise TrainingFailed(message)
        if status is None or status.state == "failed":
            raise TrainingFailed(f"job {name} {f'failed: {status.reason}' if status else 'was removed'}")
        if status.state == "succeeded":
            return
        time.sleep(poll_s)


def _message(line: str) -> str:
    """What a worker says in a line of its log: its own lines are JSON, those of TensorFlow are not."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, TypeError, KeyError):
        return line


def _start(jobs: TrainingJobs, job: Mapping[str, Any], poll_s: float) -> None:
    name = job["metadata"]["name"]
    status = jobs.status(name)
    if status is not None and status.state == "failed":
        logger.info("job %s has failed before (%s): once more", name, status.reason)
        jobs.delete(name)
        while jobs.status(name) is not None:
            time.sleep(poll_s)
    if jobs.create(job):
        logger.info("job %s created", name)
    else:
        logger.info("job %s is there already: following it", name)
