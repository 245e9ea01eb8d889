"""What the Kubeflow UI says of a pipeline's parameters: taken from the configuration, never written twice."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

Wiring = TypeVar("Wiring", bound=Callable[..., None])


def described(config: type[BaseModel], summary: str) -> Callable[[Wiring], Wiring]:
    """Give a pipeline function a docstring with `summary` and one `Args` line for each field of `config`."""
    lines = [f"    {name}: {field.description}" for name, field in config.model_fields.items()]

    def describe(wiring: Wiring) -> Wiring:
        wiring.__doc__ = "\n".join([summary, "", "Args:", *lines])
        return wiring

    return describe
