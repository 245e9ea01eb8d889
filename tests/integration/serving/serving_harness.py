"""Both servers over real sockets in one process, with a stand-in for the network, which is not what is tested here."""

import asyncio
import io
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.bundle import Bundle, BundleInfo, Lineage
from forgery.decision import DecisionRule
from serving.detect import detect_router
from serving.limits import ServingLimits
from serving.payload_log import PayloadLog
from serving.predictor import Predictor
from serving.server import Address, HardenedModelServer
from serving.sockets import LOOPBACK, free_ports
from serving.transformer import Transformer
from serving.upstream import Upstream
from serving.v1 import predict_router

RECIPE = "ela1_q90_gain15_32_bilinear"
OTHER_RECIPE = "ela1_q75_gain20_48_box"
HOST = LOOPBACK


class MeanEngine:
    """Answers with the mean of the evidence, and keeps what it was given."""

    kind = "litert"

    def __init__(self) -> None:
        self.received: list[NDArray[np.uint8]] = []
        self.delay_s = 0.0

    def predict(self, maps: NDArray[np.uint8], outputs: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        time.sleep(self.delay_s)
        self.received.append(maps)
        activation = maps[:, ::8, ::8, 0].astype(np.float32) / 255
        columns = {
            "probability_forged": maps.mean(axis=(1, 2, 3)).astype(np.float32) / 255,
            "activation_map": activation,
        }
        return {name: columns[name] for name in outputs}


def bundle_of(recipe: str = RECIPE, digest: str = "a" * 32, band: tuple[float, float] = (0.5, 0.5)) -> Bundle:
    rule = DecisionRule(threshold=0.5, band_low=band[0], band_high=band[1])
    lineage = Lineage(dataset_digest="", run_id="", code_version="")
    metrics = {"f1": 0.81, "f1_low": 0.77, "f1_high": 0.85}
    info = BundleInfo(recipe=recipe, backbone="cnn", temperature=1, decision=rule, lineage=lineage, metrics=metrics)
    return Bundle(Path(), digest, info)


class Loop:
    """An event loop in a thread, for servers that a test talks to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.submit(work).result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


class Server:
    """One server that can be started and drained."""

    def __init__(self, loop: Loop, make: Callable[[], HardenedModelServer], http_port: int, grpc_port: int) -> None:
        self.url = f"http://{HOST}:{http_port}"
        self.grpc = f"{HOST}:{grpc_port}"
        self._loop = loop
        self._make = make
        self._stack: AsyncExitStack | None = None

    def start(self) -> "Server":
        self._stack = self._loop.run(self._enter())
        return self

    async def _enter(self) -> AsyncExitStack:
        stack = AsyncExitStack()
        await stack.enter_async_context(self._make().serving())
        return stack

    def stopping(self) -> Future[Any]:
        assert self._stack is not None
        stack, self._stack = self._stack, None
        return self._loop.submit(stack.aclose())

    def stop(self) -> None:
        if self._stack is not None:
            self.stopping().result(60)


class Pair:
    """A transformer and the predictor behind it."""

    def __init__(self, limits: ServingLimits, loop: Loop, payloads: PayloadLog | None = None) -> None:
        self.engine = MeanEngine()
        self._payloads = payloads
        self._loop = loop
        self._limits = limits
        self._ports = free_ports(3)
        self.predictor = self.new_predictor(bundle_of())
        self.transformer = self._new_transformer()

    def new_predictor(self, bundle: Bundle) -> Server:
        """A predictor on the shared gRPC port and an HTTP port of its own."""
        (http_port,) = free_ports(1)

        def make() -> HardenedModelServer:
            address = Address(HOST, http_port, self._ports[0], share_grpc_port=True)
            model = Predictor("forgery", bundle, self.engine, self._limits)
            return HardenedModelServer(model, address, self._limits, grpc_max_bytes=2**24)

        return Server(self._loop, make, http_port, self._ports[0])

    def _new_transformer(self) -> Server:
        def make() -> HardenedModelServer:
            upstream = Upstream(f"{HOST}:{self._ports[0]}", "forgery")
            return HardenedModelServer(
                Transformer("forgery", upstream, self._limits, self._payloads),
                Address(HOST, self._ports[1], self._ports[2]),
                self._limits,
                routers=[partial(predict_router, limits=self._limits), partial(detect_router, limits=self._limits)],
                on_stop=upstream.close,
            )

        return Server(self._loop, make, self._ports[1], self._ports[2])


LIMITS = ServingLimits(
    max_body_bytes=2_000_000, max_pictures=4, max_picture_bytes=500_000, max_pixels=1_000_000, request_timeout_s=5
)


def encode(picture: Image.Image, format_name: str = "JPEG", **options: Any) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, format_name, **options)
    return encoded.getvalue()
