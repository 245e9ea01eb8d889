"""The client side of the v2 protocol: files to verdicts over REST or gRPC, with public packages alone."""

import base64
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.files import read_picture
from forgery.errors import ForgeryError, InvalidConfig, PictureRejected, ServiceUnavailable

Record = dict[str, Any]
Json = Any
Message = Any  # generated classes carry no types
OUTPUTS = ("label", "probability_forged", "threshold", "model_version")
DEFAULT_MODEL = "forgery"
_TIMEOUT_S = 60.0
_AT_ONCE = 4
# A busy service says when to come back; one that is busy for so long is not merely busy.
_BUSY_TRIES = 5
_FORMS = "http://HOST:PORT, https://HOST, grpc://HOST:PORT or grpcs://HOST, then /MODEL where there are several"


class Endpoint(ABC):
    """One InferenceService."""

    @abstractmethod
    def infer(self, encoded: bytes, outputs: Sequence[str]) -> Record:
        """The outputs for one file.

        Raises:
            PictureRejected: The service refuses the file; the message is the service's.
            ServiceUnavailable: It does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """End connections."""


class Busy(ServiceUnavailable):
    """The service is full; try again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        """Keep when to come back beside the sentence."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


def open_endpoint(url: str) -> Endpoint:
    """The endpoint at `url`.

    Raises:
        InvalidConfig: The URL is of no accepted form.
        ServiceUnavailable: Nobody answers there.
    """
    parts = urlsplit(url)
    model, host = parts.path.strip("/"), parts.netloc
    if not host or parts.query or "/" in model:
        raise InvalidConfig(f"--url {url!r}: write {_FORMS}")
    match parts.scheme:
        case "http" | "https":
            return RestEndpoint(f"{parts.scheme}://{host}", model)
        case "grpc" | "grpcs":
            return GrpcEndpoint(host, model or DEFAULT_MODEL, secure=parts.scheme == "grpcs")
        case _:
            raise InvalidConfig(f"--url {url!r}: write {_FORMS}")


def predict(url: str, paths: Sequence[Path]) -> Iterator[Record]:
    """Have files scored, a few at a time, one request each.

    Yields:
        In the order of `paths`: file, label, probability_forged, threshold, model_version; or file, error.

    Raises:
        InvalidConfig: The URL is of no accepted form.
        ServiceUnavailable: The service does not answer.
    """
    with closing(open_endpoint(url)) as endpoint, ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            yield from threads.map(lambda path: _record(endpoint, path), paths)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)


def score(url: str, name: str, encoded: bytes) -> Record:
    """Have one picture scored: file, label, probability_forged, threshold, model_version.

    Raises:
        PictureRejected: The service refuses it.
        ServiceUnavailable: The service does not answer.
    """
    with closing(open_endpoint(url)) as endpoint:
        return {"file": name, **_patiently(lambda: endpoint.infer(encoded, OUTPUTS))}


def _record(endpoint: Endpoint, path: Path) -> Record:
    try:
        encoded = read_picture(path)
        return {"file": str(path), **_patiently(lambda: endpoint.infer(encoded, OUTPUTS))}
    except ServiceUnavailable:
        raise
    except ForgeryError as error:
        return {"file": str(path), "error": str(error)}


def _patiently(ask: Callable[[], Record]) -> Record:
    for _ in range(_BUSY_TRIES - 1):
        try:
            return ask()
        except Busy as busy:
            time.sleep(busy.retry_after_s)
    return ask()


class RestEndpoint(Endpoint):
    """v2 over REST; the file travels as base64 text."""

    def __init__(self, url: str, model: str = "") -> None:
        """Without a model name, ask the service for the only one it has."""
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT_S)
        self._model = model or self._only_model()

    def infer(self, encoded: bytes, outputs: Sequence[str]) -> Record:
        """See `Endpoint`."""
        data = [base64.b64encode(encoded).decode("ascii")]
        tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": data}
        body = {"inputs": [tensor], "outputs": [{"name": name} for name in outputs]}
        answer = self._ask("POST", f"/v2/models/{self._model}/infer", json=body)
        return {output["name"]: output["data"][0] for output in answer["outputs"]}

    def close(self) -> None:
        """See `Endpoint`."""
        self._client.close()

    def _only_model(self) -> str:
        try:
            models = self._ask("GET", "/v2/models")["models"]
            if len(models) == 1:
                return str(models[0])
        except (KeyError, TypeError):
            models = []
        found = ", ".join(map(str, models)) or "none"
        raise InvalidConfig(
            f"{self._client.base_url} has several models or none ({found}): write http://HOST:PORT/MODEL"
        )

    def _ask(self, method: str, path: str, **content: Json) -> Json:
        try:
            answer = self._client.request(method, path, **content)
            body = answer.json()
        except (httpx.TransportError, ValueError) as error:
            raise ServiceUnavailable(f"no inference service answers at {self._client.base_url}") from error
        if answer.status_code == httpx.codes.OK:
            return body
        message = str(body.get("error", answer.reason_phrase)) if isinstance(body, dict) else answer.reason_phrase
        if "retry-after" in answer.headers:
            raise Busy(f"{self._client.base_url}: {message}", float(answer.headers["retry-after"]))
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ServiceUnavailable(f"{self._client.base_url}: {message}")
        raise PictureRejected("refused", message)


class GrpcEndpoint(Endpoint):
    """v2 over gRPC; the file travels as it is."""

    def __init__(self, host: str, model: str = DEFAULT_MODEL, *, secure: bool = False) -> None:
        """Connect on first use."""
        import grpc

        from serving.sdk import GRPCInferenceServiceStub, pb

        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = (
            grpc.secure_channel(host, grpc.ssl_channel_credentials(), options)
            if secure
            else grpc.insecure_channel(host, options)
        )
        self._host, self._model, self._messages = host, model, pb
        self._stub = GRPCInferenceServiceStub(self._channel)

    def infer(self, encoded: bytes, outputs: Sequence[str]) -> Record:
        """See `Endpoint`."""
        request = self._messages.ModelInferRequest(model_name=self._model)
        tensor = request.inputs.add(name="image", datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(encoded)
        for name in outputs:
            request.outputs.add(name=name)
        answer = self._ask(request)
        return {output.name: _first(output.contents) for output in answer.outputs}

    def close(self) -> None:
        """See `Endpoint`."""
        self._channel.close()

    def _ask(self, request: Message) -> Message:
        import grpc

        code = grpc.StatusCode
        try:
            return self._stub.ModelInfer(request, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            if "grpc-retry-pushback-ms" in trailers:
                raise Busy(
                    f"grpc://{self._host}: {error.details()}", float(trailers["grpc-retry-pushback-ms"]) / 1000
                ) from error
            # The message itself may be too large, which gRPC calls exhausted.
            if error.code() in (code.INVALID_ARGUMENT, code.RESOURCE_EXHAUSTED, code.NOT_FOUND):
                raise PictureRejected("refused", error.details()) from error
            said = "no inference service answers" if error.code() is code.UNAVAILABLE else error.details()
            raise ServiceUnavailable(f"grpc://{self._host}: {said}") from error


def _first(contents: Message) -> str | float:
    if contents.fp32_contents:
        return float(contents.fp32_contents[0])
    return str(contents.bytes_contents[0], "utf-8")
