"""Requests to the Kubernetes API that outlast an API server which is away for a while."""

import logging
import os
import random
import time
from collections.abc import Mapping
from typing import Any, Literal

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from forgery.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

Document = dict[str, Any]

# An API server that restarts is back within half a minute; a rolling upgrade of a control plane takes longer.
PATIENCE_S = 120.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
_TIMEOUT_S = (3.05, 30.0)
# Too many requests, and what an API server or the balancer before it answers when a part of it is away; 500 is also
# the answer where an admission webhook does not respond.
_TRANSIENT = (429, 500, 502, 503, 504)
_CONTENT_TYPES = {"POST": "application/json", "PATCH": "application/json-patch+json"}


class Refused(Exception):
    """The API server answered no: 404, 409, 422, ...; the adapter knows what that means."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cluster:
    """The few requests a rollout makes, as plain documents."""

    def __init__(self, api: client.ApiClient, patience_s: float = PATIENCE_S) -> None:
        """Keep a configured client; nothing is sent yet."""
        self._api = api
        self._patience_s = patience_s

    def request(
        self,
        method: Literal["GET", "POST", "PATCH", "DELETE"],
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> Document:
        """Send one request, again with growing pauses while the API server is away.

        Args:
            method: PATCH sends a JSON patch.
            path: From the root of the API, e.g. `/api/v1/namespaces`.
            body: Document or list of patch operations.
            query: Such as `labelSelector`.
            patience_s: How long to try; default: as the cluster was opened with.

        Raises:
            Refused: A definite no other than missing rights.
            ServiceUnavailable: No answer for so long, or the account may not do that.
        """
        patience_s = self._patience_s if patience_s is None else patience_s
        deadline, pause_s = time.monotonic() + patience_s, _FIRST_PAUSE_S
        while True:
            try:
                return self._once(method, path, body, query or {})
            except (HTTPError, OSError, ApiException) as error:
                if isinstance(error, ApiException) and error.status and error.status not in _TRANSIENT:
                    raise _refusal(error, method, path) from error
                if time.monotonic() + pause_s > deadline:
                    why = f"the Kubernetes API has not answered for {patience_s:.0f} s"
                    raise ServiceUnavailable(f"{why} ({_brief(error)}): check it and try again") from error
                logger.warning("%s %s: %s; next try in %.1f s", method, path, _brief(error), pause_s)
            time.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _once(self, method: str, path: str, body: object, query: Mapping[str, str]) -> Document:
        headers = {"Accept": "application/json"}
        if method in _CONTENT_TYPES:
            headers["Content-Type"] = _CONTENT_TYPES[method]
        answer: Document = self._api.call_api(
            path,
            method,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            response_type="object",
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _request_timeout=_TIMEOUT_S,
        )
        return answer


def _brief(error: Exception) -> str:
    if isinstance(error, ApiException):
        return f"{error.status} {error.reason}"
    return type(getattr(error, "reason", None) or error).__name__


def _refusal(error: ApiException, method: str, path: str) -> Exception:
    message = _message(error)
    if error.status == 401:
        return ServiceUnavailable(f"the Kubernetes API does not accept this account's credentials: {message}")
    if error.status == 403:
        return ServiceUnavailable(f"this account lacks a right ({method} {path}): {message}")
    return Refused(int(error.status), message)


def _message(error: ApiException) -> str:
    import json

    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def in_pod() -> bool:
    """Whether this process runs in a pod of a cluster."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and os.path.exists(config.incluster_config.SERVICE_TOKEN_FILENAME)


def connect_cluster(patience_s: float = PATIENCE_S) -> Cluster:
    """The cluster this pod runs in, or else the one of `KUBECONFIG`.

    Raises:
        ServiceUnavailable: Neither is there.
    """
    settings = client.Configuration()
    try:
        if in_pod():
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(client_configuration=settings)
    except ConfigException as error:
        raise ServiceUnavailable(
            f"no cluster is configured: set KUBECONFIG to a file that names one ({error})"
        ) from error
    # Retries are made above, with pauses; the client's own would come at once and hide how long it has been.
    settings.retries = False
    return Cluster(client.ApiClient(settings), patience_s)
