import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from forgery.parallel import in_order, processes


def test_results_come_in_the_order_of_items() -> None:
    with ThreadPoolExecutor(4) as pool:
        slow_first = in_order(pool, lambda item: time.sleep(0.02 * (item == 0)) or item * 10, range(20), most=6)
        assert list(slow_first) == [(item, item * 10) for item in range(20)]


def test_no_more_items_are_taken_than_may_wait() -> None:
    taken, lock = [], threading.Lock()

    def items() -> Iterator[int]:
        for item in range(100):
            with lock:
                taken.append(item)
            yield item

    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: item, items(), most=5)
        for done in range(10):
            next(results)
            assert len(taken) <= done + 5


def test_an_error_comes_at_its_items_turn() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: 1 // item, [1, 0], most=4)
        assert next(results) == (1, 1)
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_garbage_is_collected_as_before_once_the_processes_have_ended() -> None:
    with processes(1) as pool:
        assert gc.get_freeze_count() > 1000
        assert pool.submit(abs, -3).result() == 3
    assert gc.get_freeze_count() == 0
