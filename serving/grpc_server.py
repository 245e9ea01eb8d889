"""The gRPC side of both servers: the SDK's v2 service behind the same gate as REST."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from forgery.errors import InvalidConfig
from serving import journal
from serving.gate import Admission
from serving.limits import ServingLimits
from serving.properties import to_trailer
from serving.refusal import of_error
from serving.sdk import DataPlane, InferenceServicer, add_GRPCInferenceServiceServicer_to_server, pb

# Room for names and lengths around the largest allowed contents.
_ENVELOPE_BYTES = 64 * 1024


class Servicer(InferenceServicer):
    """The SDK's service without the calls that change the server, and with the model's version in its metadata."""

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Inputs, outputs and the versions that answer; properties as a trailer."""
        found = await self._data_plane.model_metadata(request.name)
        context.set_trailing_metadata((to_trailer(found.pop("properties")),))
        return pb.ModelMetadataResponse(**found)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refused."""
        raise NotImplementedError

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refused."""
        raise NotImplementedError


class GateInterceptor(AsyncServerInterceptor):
    """Admission, time limit, log line and error codes, as `Gate` does for REST."""

    def __init__(self, limits: ServingLimits, admission: Admission) -> None:
        """Share `admission` with the REST side."""
        self._limits = limits
        self._admission = admission

    async def intercept(
        self, method: Callable[..., Awaitable[Any]], request_or_iterator: Any, context: Any, method_name: str
    ) -> Any:
        """Answer one call."""
        if not method_name.endswith("/ModelInfer"):
            return await self._guarded(method, request_or_iterator, context)
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        with journal.request("grpc", method_name, headers) as entry:
            await context.send_initial_metadata((("x-request-id", entry.request_id),))
            return await self._guarded(self._admitted(method), request_or_iterator, context, entry)

    def _admitted(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def answer(request: Any, context: Any) -> Any:
            with self._admission.admit() as place:
                place.hold(request.ByteSize())
                async with asyncio.timeout(self._seconds_left(context)):
                    return await method(request, context)

        return answer

    def _seconds_left(self, context: Any) -> float:
        left: float | None = context.time_remaining()
        return min(self._limits.request_timeout_s, left) if left is not None else self._limits.request_timeout_s

    async def _guarded(
        self,
        method: Callable[..., Awaitable[Any]],
        request: Any,
        context: Any,
        entry: journal.Entry | None = None,
    ) -> Any:
        try:
            return await method(request, context)
        except asyncio.CancelledError:
            if entry is not None:
                entry.code = grpc.StatusCode.CANCELLED.name
            raise
        except Exception as error:
            refusal = of_error(error)
            if entry is not None:
                entry.code = refusal.reason.grpc_code.name
                journal.refuse(entry, refusal)
            await context.abort(refusal.reason.grpc_code, refusal.message, refusal.trailers())


class GrpcServer:
    """One listening v2 gRPC server."""

    def __init__(self, dataplane: DataPlane, limits: ServingLimits, admission: Admission, max_bytes: int) -> None:
        """Accept messages of at most `max_bytes`; answers are not limited."""
        self._dataplane = dataplane
        self._limits = limits
        self._admission = admission
        self._max_bytes = max_bytes
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str, share_port: bool) -> None:
        """Listen on `host:port`; with `share_port` beside other processes that do the same.

        Raises:
            InvalidConfig: The port is taken.
        """
        options = [
            ("grpc.max_receive_message_length", self._max_bytes + _ENVELOPE_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(share_port)),
        ]
        interceptors = [GateInterceptor(self._limits, self._admission)]
        self._server = grpc.aio.server(interceptors=interceptors, options=options)
        add_GRPCInferenceServiceServicer_to_server(Servicer(self._dataplane, None), self._server)
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise InvalidConfig(f"cannot listen on {address} for gRPC: it is taken; choose another port") from error
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, finish those inside."""
        if self._server is not None:
            await self._server.stop(grace_s)
