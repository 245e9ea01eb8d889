"""MLflow, thinly: one run per pipeline run, versions in the registry, the alias `champion`.

Tracking never costs a training. If the server does not answer, `open_run` and a `Run` log one warning and go on
without it; `register_version` and `set_champion` raise, and their caller decides. An empty tracking URI turns
everything here into a no-op.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from forgery.bundle import Bundle
from forgery.errors import InvalidConfig, ServiceUnavailable

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

EXPERIMENT = "forgery"
MODEL = "forgery"
CHAMPION = "champion"
RUN_TAG = "forgery.run_id"
_BUNDLE_TAG = "bundle_digest"

_SQLITE = "sqlite:///"
_SCHEMES = (_SQLITE, "http://", "https://", "postgresql://")
_MAX_PARAMETER = 6000  # characters; MLflow's own limit
_BATCH = 100  # parameters in one call; MLflow's own limit
_CREDENTIALS = re.compile(r"//[^/\s]*@")
_NOISY = ("mlflow", "alembic", "urllib3.connectionpool")
_SETTINGS = {
    # Down must be known in seconds: MLflow's own seven tries take minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}

Answer = TypeVar("Answer")


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
            logger.warning("tracking stopped: %s; the run goes on without it", _first_line(error))
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
    _check(tracking)
    joined = os.environ.get("MLFLOW_RUN_ID", "")
    try:
        client = _client(tracking)
        run_id = joined or _find_run(client, name) or _create_run(client, tracking, name)
        run = Run(client, run_id)
        client.get_run(run_id)
    except Exception as error:
        logger.warning("no tracking at %s: %s; the run goes on without it", _shown(tracking), _first_line(error))
        return Run(None, ""), True
    run.set_tags({RUN_TAG: name} | tags)
    return run, bool(joined)


def register_version(tracking: str, bundle: Bundle, uri: str, run_id: str) -> str | None:
    """Make the bundle a version of the registered model `forgery`; the same bundle again gives the same version.

    Args:
        tracking: As `open_run`.
        bundle: Sealed; its digest, recipe and lineage become tags.
        uri: Where it was published.
        run_id: Id of the pipeline run; the version is linked to its MLflow run if there is one.

    Returns:
        The version's number as text, or None without tracking.

    Raises:
        ServiceUnavailable: MLflow does not answer or refuses.
    """
    if not tracking:
        return None
    return _asked(tracking, lambda client: _register(client, bundle, uri, run_id))


def set_champion(tracking: str, bundle_digest: str) -> None:
    """Point the alias `champion` at the version of that bundle; without tracking, do nothing.

    Raises:
        InvalidConfig: No version has that digest.
        ServiceUnavailable: MLflow does not answer or refuses.
    """
    if not tracking:
        return

    def move(client: "MlflowClient") -> None:
        version = _find_version(client, bundle_digest)
        if version is None:
            raise InvalidConfig(f"no version of model {MODEL} in {_shown(tracking)} is bundle {bundle_digest}")
        client.set_registered_model_alias(MODEL, CHAMPION, version)

    _asked(tracking, move)


def _asked(tracking: str, ask: "Callable[[MlflowClient], Answer]") -> Answer:
    _check(tracking)
    try:
        return ask(_client(tracking))
    except InvalidConfig:
        raise
    except Exception as error:
        raise ServiceUnavailable(f"MLflow at {_shown(tracking)} does not do it: {_first_line(error)}") from error


def _register(client: "MlflowClient", bundle: Bundle, uri: str, run_id: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(MODEL, description="Image-forgery detector")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    if existing := _find_version(client, bundle.digest):
        return existing
    lineage = bundle.info.lineage
    tags = {_BUNDLE_TAG: bundle.digest, RUN_TAG: run_id, "dataset_digest": lineage.dataset_digest}
    tags |= {"recipe": bundle.info.recipe, "backbone": bundle.info.backbone}
    version = client.create_model_version(MODEL, source=uri, run_id=_find_run(client, run_id), tags=tags)
    return str(version.version)


def _find_version(client: "MlflowClient", digest: str) -> str | None:
    found = client.search_model_versions(f"name = '{MODEL}' and tags.{_BUNDLE_TAG} = '{digest}'", max_results=1)
    return str(found[0].version) if found else None


def _find_run(client: "MlflowClient", name: str) -> str | None:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    quoted = name.replace("'", "")
    found = client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{quoted}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def _create_run(client: "MlflowClient", tracking: str, name: str) -> str:
    run = client.create_run(_experiment(client, tracking), run_name=name, tags={RUN_TAG: name.replace("'", "")})
    return str(run.info.run_id)


def _experiment(client: "MlflowClient", tracking: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=_artifacts(tracking)))
    except MlflowException:  # two runs start at once: the other one has created it
        found = client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            raise
        return str(found.experiment_id)


def _artifacts(tracking: str) -> str | None:
    """Beside a sqlite file, since MLflow's default is the working directory; a server knows its own place."""
    return (_sqlite_path(tracking).parent / "artifacts").as_uri() if tracking.startswith(_SQLITE) else None


def _sqlite_path(tracking: str) -> Path:
    return Path(unquote(tracking.removeprefix(_SQLITE).split("?")[0])).absolute()


def _check(tracking: str) -> None:
    if not tracking.startswith(_SCHEMES):
        raise InvalidConfig(
            f"tracking is sqlite:///PATH (four slashes for an absolute path), http(s)://HOST, postgresql://... or "
            f"empty for none; MLflow keeps no runs in plain folders any more; got {_shown(tracking)}"
        )


def _client(tracking: str) -> "MlflowClient":
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    if tracking.startswith(_SQLITE):
        _sqlite_path(tracking).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=tracking, registry_uri=tracking)


def _shown(text: str) -> str:
    """Without user and password that may stand in a URI."""
    return _CREDENTIALS.sub("//", text)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return _shown(lines[0])[:200] if lines else type(error).__name__
