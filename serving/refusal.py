"""Why a request is not answered, as one table for REST and gRPC."""

import asyncio
import logging
from enum import Enum
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from grpc import StatusCode
from grpc_interceptor.exceptions import GrpcException
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from forgery.errors import PictureRejected
from serving import metrics
from serving.sdk import InvalidInput, ModelNotFound, ModelNotReady, ServerNotLive, ServerNotReady

logger = logging.getLogger(__name__)

# Messages quote names that callers chose; nobody needs more of them than this.
_MESSAGE_LENGTH = 600


class Reason(Enum):
    """HTTP status and gRPC code of every refusal."""

    INVALID = (400, StatusCode.INVALID_ARGUMENT)
    NOT_FOUND = (404, StatusCode.NOT_FOUND)
    METHOD = (405, StatusCode.UNIMPLEMENTED)
    SLOW_UPLOAD = (408, StatusCode.DEADLINE_EXCEEDED)
    TOO_LARGE = (413, StatusCode.INVALID_ARGUMENT)
    UNSUPPORTED = (415, StatusCode.INVALID_ARGUMENT)
    SCHEMA = (422, StatusCode.INVALID_ARGUMENT)
    BUSY = (429, StatusCode.RESOURCE_EXHAUSTED)
    INTERNAL = (500, StatusCode.INTERNAL)
    NOT_IMPLEMENTED = (501, StatusCode.UNIMPLEMENTED)
    UNAVAILABLE = (503, StatusCode.UNAVAILABLE)
    TIMEOUT = (504, StatusCode.DEADLINE_EXCEEDED)

    @property
    def http_status(self) -> int:
        """E.g. 400."""
        return int(self.value[0])

    @property
    def grpc_code(self) -> StatusCode:
        """E.g. INVALID_ARGUMENT."""
        return self.value[1]


_OF_STATUS = {reason.http_status: reason for reason in Reason}
_OF_PICTURE = {"bytes": Reason.TOO_LARGE, "pixels": Reason.TOO_LARGE, "format": Reason.UNSUPPORTED}
_OF_ROUTING = {
    Reason.NOT_FOUND: "there is nothing at this address; see /openapi.json",
    Reason.METHOD: "this address does not accept that method; see /openapi.json",
}


class Refusal(GrpcException):
    """One request refused, in words for whoever sent it: no internals, no input.

    Attributes:
        reason: Decides the HTTP status and the gRPC code.
        message: One sentence that says what was wrong and what is accepted.
        limit: The limit broken as `name=value`, or what is accepted; None where there is none.
        index: Which picture of the batch, from 0.
        retry_after_s: When trying again makes sense.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        limit: str | None = None,
        index: int | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        """Shorten the message to what a person reads."""
        super().__init__(message[:_MESSAGE_LENGTH], reason.grpc_code)
        self.reason = reason
        self.message = message[:_MESSAGE_LENGTH]
        self.limit = limit
        self.index = index
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message

    def response(self) -> JSONResponse:
        """The REST form: `{"error": ..., "limit": ..., "index": ...}`, the last two where they mean something."""
        body: dict[str, Any] = {"error": self.message}
        if self.limit is not None:
            body["limit"] = self.limit
        if self.index is not None:
            body["index"] = self.index
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        return JSONResponse(body, self.reason.http_status, headers)

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The same two fields as gRPC trailing metadata, and the standard push-back for clients that retry."""
        found = []
        if self.limit is not None:
            found.append(("forgery-limit", self.limit))
        if self.index is not None:
            found.append(("forgery-index", str(self.index)))
        if self.retry_after_s is not None:
            found.append(("grpc-retry-pushback-ms", str(self.retry_after_s * 1000)))
        return tuple(found)


def of_picture(error: PictureRejected, index: int) -> Refusal:
    """A picture that was not accepted, by its place in the request."""
    metrics.REJECTED.labels(error.reason).inc()
    reason = _OF_PICTURE.get(error.reason, Reason.INVALID)
    return Refusal(reason, f"image[{index}]: {error}", limit=error.limit, index=index)


def of_error(error: BaseException) -> Refusal:
    """Whatever was raised while a request was answered; what nobody foresaw is logged and says nothing."""
    match error:
        case Refusal():
            return error
        case RequestValidationError():
            return Refusal(Reason.SCHEMA, schema_message(error.errors()))
        case HTTPException():
            reason = _OF_STATUS.get(error.status_code, Reason.INVALID)
            return Refusal(reason, _OF_ROUTING.get(reason, str(error.detail)))
        case InvalidInput():
            return Refusal(Reason.INVALID, str(error))
        case ModelNotFound():
            return Refusal(Reason.NOT_FOUND, str(error))
        case ModelNotReady() | ServerNotReady() | ServerNotLive():
            return Refusal(Reason.UNAVAILABLE, str(error), retry_after_s=1)
        case ClientDisconnect():
            return Refusal(Reason.INVALID, "the connection was closed before the body was complete")
        case NotImplementedError():
            return Refusal(Reason.NOT_IMPLEMENTED, "this is not offered; see /openapi.json")
        case asyncio.TimeoutError():
            return Refusal(Reason.TIMEOUT, "the request took too long")
        case _:
            logger.error("unforeseen error", exc_info=error)
            return Refusal(Reason.INTERNAL, "internal error")


def schema_message(problems: Any) -> str:
    """The first thing wrong with a JSON body: where and what, without the value that was sent."""
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"{where or 'body'}: {first['msg'][0].lower()}{first['msg'][1:]}"
