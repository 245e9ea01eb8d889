"""Threads that do what would hold up the event loop, with their queue in sight of Prometheus."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from serving import metrics

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """So many at once, the others in order of their coming."""

    def __init__(self, count: int, name: str) -> None:
        """Start none before there is work."""
        self._pool = ThreadPoolExecutor(count, name)

    async def run(self, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Like `asyncio.to_thread`: the request's log entry and trace go along."""
        wait, context = metrics.Wait(), contextvars.copy_context()

        def work() -> T:
            wait.end()
            return context.run(function, *arguments, **options)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            wait.end()
