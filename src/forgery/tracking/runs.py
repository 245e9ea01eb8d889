"""One MLflow run for each pipeline run."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forgery.tracking.client import (
    EXPERIMENT,
    RUN_TAG,
    artifact_location,
    check_place,
    connect,
    find_run,
    first_line,
    run_tag,
    shown,
)

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

_MAX_PARAMETER = 6000  # characters; MLflow's own limit
_BATCH = 100  # parameters in one call; MLflow's own limit


class Run:
    """One MLflow run, or a stand-in that does nothing. After a failed call it stays silent."""

    def __init__(self, client: "MlflowClient | None", run_id: str) -> None:
        """A run of `client`; None for the stand-in, whose `run_id` is empty."""
        self._client = client
        self.run_id = run_id

    def log_params(self, values: Mapping[str, object]) -> None:
        """Parameters of the run; MLflow keeps the first value of each."""

        def send(client: "MlflowClient") -> None:
            from mlflow.entities import Param

            params = [Param(name, str(value)[:_MAX_PARAMETER]) for name, value in values.items()]
            for start in range(0, len(params), _BATCH):
                client.log_batch(self.run_id, params=params[start : start + _BATCH])

        self._try(send)

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Figures at one step, e.g. an epoch."""

        def send(client: "MlflowClient") -> None:
            from mlflow.entities import Metric

            now_ms = int(time.time() * 1000)
            client.log_batch(self.run_id, metrics=[Metric(name, float(v), now_ms, step) for name, v in values.items()])

        self._try(send)

    def log_curves(self, history: Mapping[str, list[float]]) -> None:
        """Whole curves at once, one value a step from 1."""
        for step, values in enumerate(zip(*history.values(), strict=True), start=1):
            self.log_metrics(dict(zip(history, values, strict=True)), step)

    def log_artifact(self, path: Path, folder: str | None = None) -> None:
        """Upload a file or a folder's files."""
        if path.is_dir():
            self._try(lambda client: client.log_artifacts(self.run_id, str(path), folder))
        else:
            self._try(lambda client: client.log_artifact(self.run_id, str(path), folder))

    def log_text(self, text: str, name: str) -> None:
        """Upload `text` as the file `name`."""
        self._try(lambda client: client.log_text(self.run_id, text, name))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Tags; a later value replaces an earlier one."""

        def send(client: "MlflowClient") -> None:
            for name, value in tags.items():
                client.set_tag(self.run_id, name, value)

        self._try(send)

    def finish(self, status: str) -> None:
        """Mark the run FINISHED or FAILED."""
        self._try(lambda client: client.set_terminated(self.run_id, status))

    def _try(self, send: "Callable[[MlflowClient], None]") -> None:
        if self._client is None:
            return
        try:
            send(self._client)
        except Exception as error:  # whatever a tracking server, database or bucket comes up with
            logger.warning("tracking stopped: %s; the run goes on without it", first_line(error))
            self._client = None


@contextmanager
def open_run(tracking: str, name: str, tags: Mapping[str, str] | None = None) -> Iterator[Run]:
    """The MLflow run of a pipeline run, in experiment `forgery`.

    The first step to ask opens it and later steps, and a step that is tried again, join it by the tag
    `forgery.run_id`. Where the pipeline backend has opened one, `MLFLOW_RUN_ID` names it and it is joined and left
    open. It ends FINISHED, or FAILED if the block raises.

    Args:
        tracking: `sqlite:///PATH`, `http(s)://...` or `postgresql://...`; empty for none.
        name: Id of the pipeline run.
        tags: Set on the run.

    Raises:
        InvalidConfig: The URI is of another kind.
    """
    run, joined = _open(tracking, name, dict(tags or {}))
    try:
        yield run
    except BaseException:
        if not joined:
            run.finish("FAILED")
        raise
    if not joined:
        run.finish("FINISHED")


def _open(tracking: str, name: str, tags: dict[str, str]) -> tuple[Run, bool]:
    if not tracking:
        return Run(None, ""), True
    check_place(tracking)
    joined = os.environ.get("MLFLOW_RUN_ID", "")
    try:
        client = connect(tracking)
        run_id = joined or find_run(client, name) or _create_run(client, tracking, name, tags.get("kind", "training"))
        run = Run(client, run_id)
        client.update_run(run_id, status="RUNNING")  # an earlier step has ended it
    except Exception as error:
        logger.warning("no tracking at %s: %s; the run goes on without it", shown(tracking), first_line(error))
        return Run(None, ""), True
    run.set_tags({RUN_TAG: run_tag(name)} | tags)
    return run, bool(joined)


def _create_run(client: "MlflowClient", tracking: str, name: str, kind: str) -> str:
    tags = {RUN_TAG: run_tag(name), "kind": kind}
    run = client.create_run(_experiment(client, tracking), run_name=f"{kind} {name}", tags=tags)
    return str(run.info.run_id)


def _experiment(client: "MlflowClient", tracking: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=artifact_location(tracking)))
    except MlflowException:  # two runs start at once: the other one has created it
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            raise
        return str(found.experiment_id)
