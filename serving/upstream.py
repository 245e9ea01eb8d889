"""The transformer's client of the predictor: gRPC v2, bounded in time and tries, silent about addresses."""

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from forgery.errors import InvalidConfig
from forgery.recipes import Recipe, parse_recipe
from serving import journal, tracing
from serving.properties import from_trailers
from serving.refusal import Reason, Refusal
from serving.sdk import GRPCInferenceServiceStub, InferInput, InferRequest, InferResponse, RequestedOutput, pb
from serving.server import Description

logger = logging.getLogger(__name__)

_READY_CACHE_S = 1.0
_READY_TIMEOUT_S = 1.0
# A predictor that is being replaced may close a connection under a request that it has not read; scoring changes
# nothing, so it is tried again: often enough for two replicas that go one after the other (0.2 s), and longer on a busy
# machine, until the predictor has been away for so long. From then on requests do not pile up here.
_TRIES = 4
_PATIENCE_S = 1.5
_BACKOFF_S = 0.03
_LONGEST_BACKOFF_S = 0.25
# A server that ends cancels a request that reached it too late to be begun; a caller who goes away raises otherwise.
_GOING_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Every transformer must have connections of its own, or tests in one process would share them.
    ("grpc.use_local_subchannel_pool", 1),
]


class WrongRecipe(Exception):
    """The predictor refused the input: most likely it serves another model now."""


@dataclass(frozen=True)
class Scores:
    """What the predictor answered: one row a picture in every column."""

    model_version: str
    columns: dict[str, Any]


class Upstream:
    """One predictor, by address; the model behind the address may change at any time."""

    def __init__(self, address: str, model_name: str) -> None:
        """Connect on first use.

        Args:
            address: `host:port` of its gRPC; without a port 80, KServe's Service.
            model_name: Its name there.
        """
        self._address = address if address.rpartition(":")[2].isdigit() else f"{address}:80"
        self._model_name = model_name
        self._channel: grpc.aio.Channel | None = None
        self._recipe: Recipe | None = None
        self._ready: tuple[float, bool] = (float("-inf"), False)
        self._probing = asyncio.Lock()
        self._away_since: float | None = None

    async def recipe(self, timeout_s: float, refresh: bool = False) -> Recipe:
        """The recipe that the predictor's model wants, from the name of its input.

        Raises:
            Refusal: It does not answer, or names no recipe that is known here.
        """
        if self._recipe is None or refresh:
            metadata = await self._call("ModelMetadata", pb.ModelMetadataRequest(name=self._model_name), timeout_s)
            self._recipe = _recipe_of(metadata)
        return self._recipe

    async def describe(self, timeout_s: float) -> Description:
        """Who answers now. Raises Refusal."""
        trailers: list[tuple[str, str]] = []
        question = pb.ModelMetadataRequest(name=self._model_name)
        metadata = await self._call("ModelMetadata", question, timeout_s, trailers)
        return Description(tuple(metadata.versions), from_trailers(trailers))

    async def score(
        self, recipe: Recipe, evidence: NDArray[np.uint8], outputs: Sequence[str], timeout_s: float
    ) -> Scores:
        """Have evidence scored.

        Args:
            recipe: What the evidence was made with; it names the tensor.
            evidence: uint8 [n, H, W, C].
            outputs: Names the predictor offers; `model_version` must be among them.
            timeout_s: Longest wait.

        Raises:
            WrongRecipe: The predictor wants another input.
            Refusal: It is away, slow, or answers what cannot be used.
        """
        tensor = InferInput(recipe.name, list(evidence.shape), "UINT8")
        tensor.set_data_from_numpy(evidence)
        request = InferRequest(
            self._model_name, [tensor], request_outputs=[RequestedOutput(name, {}) for name in outputs]
        )
        response = await self._call("ModelInfer", _without_parameters(request), timeout_s)
        return _read(response, outputs, len(evidence))

    async def ready(self) -> bool:
        """Whether the predictor would answer now; asked at most once a second, however many ask here."""
        async with self._probing:
            checked_at, answer = self._ready
            if time.monotonic() - checked_at > _READY_CACHE_S:
                answer = await self._probe()
                self._ready = (time.monotonic(), answer)
            return answer

    async def _probe(self) -> bool:
        try:
            request = pb.ModelReadyRequest(name=self._model_name)
            response = await self._stub().ModelReady(request, timeout=_READY_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(response.ready)

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _stub(self) -> Any:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)
        return GRPCInferenceServiceStub(self._channel)

    async def _call(
        self, method: str, request: Any, timeout_s: float, trailers: list[tuple[str, str]] | None = None
    ) -> Any:
        deadline = time.monotonic() + timeout_s
        for attempt in itertools.count():
            try:
                left = deadline - time.monotonic()
                call = getattr(self._stub(), method)(request, timeout=max(left, 0.001), metadata=_metadata())
                answer = await call
                self._away_since = None
                if trailers is not None:
                    trailers += list(await call.trailing_metadata() or ())
                return answer
            except grpc.aio.AioRpcError as error:
                if error.code() not in _GOING_AWAY or self._gives_up(attempt):
                    raise _translate(error) from error
                await asyncio.sleep(min(_BACKOFF_S * 2**attempt, _LONGEST_BACKOFF_S))
        raise AssertionError("the loop returns or raises")

    def _gives_up(self, attempt: int) -> bool:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        return attempt >= _TRIES - 1 and now - self._away_since > _PATIENCE_S


