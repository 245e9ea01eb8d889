"""The way to MLflow: which places it may keep runs in, and a client that is quiet and gives up in seconds."""

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from forgery.errors import InvalidConfig

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "forgery"
RUN_TAG = "forgery.run_id"
# MLflow's own: shown as the run's description, in Markdown.
NOTE_TAG = "mlflow.note.content"

_SQLITE = "sqlite:///"
_SCHEMES = (_SQLITE, "http://", "https://", "postgresql://")
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


def check_place(tracking: str) -> None:
    """Raise InvalidConfig unless MLflow can keep runs at that URI."""
    if not tracking.startswith(_SCHEMES):
        raise InvalidConfig(
            f"tracking is sqlite:///PATH (four slashes for an absolute path), http(s)://HOST, postgresql://... or "
            f"empty for none; MLflow keeps no runs in plain folders any more; got {shown(tracking)}"
        )


def connect(tracking: str) -> "MlflowClient":
    """A client for tracking and registry; nothing is sent yet."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    if tracking.startswith(_SQLITE):
        _sqlite_path(tracking).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=tracking, registry_uri=tracking)


def find_run(client: "MlflowClient", name: str) -> str | None:
    """The MLflow run of the pipeline run with that id."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    found = client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{run_tag(name)}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def run_tag(name: str) -> str:
    """The tag's value; MLflow's search has no way to write a quotation mark."""
    return name.replace("'", "")


def artifact_location(tracking: str) -> str | None:
    """Beside a sqlite file, since MLflow's default is the working directory; a server knows its own place."""
    return (_sqlite_path(tracking).parent / "artifacts").as_uri() if tracking.startswith(_SQLITE) else None


def _sqlite_path(tracking: str) -> Path:
    return Path(unquote(tracking.removeprefix(_SQLITE).split("?")[0])).absolute()


def shown(text: str) -> str:
    """Without user and password that may stand in a URI."""
    return _CREDENTIALS.sub("//", text)


def first_line(error: BaseException) -> str:
    """Of its message, without credentials."""
    lines = str(error).strip().splitlines()
    return shown(lines[0])[:200] if lines else type(error).__name__
