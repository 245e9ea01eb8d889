"""The REST side of both servers: the v2 protocol, its v1 predecessor, metrics, and nothing that changes the server."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import REGISTRY, exposition
from pydantic import Field
from starlette.exceptions import HTTPException

import forgery
from serving.gate import Admission, Gate
from serving.limits import ServingLimits
from serving.refusal import of_error
from serving.respond import json_response
from serving.sdk import (
    DataPlane,
    InferenceRequest,
    InferenceResponse,
    InferResponse,
    ModelMetadataResponse,
    ModelNotReady,
    ModelReadyResponse,
    V2Endpoints,
)
from serving.v2 import JSON_LENGTH_HEADER, read_request

_INFER_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": InferenceRequest.model_json_schema()}},
    }
}


class ModelMetadata(ModelMetadataResponse):
    """The protocol's metadata and `properties`, texts by name; see `serving.properties`."""

    properties: dict[str, str] = Field(default_factory=dict)


REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    for code, text in {
        400: "The request or a picture is wrong; the message says what is accepted.",
        404: "No such model.",
        408: "The body did not arrive in time.",
        413: "The body, a picture or the batch is too large.",
        415: "The content type or the picture's format is not accepted.",
        422: "The JSON is not of the expected form.",
        429: "Too many requests are being answered; try again after Retry-After seconds.",
        503: "No model answers now; try again after Retry-After seconds.",
        504: "The request took too long.",
    }.items()
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What was wrong and what is accepted."},
        "limit": {"type": "string", "description": "The limit that was broken, as name=value."},
        "index": {"type": "integer", "description": "Which picture of the request, from 0."},
    },
}


def build_app(
    dataplane: DataPlane, limits: ServingLimits, admission: Admission, routers: Sequence[APIRouter], docs: bool
) -> FastAPI:
    """The application that one server process serves."""
    app = FastAPI(
        title="Image forgery detection",
        version=forgery.__version__,
        docs_url="/docs" if docs else None,
        redoc_url=None,
    )
    for router in routers:
        app.include_router(router)
    app.include_router(_protocol(dataplane))
    app.include_router(_health(dataplane))
    app.add_exception_handler(HTTPException, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_error)
    app.add_middleware(Gate, limits=limits, admission=admission)
    _describe_errors(app)
    return app


async def _answer_error(_: Request, error: Exception) -> Response:
    return of_error(error).response()


def _describe_errors(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        described = generate()
        described.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
        return described

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description


def _health(dataplane: DataPlane) -> APIRouter:
    endpoints = V2Endpoints(dataplane)
    router = APIRouter(tags=["health"])
    for path in ("/", "/v2/health/live"):
        router.add_api_route(path, endpoints.live, methods=["GET"], include_in_schema=path != "/")
    router.add_api_route("/v2/health/ready", endpoints.ready, methods=["GET"], responses={503: REFUSALS[503]})
    router.add_api_route("/metrics", _metrics, methods=["GET"], include_in_schema=False)
    return router


def _encode(response: InferResponse) -> Response:
    content, json_length = response.to_rest()
    if json_length is None:
        return json_response(content)
    headers = {JSON_LENGTH_HEADER: str(json_length)}
    return Response(content, media_type="application/octet-stream", headers=headers)


async def _metrics(request: Request) -> Response:
    encode, content_type = exposition.choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), media_type=content_type)


def _protocol(dataplane: DataPlane) -> APIRouter:
    endpoints = V2Endpoints(dataplane)
    router = APIRouter(prefix="/v2", tags=["v2"])
    missing: dict[int | str, dict[str, Any]] = {404: REFUSALS[404], 503: REFUSALS[503]}

    # The SDK's own take a version as a query parameter, to refuse it with 501.
    async def metadata(model_name: str) -> ModelMetadata:
        """Inputs, outputs, the versions that answer now, and what the model says of itself."""
        found: ModelMetadata = ModelMetadata.model_validate(await dataplane.model_metadata(model_name))
        return found

    async def ready(model_name: str) -> ModelReadyResponse:
        """Whether a picture would be answered now."""
        if not await dataplane.model_ready(model_name):
            raise ModelNotReady(model_name)
        return ModelReadyResponse(name=model_name, ready=True)

    async def infer(model_name: str, request: Request) -> Response:
        """Score pictures. `outputs` picks what is computed; the model's metadata lists what there is."""
        dataplane.get_model_from_registry(model_name)
        body = await request.body()
        question = await asyncio.to_thread(read_request, body, request.headers, model_name)
        response, _ = await dataplane.infer(model_name, question, dict(request.headers))
        return await asyncio.to_thread(_encode, response)

    router.add_api_route("", endpoints.metadata, methods=["GET"])
    router.add_api_route("/models", endpoints.models, methods=["GET"])
    router.add_api_route("/models/{model_name}", metadata, methods=["GET"], responses=missing)
    router.add_api_route("/models/{model_name}/ready", ready, methods=["GET"], responses=missing)
    router.add_api_route(
        "/models/{model_name}/infer",
        infer,
        methods=["POST"],
        openapi_extra=_INFER_BODY,
        responses={**REFUSALS, 200: {"model": InferenceResponse}},
        response_class=JSONResponse,
    )
    return router
