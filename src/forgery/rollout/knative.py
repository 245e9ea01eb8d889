"""What an InferenceService in Knative mode says of itself. Pure: documents of the Kubernetes API in."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def is_knative(service: Document) -> bool:
    """Standard is what our manifests say; `Serverless` is Knative's name of old."""
    mode = (service["metadata"].get("annotations") or {}).get("serving.kserve.io/deploymentMode")
    return mode in ("Knative", "Serverless")


def canary_percent(service: Document) -> int:
    """Share of the newest revision in a canary; -1 where there is none."""
    if not is_knative(service):
        return -1
    return int(service["spec"].get("predictor", {}).get("canaryTrafficPercent", -1))
