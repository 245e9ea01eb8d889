"""Ways to call: in turn, as fast as so many clients can, or at a steady rate."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

Call = Callable[[], object]

_FEWEST_ROUNDS = 5


def in_turn(calls: Mapping[str, Call], rounds: int, most_s: float = 60.0) -> dict[str, float]:
    """Median seconds of each call, made one after the other in every round: what else runs disturbs all alike.

    Args:
        calls: By name.
        rounds: How often; less, but at least five times, when it takes longer than `most_s`.
        most_s: See there.
    """
    end = time.perf_counter() + most_s
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for number in range(rounds):
        if number >= _FEWEST_ROUNDS and time.perf_counter() > end:
            break
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(found) for name, found in seconds.items()}


def per_second(make: Callable[[], Call], clients: int, seconds: float) -> float:
    """Calls a second of so many clients, each asking again as soon as it is answered."""
    begin = threading.Barrier(clients)

    def ask(_: int) -> float:
        call = make()
        call()
        begin.wait()
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            call()
            count += 1
        return count / (time.perf_counter() - start)

    with ThreadPoolExecutor(clients) as threads:
        return sum(threads.map(ask, range(clients)))


def at_rate(make: Callable[[], Call], rate: float, seconds: float, clients: int = 16) -> list[float]:
    """Seconds from when each call was due to its answer, calls being due `rate` times a second."""
    count = max(1, int(rate * seconds))
    numbers, lock, waits = iter(range(count)), threading.Lock(), [0.0] * count
    calls = [make() for _ in range(clients)]
    for call in calls:
        call()
    start = time.perf_counter()

    def ask(call: Call) -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            due = start + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            call()
            waits[number] = time.perf_counter() - due

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(ask, calls))
    return waits
