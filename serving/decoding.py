"""Where pictures are opened: as many at once as there are threads, and as memory allows."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from forgery.recipes import Recipe
from serving.allocator import give_back_memory
from serving.budget import Budget
from serving.limits import ServingLimits
from serving.refusal import Reason, Refusal
from serving.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  # an item

# Most memory that a picture takes while it is open, measured on 12 megapixels: the picture, its copy and their
# difference; or, for evidence in cells, several maps of floating-point numbers.
BYTES_PER_PIXEL, _BYTES_PER_PIXEL_DENSE = 16, 32
_LARGE_BYTES = 64_000_000
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Of the container's memory, for one picture; the rest is the server, its queue and what is open beside it.
_PART_FOR_ONE = 0.5


class Decoders:
    """Threads and memory for pictures."""

    def __init__(self, limits: ServingLimits) -> None:
        """Memory is bounded by how many pictures are open at once and how large they are, not by who asks."""
        self._threads = Threads(limits.decoders, "decode")
        self._memory = Budget(limits.decode_memory_mb * 1_000_000)
        self._most_for_one = limits.picture_memory_mb * 1_000_000 or _for_one()

    async def run(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run what opens no picture."""
        return await self._threads.run(function, *arguments, **options)

    async def for_each(self, function: Callable[[I], T], items: Iterable[I], needs_bytes: Sequence[int]) -> list[T]:
        """Run on every item; the first failure, in the items' order, cancels what has not begun."""

        def tidy(item: I) -> T:
            try:
                return function(item)
            finally:
                give_back_memory()

        async def run(item: I, need_bytes: int) -> T:
            async with self._memory.take(need_bytes):
                return await self._threads.run(tidy if need_bytes > _LARGE_BYTES else function, item)

        tasks = [asyncio.ensure_future(run(item, need)) for item, need in zip(items, needs_bytes, strict=True)]
        try:
            return [await task for task in tasks]
        finally:
            for task in tasks:
                task.cancel()

    def needs(self, recipe: Recipe, pixels: Sequence[int]) -> list[int]:
        """Bytes that evidence of pictures of so many pixels takes.

        Raises:
            Refusal: 413, where one of them alone could end the server.
        """
        each = _BYTES_PER_PIXEL_DENSE if recipe.dense else BYTES_PER_PIXEL
        most = self._most_for_one // each
        for index, count in enumerate(pixels):
            if most and count > most:
                found = f"image[{index}]: the picture has {count} pixels, more than the {most} there is memory for"
                raise Refusal(Reason.TOO_LARGE, found, limit=f"max_pixels={most}", index=index)
        return [count * each for count in pixels]


def _for_one() -> int:
    """A part of the container's memory; 0 where that is not limited."""
    try:
        return int(int(_CGROUP_LIMIT.read_text()) * _PART_FOR_ONE)
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return 0
