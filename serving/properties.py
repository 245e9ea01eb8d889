"""What the model in service says of itself in the v2 metadata: how good it was measured to be, and where that stands.

REST metadata has them as `properties`; the SDK's gRPC message has no such field, so there they are a trailer.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from forgery.bundle import CARD_FILE, Bundle, Headline

TRAILER = "forgery-properties"
# `f1` with the ends of its interval over the copies that promotion judges, and the same in each view of them.
_FIGURE = re.compile(r"([a-z]+_)?(f1|balanced_accuracy|roc_auc)(_low|_high)?|test_pictures")


def of_bundle(bundle: Bundle, engine: str = "") -> dict[str, str]:
    """Texts by name: recipe, backbone, threshold, engine, the figures there are, and the place of the model card."""
    figures = {name: f"{value:.4g}" for name, value in bundle.info.metrics.items() if _FIGURE.fullmatch(name)}
    return {
        "recipe": bundle.info.recipe,
        "backbone": bundle.info.backbone,
        "threshold": f"{bundle.info.decision.threshold:.4g}",
        **({"engine": engine} if engine else {}),
        **figures,
        **_measured_on(bundle.info.headline),
        "model_card": f"{bundle.digest}/{CARD_FILE}",
    }


def _measured_on(headline: Headline | None) -> dict[str, str]:
    """What the figures without a view's name stand on."""
    if headline is None:
        return {}
    views, confidence = ", ".join(headline.views), f"{headline.confidence:.4g}"
    return {"split": headline.split, "views": views, "pictures": str(headline.pictures), "confidence": confidence}


def to_trailer(properties: Mapping[str, str]) -> tuple[str, str]:
    """As gRPC metadata."""
    return TRAILER, orjson.dumps(dict(properties)).decode("ascii", "replace")


def from_trailers(trailers: Any) -> dict[str, str]:
    """From gRPC metadata; empty where there are none, as behind another predictor."""
    text = next((value for key, value in trailers or () if key == TRAILER), "{}")
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
