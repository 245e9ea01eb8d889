"""Reaching a Kubeflow Pipelines server, and saying in one line why it cannot be reached."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgery.errors import ForgeryError, InvalidConfig, ServiceUnavailable

if TYPE_CHECKING:  # imports kfp
    from cli.kubeflow.client import PipelinesClient

DEFAULT_TOKEN_FILE = "/var/run/secrets/kubeflow/pipelines/token"  # noqa: S105 - where Kubeflow projects it
NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_REACH = "e.g. `kubectl -n kubeflow port-forward svc/ml-pipeline-ui 8080:80`, then --host http://localhost:8080"


class PipelinesUnavailable(ServiceUnavailable):
    """The Kubeflow Pipelines server does not answer."""


class PipelinesRefused(ForgeryError):
    """The Kubeflow Pipelines server answered, and refused."""


@dataclass(frozen=True)
class Address:
    """How to reach the server, as far as it is told.

    Attributes:
        host: URL of the API or of the UI, which passes the API on; None inside a cluster.
        token_file: File with a bearer token, read again before every request.
        namespace: The user's namespace on a server with several users.
        ca_file: Certificate authority of the server, PEM.
        ui: URL of the UI, for links; None if it is `host`.
    """

    host: str | None = None
    token_file: Path | None = None
    namespace: str | None = None
    ca_file: Path | None = None
    ui: str | None = None


@dataclass(frozen=True)
class Server:
    """A server that has answered.

    Attributes:
        namespace: None on a server with one user.
    """

    client: "PipelinesClient"
    host: str
    ui: str
    namespace: str | None

    def link(self, page: str) -> str:
        """URL of a page of the UI, e.g. `runs/details/<id>`."""
        return f"{self.ui}/#/{page}"

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Turn whatever the client raises in the body into one sentence.

        Raises:
            PipelinesUnavailable, PipelinesRefused: With the way out.
        """
        with _explained(self.host):
            yield


def connect(address: Address) -> Server:
    """Find the server and check that it answers as one.

    Raises:
        InvalidConfig: Nothing says where it is, or a file named is not there.
        PipelinesUnavailable, PipelinesRefused: It does not answer, or refuses.
    """
    from cli.kubeflow.client import make_client

    host = _host(address)
    with _explained(host):
        client = make_client(
            host=host,
            # A name other than kfp's default keeps its constructor from asking the server, without our limits.
            namespace=address.namespace or "unknown",
            ssl_ca_cert=str(_readable(address.ca_file, "--ca")) if address.ca_file else None,
            **_credentials(address),
        )
        health = client.get_kfp_healthz()
    if health.multi_user is None:
        raise PipelinesRefused(
            f"{host} answers, but not as Kubeflow Pipelines: it may be another page or a login; give the UI's URL, and "
            "--token-file if it wants a login"
        )
    namespace = _namespace(address, bool(health.multi_user))
    client.set_user_namespace(namespace or "")
    return Server(client, host, (address.ui or host).rstrip("/"), namespace)


def _host(address: Address) -> str:
    if address.host:
        host = address.host.rstrip("/")
        if not host.startswith(("http://", "https://")):
            raise InvalidConfig(f"--host {address.host!r} needs http:// or https:// before it")
        return host
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return f"http://ml-pipeline.{os.environ.get('KF_PIPELINES_SYSTEM_NAMESPACE', 'kubeflow')}.svc:8888"
    raise InvalidConfig(
        f"no Kubeflow Pipelines server is named: give --host URL or set KF_PIPELINES_ENDPOINT; {_REACH}"
    )


def _credentials(address: Address) -> dict[str, Any]:
    if address.token_file:
        return {"credentials": _token_from(_readable(address.token_file, "--token-file"))}
    if token := os.environ.get("KF_PIPELINES_TOKEN"):
        return {"existing_token": token}
    projected = Path(os.environ.get("KF_PIPELINES_SA_TOKEN_PATH", DEFAULT_TOKEN_FILE))
    return {"credentials": _token_from(projected)} if projected.is_file() else {}


def _token_from(file: Path) -> Any:  # noqa: ANN401
    from kfp.client import ServiceAccountTokenVolumeCredentials

    return ServiceAccountTokenVolumeCredentials(path=str(file))


def _readable(file: Path, option: str) -> Path:
    if not file.is_file():
        raise InvalidConfig(f"{option} {file} is no file")
    return file


def _namespace(address: Address, multi_user: bool) -> str | None:
    if not multi_user:
        return None
    own = Path(NAMESPACE_FILE)
    namespace = address.namespace or (own.read_text().strip() if own.is_file() else "")
    if not namespace:
        raise InvalidConfig("this server has several users: give yours by --namespace or KF_PIPELINES_NAMESPACE")
    return namespace


@contextmanager
def _explained(host: str) -> Iterator[None]:
    import kfp_server_api
    import urllib3

    try:
        yield
    except kfp_server_api.ApiException as error:
        raise _refusal(host, error) from error
    except urllib3.exceptions.HTTPError as error:
        cause = _cause(error)
        if "SSL" in cause or "certificate" in cause:
            raise _insecure(host, cause) from error
        raise PipelinesUnavailable(f"no answer at {host} ({cause}): is it right, and reachable? {_REACH}") from error
    except OSError as error:
        raise PipelinesUnavailable(f"no answer at {host}: {error.strerror or error}") from error


def _refusal(host: str, error: Any) -> ForgeryError:  # noqa: ANN401
    said = _message(error)
    if error.status == 401:
        return PipelinesRefused(
            f"{host} wants a login (401): give --token-file or set KF_PIPELINES_TOKEN; `kubectl create token ACCOUNT "
            "--audience pipelines.kubeflow.org` makes one"
        )
    if error.status == 403:
        return PipelinesRefused(
            f"{host} forbids this (403): {said}; ask for the role kubeflow-pipelines-edit in the namespace"
        )
    if not error.status:
        return _insecure(host, said)
    if error.status >= 500 or error.status == 429:
        return PipelinesUnavailable(
            f"{host} fails ({error.status}): {said}; try again, or see the log of its pod ml-pipeline"
        )
    return PipelinesRefused(f"{host} refuses ({error.status}): {said}")


def _message(error: Any) -> str:  # noqa: ANN401
    """The sentence in the answer: gateway errors carry `message`, uploads `error_message`, proxies none."""
    try:
        body = json.loads(error.body)
        text = body.get("message") or body.get("error_message") or body.get("error")
    except (TypeError, ValueError, AttributeError):
        text = None
    return " ".join(str(text or error.reason or "no reason given").split())[:400]


def _insecure(host: str, cause: str) -> ForgeryError:
    return PipelinesUnavailable(
        f"no secure connection to {host} ({cause}); --ca FILE names its authority's certificate"
    )


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection, without the client's own words around it."""
    reason: object = error
    while isinstance(inner := getattr(reason, "reason", None), BaseException):
        reason = inner
    text = str(reason)
    # "HTTPConnectionPool(host=..., port=...): Read timed out.", "<HTTPConnection ...>: [Errno 111] Connection refused"
    return text.rpartition(": ")[2] if text.startswith(("HTTP", "<")) else text
