"""Reports as self-contained HTML and Markdown: one look for validation, training and evaluation.

Templates lie in this package; HTML ones extend `base.html.j2`, which brings type, colours, tables and chart styles
for light and dark and needs neither network nor script, so it reads well in the iframe of the Kubeflow UI.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from forgery.metrics import Estimate

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(template: str, **context: Any) -> str:  # noqa: ANN401 -- whatever the template names
    """Fill a template of this package, e.g. `evaluation.html.j2`.

    HTML is escaped by default; a name the template uses and the context lacks is an error. Filters: `figure` (three
    decimals), `estimate` (a figure with its interval), `percent`, `count` (thousands parted), `size` (bytes).
    """
    return _environment().get_template(template).render(**context)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("forgery.reports", "."),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "figure": figure,
        "estimate": estimate,
        "percent": percent,
        "count": count,
        "size": size,
    }
    return environment


def figure(value: float) -> str:
    """Three decimals, with a true minus sign."""
    return f"{value:.3f}".replace("-", "−")


def estimate(value: Estimate) -> str:
    """E.g. `0.812 [0.771, 0.850]`."""
    return f"{figure(value.value)} [{figure(value.low)}, {figure(value.high)}]"


def percent(value: float) -> str:
    """A part of 1 in percent without decimals."""
    return f"{100 * value:.0f}\u202f%"


def count(value: int) -> str:
    """Thousands parted by narrow spaces."""
    return f"{value:,}".replace(",", "\u202f")


def size(value: float) -> str:
    """Bytes in the largest decimal unit that leaves a number of at least 1."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