def _metadata() -> tuple[tuple[str, str], ...]:
    entry = journal.current()
    return tuple(tracing.outgoing(entry.forwarded).items()) if entry is not None else ()


def _without_parameters(request: InferRequest) -> Any:
    # The SDK notes the raw size as a parameter of the tensor; only its REST form needs that.
    for tensor in request.inputs:
        tensor.parameters = None
    return request.to_grpc()


def _translate(error: grpc.aio.AioRpcError) -> Exception:
    code = error.code()
    logger.warning("the predictor answered %s: %s", code.name, error.details())
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            return WrongRecipe(error.details())
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return Refusal(Reason.TIMEOUT, "the model did not answer in time")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Refusal(Reason.BUSY, "the model is busy; try again in a second", retry_after_s=1)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.NOT_FOUND | grpc.StatusCode.CANCELLED:
            return Refusal(Reason.UNAVAILABLE, "no model is ready to answer", retry_after_s=1)
        case _:
            return unusable()


def unusable() -> Refusal:
    """The predictor answered, but not what the contract says."""
    return Refusal(Reason.UNAVAILABLE, "the model gave no usable answer", retry_after_s=5)


def _recipe_of(metadata: Any) -> Recipe:
    try:
        (tensor,) = metadata.inputs
        recipe = parse_recipe(tensor.name)
    except (ValueError, InvalidConfig) as error:
        logger.error("the predictor's metadata names no recipe known here: %s", error)
        raise unusable() from error
    if tensor.datatype != "UINT8" or tuple(tensor.shape[1:]) != recipe.shape:
        logger.error("the predictor's input is %s %s, its recipe means %s", tensor.datatype, tensor.shape, recipe.shape)
        raise unusable()
    return recipe


def _read(response: Any, outputs: Sequence[str], count: int) -> Scores:
    try:
        tensors = {tensor.name: tensor.as_numpy() for tensor in InferResponse.from_grpc(response).outputs}
        columns = {name: _column(tensors[name]) for name in outputs}
    except Exception as error:  # whatever does not decode is no answer
        logger.error("the predictor's answer cannot be read: %r", error)
        raise unusable() from error
    if any(len(column) != count for column in columns.values()):
        logger.error("the predictor answered %s for %d pictures", {n: len(c) for n, c in columns.items()}, count)
        raise unusable()
    return Scores(columns["model_version"][0], columns)


def _column(values: NDArray[Any]) -> Any:
    return [value.decode() for value in values] if values.dtype == np.object_ else values
