"""Which model answers: a picture sent through the transformer, as any client would."""

import base64
import functools
import io
import os
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image

from forgery.errors import ServiceUnavailable
from forgery.rollout.cluster import Cluster, Refused, in_pod

# The digest of the bundle that answered. Raises ServiceUnavailable while none does.
AskVersion = Callable[[], str]

_TIMEOUT_S = 15.0
_SIDE_PX = 256


@functools.cache
def probe() -> dict[str, Any]:
    """An inference request (v2, JSON) with one small generated JPEG."""
    encoded = io.BytesIO()
    Image.radial_gradient("L").resize((_SIDE_PX, _SIDE_PX)).convert("RGB").save(encoded, "JPEG", quality=90)
    picture = base64.b64encode(encoded.getvalue()).decode()
    return {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [picture]}]}


def open_endpoint(cluster: Cluster, namespace: str, name: str) -> AskVersion:
    """How to ask the InferenceService from here: by its service from a pod, else through the API server's proxy."""
    path = f"/v2/models/{name}/infer"
    if address := os.environ.get("FORGERY_ENDPOINT"):
        return functools.partial(_ask_directly, address.rstrip("/") + path)
    if in_pod():
        return functools.partial(_ask_directly, f"http://{name}-transformer.{namespace}{path}")
    proxy = f"/api/v1/namespaces/{namespace}/services/{name}-transformer:80/proxy"
    return functools.partial(_ask_by_proxy, cluster, proxy + path)


def _ask_directly(url: str) -> str:
    try:
        answer = httpx.post(url, json=probe(), timeout=_TIMEOUT_S)
        answer.raise_for_status()
        return _version(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceUnavailable(f"{url} does not answer: {type(error).__name__} {error}") from error


def _ask_by_proxy(cluster: Cluster, path: str) -> str:
    try:
        # Whoever asks will ask again: a service without a ready pod answers 503, as an API server that is away does.
        return _version(cluster.request("POST", path, probe(), patience_s=0))
    except (Refused, ServiceUnavailable, ValueError) as error:
        raise ServiceUnavailable(f"{path} does not answer: {error}") from error


def _version(answer: dict[str, Any]) -> str:
    version = answer.get("model_version")
    if not version:
        raise ValueError("the answer names no model_version")
    return str(version)
