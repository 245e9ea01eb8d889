"""kfp's client, made patient: time limits, retries with back-off, and nothing written under the home directory.

Imports kfp, which takes a third of a second: import this module inside functions only.
"""

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import kfp
import kfp_server_api
import urllib3
from kfp_server_api.rest import RESTClientObject

Created = TypeVar("Created")

CONNECT_TIMEOUT_S = 10
# Uploads are validated and stored before the answer comes.
READ_TIMEOUT_S = 60
# Pauses of 0, 1, 2, 4, 8 s between attempts: the server's pod is back in less.
ATTEMPTS = 6
FIRST_ATTEMPTS = 3
BACKOFF_S = 0.5
BACKOFF_LIMIT_S = 8.0
TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})


class PipelinesClient(kfp.Client):  # type: ignore[misc]  # kfp has no types
    """The client of the Kubeflow Pipelines SDK; see the module for what differs."""

    def get_kfp_healthz(self, sleep_duration: int = 5) -> kfp_server_api.V2beta1GetHealthzResponse:
        """What the server says of itself; the SDK's own method logs five tracebacks before it gives up."""
        self._be_patient(FIRST_ATTEMPTS)  # a wrong address shall not take long
        health = self._healthz_api.healthz_service_get_healthz()
        self._be_patient(ATTEMPTS)
        return health

    def set_user_namespace(self, namespace: str) -> None:
        """Keep the namespace for this client; the SDK's own method writes it under the home directory."""
        self._context_setting["namespace"] = namespace

    def read_text(self, path: str, query: dict[str, str] | None = None) -> str | None:
        """A plain text the server offers beside its API; None if it has none there, or answers with a page."""
        api_client = self._run_api.api_client
        headers: dict[str, str] = {}
        api_client.update_params_for_auth(headers, [], ["Bearer"])
        response = api_client.rest_client.pool_manager.request(
            "GET",
            api_client.configuration.host + path,
            fields=query,
            headers=headers,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=False,
        )
        plain = "text/plain" in response.headers.get("Content-Type", "")
        return str(response.data.decode(errors="replace")) if response.status == 200 and plain else None

    def _be_patient(self, attempts: int) -> None:
        api_client = self._run_api.api_client
        api_client.configuration.retries = _retries(attempts)
        api_client.rest_client = _PatientRest(api_client.configuration)


class _PatientRest(RESTClientObject):  # type: ignore[misc]  # the generated client has no types
    """Requests with a time limit; the generated client waits for ever."""

    def request(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401
        options["_request_timeout"] = options.get("_request_timeout") or (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().request(method, url, **options)


def _retries(attempts: int) -> urllib3.Retry:
    return urllib3.Retry(
        total=attempts - 1,
        backoff_factor=BACKOFF_S,
        backoff_max=BACKOFF_LIMIT_S,
        status_forcelist=TRANSIENT_STATUS,
        # A POST that was perhaps received is not sent again blindly: see `create_once`.
        allowed_methods=("GET", "HEAD", "DELETE"),
        raise_on_status=False,
    )


def make_client(**options: Any) -> PipelinesClient:  # noqa: ANN401
    """A client; `options` are those of `kfp.Client`."""
    # It would warn of every retry, with a line full of its own objects.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of servers older than KFP 2 whenever it is made
        return PipelinesClient(**options)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what the SDK prints off standard output, where scripts read JSON."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def create_once(create: Callable[[], Created], find: Callable[[], Created | None]) -> Created:
    """Create something, once: after a failure that leaves it open, `find` looks before the next attempt.

    Raises:
        kfp_server_api.ApiException, urllib3.exceptions.HTTPError: Refused, or still failing at the last attempt.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with quietly():
                return create()
        except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError) as error:
            if not _open(error) or attempt == ATTEMPTS:
                raise
            time.sleep(min(BACKOFF_LIMIT_S, BACKOFF_S * 2**attempt))
            if (found := find()) is not None:
                return found
    raise AssertionError("unreachable")


def repeat(action: Callable[[], object]) -> None:
    """Do what may be done twice without harm, again after a failure that may pass.

    Raises:
        kfp_server_api.ApiException, urllib3.exceptions.HTTPError: Refused, or still failing at the last attempt.
    """
    create_once(lambda: (action(),), lambda: None)


def all_pages(list_page: Callable[..., Any], items: str, **options: Any) -> Iterator[Any]:  # noqa: ANN401
    """Every item of a list, page by page.

    Args:
        list_page: One of the client's `list_...` methods.
        items: Attribute of its answer that holds the items.
        options: Further arguments of the method.
    """
    token = ""
    while True:
        page = list_page(page_token=token, page_size=100, **options)
        yield from getattr(page, items) or ()
        token = page.next_page_token
        if not token:
            return


def _open(error: Exception) -> bool:
    """Whether the request may have been carried out, or may be if sent again; 409 says that somebody has it already."""
    if isinstance(error, kfp_server_api.ApiException):
        return error.status in TRANSIENT_STATUS or error.status == 409
    return True
