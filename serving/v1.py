"""The v1 protocol, kept for old clients: `{"instances": [...]}` in, `{"predictions": [...]}` out."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal
from serving.respond import records_response
from serving.rest import REFUSALS
from serving.sdk import DataPlane, InferInput, InferRequest, ModelNotReady
from serving.v2 import read_json

_FORM = '{"instances": [{"image": {"b64": "<base64 of the file>"}}]}'
_INSTANCE_KEYS = ("image", "image_bytes")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["instances"],
                    "properties": {"instances": {"type": "array", "items": {"type": "object"}}},
                    "example": {"instances": [{"image": {"b64": "..."}}]},
                }
            }
        },
    }
}


class Predictions(BaseModel):
    """One object an instance, with the outputs of the v2 model metadata."""

    predictions: list[dict[str, Any]]


def predict_router(dataplane: DataPlane, limits: ServingLimits) -> APIRouter:
    """The v1 routes of a transformer."""
    router = APIRouter(prefix="/v1/models", tags=["v1"])

    async def models() -> dict[str, list[str]]:
        """Names of the models."""
        return {"models": list(dataplane.model_registry.get_models())}

    async def ready(model_name: str) -> dict[str, str | bool]:
        """Whether the model would answer now."""
        if not await dataplane.model_ready(model_name):
            raise ModelNotReady(model_name)
        return {"name": model_name, "ready": True}

    async def predict(model_name: str, request: Request) -> Response:
        """Score pictures."""
        dataplane.get_model_from_registry(model_name)
        question = await asyncio.to_thread(read_request, await request.body(), model_name, limits)
        response, _ = await dataplane.infer(model_name, question, dict(request.headers))
        return await asyncio.to_thread(records_response, response, "predictions")

    router.add_api_route("", models, methods=["GET"])
    responses = {**REFUSALS, 200: {"model": Predictions}}
    # Before the plain name, which would match it too.
    router.add_api_route("/{model_name}:predict", predict, methods=["POST"], openapi_extra=_BODY, responses=responses)
    router.add_api_route("/{model_name}", ready, methods=["GET"], responses={404: REFUSALS[404], 503: REFUSALS[503]})
    return router


def read_request(body: bytes, model_name: str, limits: ServingLimits) -> InferRequest:
    """A v1 body as the v2 request that means the same. Raises Refusal."""
    instances = read_json(body).get("instances")
    if not isinstance(instances, list) or not instances:
        raise Refusal(Reason.SCHEMA, f"send {_FORM}", limit=_FORM)
    if len(instances) > limits.max_pictures:
        limit = f"max_pictures={limits.max_pictures}"
        raise Refusal(Reason.TOO_LARGE, f"{len(instances)} pictures are too many for one request", limit=limit)
    files = [_base64_of(instance, index) for index, instance in enumerate(instances)]
    return InferRequest(model_name, [InferInput("image", [len(files)], "BYTES", data=files)])


def _base64_of(instance: Any, index: int) -> str:
    value = instance
    if isinstance(value, dict):
        value = next((value[key] for key in _INSTANCE_KEYS if key in value), value)
    if isinstance(value, dict):
        value = value.get("b64")
    if not isinstance(value, str):
        raise Refusal(Reason.SCHEMA, f"instances[{index}]: send {_FORM}", limit=_FORM, index=index)
    return value
