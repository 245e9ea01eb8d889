"""Start a training run as a schedule would: same version, parameters, experiment and account."""

import logging
import os
from pathlib import Path
from typing import Any, Final

import httpx

from forgery.errors import InvalidConfig, ServiceUnavailable

logger = logging.getLogger(__name__)

_TIMEOUT_S: Final = 30.0
_TRIES: Final = 4
_PAGE: Final = 200
# Where Kubernetes projects a token for the API of Kubeflow Pipelines, on servers with several users.
_TOKEN_FILE: Final = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105
_NAMESPACE_FILE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
# What a run has in common with the schedule that it is taken from.
_COPIED: Final = ("experiment_id", "pipeline_version_reference", "pipeline_spec", "runtime_config", "service_account")


def start_run(pipelines: str, schedule: str, name: str) -> str:
    """Start one run of what `schedule` names, paused or not, and return its id.

    Asked again for the same `name` it returns the run that is there: a step may be run twice.

    Args:
        pipelines: URL of the API.
        schedule: Name of a recurring run.
        name: Of the new run.

    Raises:
        InvalidConfig: There is no such schedule.
        ServiceUnavailable: The API does not answer, or refuses.
    """
    with _client(pipelines) as client:
        found = [each for each in _all(client, "recurringruns", "recurringRuns") if _name(each) == schedule]
        if not found:
            raise InvalidConfig(f"there is no schedule {schedule!r} to train by; forgery schedule create makes one")
        there = [each for each in _all(client, "runs", "runs") if _name(each) == name]
        if there:
            return str(there[0]["run_id"])
        body = {key: found[0][key] for key in _COPIED if found[0].get(key)}
        client.params = httpx.QueryParams()  # of lists alone
        run = _ask(client, "POST", "runs", json={"display_name": name, **body})
    logger.info("started %s as schedule %s would", name, schedule)
    return str(run["run_id"])


def _client(pipelines: str) -> httpx.Client:
    token = Path(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH", _TOKEN_FILE))
    several_users = token.is_file()
    own = Path(_NAMESPACE_FILE)
    return httpx.Client(
        base_url=f"{pipelines.rstrip('/')}/apis/v2beta1/",
        headers={"Authorization": f"Bearer {token.read_text().strip()}"} if several_users else {},
        params={"namespace": own.read_text().strip()} if several_users and own.is_file() else {},
        transport=httpx.HTTPTransport(retries=_TRIES),
        timeout=_TIMEOUT_S,
    )


def _name(thing: dict[str, Any]) -> str:
    return str(thing.get("display_name", ""))


def _all(client: httpx.Client, path: str, key: str) -> list[dict[str, Any]]:
    things: list[dict[str, Any]] = []
    token = ""
    while True:
        page = _ask(client, "GET", path, params={"page_size": _PAGE, "page_token": token})
        things += page.get(key) or ()
        token = page.get("next_page_token") or ""
        if not token:
            return things


def _ask(client: httpx.Client, method: str, path: str, **content: Any) -> dict[str, Any]:  # noqa: ANN401
    try:
        answer = client.request(method, path, **content)
        answer.raise_for_status()
        return dict(answer.json())
    except httpx.HTTPStatusError as error:
        said = error.response.text[:200]
        raise ServiceUnavailable(
            f"Kubeflow Pipelines at {client.base_url.host} refuses: {error.response.status_code} {said}"
        ) from error
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceUnavailable(
            f"Kubeflow Pipelines at {client.base_url.host} does not answer ({type(error).__name__})"
        ) from error
