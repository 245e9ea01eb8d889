"""Recipes: every setting that can change a pixel of the evidence, as one frozen, named value.

A kind is one module of this package that defines one subclass of `Recipe`; adding a kind touches that file alone.
"""

import importlib
import pkgutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from forgery.errors import InvalidConfig
from forgery.picture import DEFAULT_LIMITS, Limits, decode
from forgery.recipes.base import Evidence, Recipe

__all__ = ["Evidence", "Recipe", "evidence", "kinds", "parse_recipe"]


@cache
def kinds() -> dict[str, type[Recipe]]:
    """Every recipe kind by the prefix its names start with, e.g. `ela1`."""
    found: dict[str, type[Recipe]] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Recipe) and value is not Recipe:
                found[value.prefix] = value
    return found


@cache
def parse_recipe(name: str) -> Recipe:
    """The recipe that a canonical name stands for; `parse_recipe(recipe.name) == recipe`.

    Raises:
        InvalidConfig: The kind is unknown or a part of the name is; the message shows an accepted name.
    """
    kind = kinds().get(name.split("_", 1)[0])
    if kind is None:
        accepted = ", ".join(f"{each.prefix} (e.g. {each().name})" for each in kinds().values())
        raise InvalidConfig(f"recipe {name!r} is of no known kind; known: {accepted}")
    recipe = kind.parse(name)
    if recipe.name != name:
        raise InvalidConfig(f"recipe {name!r} is not in canonical form; write {recipe.name!r}")
    return recipe


def evidence(
    encoded: bytes,
    recipe: Recipe,
    limits: Limits = DEFAULT_LIMITS,
    watch: Callable[[str], AbstractContextManager[object]] = nullcontext,
) -> Evidence:
    """The one way from a file's bytes to the model's input; training, evaluation and serving all call it.

    Args:
        encoded: The file.
        recipe: What is computed of it.
        limits: Checked before decoding.
        watch: Called with `decode` and `evidence`; each part runs inside the context it gives, e.g. to be timed.

    Returns:
        uint8 array of shape `recipe.shape`.

    Raises:
        PictureRejected: The bytes are no accepted picture or break a limit.
    """
    with watch("decode"):
        picture = decode(encoded, limits, upright=recipe.upright)
    with watch("evidence"):
        return recipe.compute(picture)
