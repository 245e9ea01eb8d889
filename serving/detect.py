"""`POST /v1/detect`: an ordinary upload for people without a v2 client."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal
from serving.respond import records_response
from serving.rest import REFUSALS
from serving.sdk import DataPlane, InferInput, InferRequest, RequestedOutput

_NAME_LENGTH = 255
_RAW_TYPES = ("application/octet-stream", "application/x-www-form-urlencoded")
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "array", "items": _BINARY}}}
            },
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
        },
    }
}


class Results(BaseModel):
    """One object a file: its name and the outputs of the v2 model metadata."""

    results: list[dict[str, Any]]


def detect_router(dataplane: DataPlane, limits: ServingLimits) -> APIRouter:
    """The upload route of a transformer with one model."""
    router = APIRouter(tags=["upload"])
    (model_name,) = dataplane.model_registry.get_models()

    async def detect(
        request: Request,
        outputs: Annotated[str, Query(description="Comma-separated names; those of the v2 model metadata.")] = "",
    ) -> Response:
        """Score one or several files, sent as a form or one as the bare body."""
        files = await read_files(request, limits)
        question = InferRequest(
            model_name,
            [InferInput("image", [len(files)], "BYTES", data=[content for _, content in files])],
            request_outputs=[RequestedOutput(name.strip()) for name in outputs.split(",") if name.strip()],
        )
        response, _ = await dataplane.infer(model_name, question, dict(request.headers))
        return await asyncio.to_thread(records_response, response, "results", [name for name, _ in files])

    responses = {**REFUSALS, 200: {"model": Results}}
    router.add_api_route("/v1/detect", detect, methods=["POST"], openapi_extra=_BODY, responses=responses)
    return router


async def read_files(request: Request, limits: ServingLimits) -> list[tuple[str, bytes]]:
    """Names and contents of what was uploaded.

    Raises:
        Refusal: 415 for another content type, 400 for a broken form or no file, 413 for too many.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(request, limits)
    # What curl --data-binary says unless told otherwise is accepted, as is saying nothing.
    if kind and not kind.startswith("image/") and kind not in _RAW_TYPES:
        accepted = "multipart/form-data, image/*, application/octet-stream"
        raise Refusal(Reason.UNSUPPORTED, f"send the file as {accepted}", limit=accepted)
    return [("", await request.body())]


async def _read_form(request: Request, limits: ServingLimits) -> list[tuple[str, bytes]]:
    # One more than allowed, so that too many is told from a broken form.
    parser = MultiPartParser(request.headers, request.stream(), max_files=limits.max_pictures + 1, max_fields=8)
    # In memory: the body is bounded already, and pods have a read-only file system.
    parser.spool_max_size = limits.max_body_bytes + 1
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        if "Too many files" in str(error):
            raise _too_many(limits) from error
        raise Refusal(Reason.INVALID, "the multipart form is broken or has no boundary") from error
    uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if not uploads:
        raise Refusal(Reason.INVALID, "the form holds no file; add a part with a file name, e.g. curl -F file=@a.jpg")
    if len(uploads) > limits.max_pictures:
        raise _too_many(limits)
    return [((upload.filename or "")[:_NAME_LENGTH], await upload.read()) for upload in uploads]


def _too_many(limits: ServingLimits) -> Refusal:
    return Refusal(
        Reason.TOO_LARGE,
        f"more than {limits.max_pictures} files in one request",
        limit=f"max_pictures={limits.max_pictures}",
    )
