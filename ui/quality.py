"""How good the model that answered was measured to be, as far as the endpoint tells."""

import re
from pathlib import Path

from ui.endpoint import Model

_CARD = re.compile(r"[0-9a-f]{32}/model_card\.md")
UNKNOWN = "not told by the endpoint; forgery model show has F1 with its interval"


def describe(model: Model, version: str) -> str:
    """F1 with its interval in words; `UNKNOWN` where it is not told, or told of another version than answered."""
    told = model.properties if version in model.versions else {}
    if "f1" not in told:
        return UNKNOWN
    interval = f" [{told['f1_low']}, {told['f1_high']}]" if {"f1_low", "f1_high"} <= told.keys() else ""
    return f"F1 {told['f1']}{interval} of forged, on pictures it had not seen"


def card_place(model: Model, version: str) -> str | None:
    """The model card's place below the folder of bundles; None where it is not told, or of another version."""
    place = model.properties.get("model_card", "")
    return place if _CARD.fullmatch(place) and place.startswith(f"{version}/") else None


def card_link(cards: str, place: str) -> str | None:
    """Address of the card where bundles are published at a web address, e.g. behind the bucket's gateway."""
    return f"{cards.rstrip('/')}/{place}" if cards.startswith(("http://", "https://")) else None


def card_text(cards: str, place: str) -> str | None:
    """The card itself where bundles lie in a folder; None where it cannot be read."""
    try:
        return (Path(cards) / place).read_text()
    except OSError:
        return None
