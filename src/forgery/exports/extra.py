"""What some formats need beyond the rest of the library."""

from importlib.metadata import version
from importlib.util import find_spec

from forgery.errors import InvalidConfig


def need(purpose: str, *modules: str) -> None:
    """Raise InvalidConfig, with the way out in it, unless all of these modules are installed."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise InvalidConfig(
            f"{purpose} needs {' and '.join(missing)}: pip install 'forgery[export]', "
            "or uv pip install 'forgery[export]' (make setup in a checkout)"
        )


def named(title: str, distribution: str) -> str:
    """E.g. `ONNX Runtime 1.31.1`."""
    return f"{title} {version(distribution)}"
