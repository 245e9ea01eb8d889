"""What stands before every route: how many requests are inside, how large they are, how long they take."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import journal, metrics
from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal, of_error

# A refused upload is read on and thrown away up to this many times the limit, so that a client that writes its
# whole body before it reads gets the answer and not a broken connection.
_DISCARD_FACTOR = 2
_LENGTH_DIGITS = 15


class Admission:
    """Counts inference requests inside; refuses one more than the limit at once, instead of letting it wait."""

    def __init__(self, limits: ServingLimits) -> None:
        """At most `max_requests` and `max_inside_bytes` inside, over REST and gRPC together."""
        self._max_requests = limits.max_requests
        self._max_bytes = limits.max_inside_bytes
        self._inside = 0
        self._bytes = 0

    @contextmanager
    def admit(self) -> Iterator["Place"]:
        """Hold a place. Raises Refusal (429, RESOURCE_EXHAUSTED) when there is none."""
        if self._inside >= self._max_requests:
            raise _busy(f"{self._inside} requests are being answered", f"max_requests={self._max_requests}")
        self._inside += 1
        metrics.INSIDE.inc()
        place = Place(self)
        try:
            yield place
        finally:
            self._inside -= 1
            self._bytes -= place.size
            metrics.INSIDE.dec()

    def hold(self, size: int) -> None:
        """Count so many bytes more. Raises Refusal when they are too many."""
        if self._bytes + size > self._max_bytes:
            raise _busy("the requests being answered are large", f"max_inside_bytes={self._max_bytes}")
        self._bytes += size


class Place:
    """One request inside; what it holds is given back when it leaves."""

    def __init__(self, admission: Admission) -> None:
        """Nothing is held yet."""
        self._admission = admission
        self.size = 0

    def hold(self, size: int) -> None:
        """Bytes of the request that have arrived. Raises Refusal when there is no room for them."""
        self._admission.hold(size)
        self.size += size


def _busy(why: str, limit: str) -> Refusal:
    return Refusal(Reason.BUSY, f"{why}; try again in a second", limit=limit, retry_after_s=1)


class Gate:
    """ASGI middleware. Only POST costs anything here, so probes and metadata pass even when the house is full."""

    def __init__(self, app: ASGIApp, limits: ServingLimits, admission: Admission) -> None:
        """Wrap `app`."""
        self._app = app
        self._limits = limits
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] != "POST":
            await self._answer(scope, receive, _Reply(send))
        else:
            await self._answer_costly(scope, receive, send)

    async def _answer_costly(self, scope: Scope, receive: Receive, send: Send) -> None:
        with journal.request("rest", scope["path"], Headers(scope=scope)) as entry:
            reply = _Reply(send, entry)
            body = _Body(receive, self._limits.max_body_bytes)
            try:
                with self._admission.admit() as place:
                    async with asyncio.timeout(self._limits.request_timeout_s):
                        body.check_declared(Headers(scope=scope))
                        body.place = place
                        await self._app(scope, body.receive, reply.send)
            except Exception as error:
                await self._refuse(error, scope, body, reply, entry)

    async def _answer(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        try:
            await self._app(scope, receive, reply.send)
        except Exception as error:
            if reply.started:
                raise
            await of_error(error).response()(scope, receive, reply.send)

    async def _refuse(
        self, error: Exception, scope: Scope, body: "_Body", reply: "_Reply", entry: journal.Entry
    ) -> None:
        if reply.started:
            raise error
        refusal = of_error(error)
        if refusal.reason is Reason.TIMEOUT:
            refusal = self._timed_out(body)
        journal.refuse(entry, refusal)
        if refusal.reason is not Reason.SLOW_UPLOAD:
            await body.discard(self._limits.request_timeout_s)
        await refusal.response()(scope, body.receive, reply.send)

    def _timed_out(self, body: "_Body") -> Refusal:
        limit = f"request_timeout_s={self._limits.request_timeout_s:g}"
        if body.complete:
            return Refusal(Reason.TIMEOUT, "the request took too long", limit=limit)
        return Refusal(Reason.SLOW_UPLOAD, "the body did not arrive in time", limit=limit)


class _Body:
    """Counts a body as it arrives."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._size = 0
        self.complete = False
        self.place: Place | None = None

    def check_declared(self, headers: Headers) -> None:
        declared = headers.get("content-length", "")
        # So many digits are too many bytes, and more than `int` would read.
        if len(declared) > _LENGTH_DIGITS or (declared.isdecimal() and int(declared) > self._max_bytes):
            raise self._too_large()

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self._size > self._max_bytes:
                raise self._too_large()
            if self.place is not None:
                self.place.hold(len(message.get("body", b"")))
        else:
            self.complete = True
        return message

    async def discard(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not self.complete and self._size <= _DISCARD_FACTOR * self._max_bytes:
                    message = await self._receive()
                    self._size += len(message.get("body", b""))
                    self.complete = not message.get("more_body", False)
        except TimeoutError:
            return

    def _too_large(self) -> Refusal:
        return Refusal(
            Reason.TOO_LARGE,
            f"the body is larger than {self._max_bytes} bytes; send fewer pictures a request, or raw bytes over gRPC",
            limit=f"max_body_bytes={self._max_bytes}",
        )


class _Reply:
    """Sees the status go out and adds the request's id to it."""

    def __init__(self, send: Send, entry: journal.Entry | None = None) -> None:
        self._send = send
        self._entry = entry
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if self._entry is not None:
                self._entry.code = str(message["status"])
                request_id = (b"x-request-id", self._entry.request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), request_id]}
        await self._send(message)
