"""The two things the framework has no widget for: pictures laid over each other, and pasting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streamlit.components.v2 import component

_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Layer:
    """One of two pictures of the same place: address, what it shows, and its name beside the slider."""

    address: str
    alt: str
    name: str


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def page_style() -> Path:
    """The page's style sheet."""
    return _ASSETS / "page.css"


def page_icon() -> str:
    """Path of the icon of the browser's tab."""
    return str(_ASSETS / "icon.svg")


def layers(base: Layer, top: Layer, mode: Literal["split", "opacity"], label: str, start: int, key: str) -> None:
    """Two pictures, one over the other, with a slider that belongs to the browser.

    Args:
        base: The lower one.
        top: The upper one, stretched to the same place.
        mode: `split`: the upper one right of an edge that moves; `opacity`: the upper one more or less seen.
        label: Of the slider, for those who do not see it.
        start: Where the slider begins, 0-100.
        key: Of the element.
    """
    mount = component("forgery.layers", html=_asset("layers.html"), css=_asset("layers.css"), js=_asset("layers.js"))
    mount(
        data={
            "base": base.address,
            "baseAlt": base.alt,
            "left": base.name,
            "top": top.address,
            "topAlt": top.alt,
            "right": top.name,
            "mode": mode,
            "label": label,
            "start": start,
        },
        key=key,
    )


def paste_listener() -> None:
    """Take pasted files as if they had been dropped."""
    component("forgery.paste", js=_asset("paste.js"))(key="paste", height=1)
