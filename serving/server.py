"""One server process: a model behind REST and gRPC, that starts, drains and ends in an order that loses nothing."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import APIRouter

import forgery
from serving import tracing
from serving.gate import Admission
from serving.grpc_server import GrpcServer
from serving.limits import ServingLimits
from serving.rest import build_app
from serving.sdk import DataPlane, Model, ModelServer
from serving.sockets import listen

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: An address of this machine; empty for all of them, as a pod needs.
        http_port: REST.
        grpc_port: gRPC.
        share_grpc_port: Let another process listen on the gRPC port too, so that one can take over from the other.
    """

    host: str = ""
    http_port: int = 8080
    grpc_port: int = 8081
    share_grpc_port: bool = False


@dataclass(frozen=True)
class Description:
    """Who answers.

    Attributes:
        versions: Digests of the bundles that answer; empty while none does.
        properties: What the bundle says of itself, see `serving.properties`.
    """

    versions: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


class VersionedModel(Model):
    """A model that knows which bundle answers."""

    async def describe(self) -> Description:
        """Who answers now."""
        return Description()

    def validate(self, payload: Any) -> Any:
        """Pass on what `preprocess` made: the SDK's check knows dictionaries only."""
        return payload


class ReadyDataPlane(DataPlane):
    """Readiness is the model's own word, and metadata names the version that answers."""

    def metadata(self) -> dict[str, Any]:
        """Name and version of this server."""
        return {"name": "forgery", "version": forgery.__version__, "extensions": ["binary_tensor_data"]}

    async def ready(self) -> bool:
        """Whether every model would answer now."""
        models = self.model_registry.get_models().values()
        return all([await model.healthy() for model in models])

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        """Whether that model would answer now. Raises ModelNotFound."""
        return bool(await self.get_model_from_registry(model_name).healthy())

    async def get_model(self, name: str) -> Model:
        """The model, ready or not: a request that came is tried, its own answer says what is wrong."""
        return self.get_model_from_registry(name)

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """Inputs, outputs, versions and properties. Raises ModelNotFound."""
        model = self.get_model_from_registry(model_name)
        found: Description = await model.describe()
        return {
            "name": model_name,
            "versions": list(found.versions),
            "platform": "",
            "inputs": model.get_input_types(),
            "outputs": model.get_output_types(),
            "properties": dict(found.properties),
        }


class HardenedModelServer(ModelServer):
    """The SDK's server with our routes, limits and order of shutdown; one worker, more come as replicas."""

    def __init__(
        self,
        model: VersionedModel,
        address: Address,
        limits: ServingLimits,
        *,
        grpc_max_bytes: int | None = None,
        routers: Sequence[Callable[[DataPlane], APIRouter]] = (),
        on_stop: Callable[[], Awaitable[None]] | None = None,
        grace_period_s: int = 30,
        docs: bool = False,
    ) -> None:
        """Serve `model` at `address`.

        Args:
            model: Answers requests.
            address: Where to listen.
            limits: Checked before a request costs anything.
            grpc_max_bytes: Largest gRPC message; None: the same as for REST.
            routers: Further REST routes.
            on_stop: Awaited when the last request is answered, e.g. to close a client.
            grace_period_s: Longest wait for requests inside at shutdown.
            docs: Offer `/docs`.
        """
        super().__init__(http_port=address.http_port, grpc_port=address.grpc_port, workers=1, enable_docs_url=docs)
        self.dataplane = ReadyDataPlane(model_registry=self.registered_models)
        self.register_model(model)
        self._address = address
        self._on_stop = on_stop
        self._grace_period_s = grace_period_s
        admission = Admission(limits)
        further = [make(self.dataplane) for make in routers]
        self._app = build_app(self.dataplane, limits, admission, further, docs)
        self._grpc = GrpcServer(self.dataplane, limits, admission, grpc_max_bytes or limits.max_body_bytes)

    def start(self, models: Sequence[Model] = ()) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        asyncio.run(self._until_signalled())
        tracing.turn_off()

    async def _until_signalled(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with self.serving():
            await stop.wait()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen inside the `async with`; on leaving it, drain REST and gRPC together, then close what they use.

        Raises:
            InvalidConfig: A port is taken.
        """
        listener = listen(self._address.host, self._address.http_port)
        rest = _RestServer(
            uvicorn.Config(
                self._app,
                log_config=None,
                timeout_keep_alive=65,
                access_log=False,
                timeout_graceful_shutdown=self._grace_period_s,
                lifespan="off",
            )
        )
        await self._grpc.start(_grpc_address(self._address), self._address.share_grpc_port)
        running = asyncio.create_task(rest.serve(sockets=[listener]))
        try:
            while not rest.started and not running.done():
                await asyncio.sleep(0.01)
            logger.info("listening on port %d (REST) and %d (gRPC)", self._address.http_port, self._address.grpc_port)
            yield
        finally:
            rest.should_exit = True
            await asyncio.gather(running, self._grpc.stop(self._grace_period_s))
            if self._on_stop is not None:
                await self._on_stop()
            logger.info("stopped")


class _RestServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process, which has gRPC to drain too."""
        yield


def _grpc_address(address: Address) -> str:
    host = address.host or "[::]"
    return (
        f"[{host}]:{address.grpc_port}" if ":" in host and not host.startswith("[") else f"{host}:{address.grpc_port}"
    )
