"""A bound on memory: work with a known need begins in the order of its coming, as far as the needs fit together."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serving import metrics


class Budget:
    """So many bytes for all; work that needs more than that alone waits until it is alone."""

    def __init__(self, most_bytes: int) -> None:
        """Nothing is taken yet."""
        self._most = most_bytes
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def take(self, need_bytes: int) -> AsyncIterator[None]:
        """Hold so much of it inside the `async with`; waits for its turn."""
        need = min(need_bytes, self._most)
        await self._turn(need)
        try:
            yield
        finally:
            self._taken -= need
            self._wake()

    async def _turn(self, need: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((need, turn))
        self._wake()
        if turn.done():
            return
        wait = metrics.Wait()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came while the caller gave up
                self._taken -= need
            self._wake()
            raise
        finally:
            wait.end()

    def _wake(self) -> None:
        # The first in the queue is not overtaken: a large picture would starve.
        while self._waiting:
            need, turn = self._waiting[0]
            if not turn.done():
                if self._taken + need > self._most:
                    return
                self._taken += need
                turn.set_result(None)
            self._waiting.popleft()
