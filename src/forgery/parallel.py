"""Work spread over an executor with flat memory and a fixed order."""

import contextlib
import gc
import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextlib.contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """A pool of so many processes, which share what this one has loaded where they can.

    A collection of garbage would write to every object, and so to each page that is shared, of which there would then
    be one more copy: it passes over what was there when the pool began.
    """
    # Forking is quick; TensorFlow's threads do not survive it.
    method = "spawn" if "tensorflow" in sys.modules or not sys.platform.startswith("linux") else "fork"
    gc.freeze()
    try:
        with ProcessPoolExecutor(workers, multiprocessing.get_context(method)) as pool:
            yield pool
    finally:
        gc.unfreeze()


def in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], most: int
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in the order of items.

    Args:
        pool: Runs the function; what a process pool is given must pickle.
        function: Called once an item.
        items: Taken one by one, as results are asked for.
        most: Items under way or waiting to be asked for at once, so that memory does not grow with their number.

    Raises:
        Exception: What the function raised, when that item's turn comes.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(function, item)))
        if len(waiting) >= most:
            done, future = waiting.popleft()
            yield done, future.result()
    while waiting:
        done, future = waiting.popleft()
        yield done, future.result()
