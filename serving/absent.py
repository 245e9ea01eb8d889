"""Import a package without what it imports and a server never uses."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Put empty stand-ins in the place of modules, for the imports inside the `with` block.

    Whatever those take from a stand-in is a class of its own without content: good for annotations and `isinstance`.
    Modules that are loaded already stay, and afterwards each name can be imported as ever.

    Args:
        names: Modules; their submodules must be named too.
    """
    replaced = [name for name in names if name.split(".")[0] not in sys.modules]
    for name in replaced:
        sys.modules[name] = _StandIn(name)
    try:
        yield
    finally:
        for name in replaced:
            del sys.modules[name]


class _StandIn(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
