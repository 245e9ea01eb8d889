"""Hostile requests by the hundred thousand, and hours in minutes: what must not break, grow or slow down."""

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.rows import Row
from benchmarks.serving import clients, servers
from benchmarks.serving.corpus import hostile_request
from benchmarks.serving.load import at_rate, per_second
from benchmarks.serving.pictures import photograph
from benchmarks.serving.servers import Server
from forgery.bundle import Bundle

logger = logging.getLogger(__name__)

_THREADS = 4
# Among so many is a picture as large as the limits let pass; from then on memory stays where it is.
_WARM_UP = 0.25
_WINDOWS = 5
_PROBE_S = 0.1
ANSWERS = frozenset({200, 400, 413, 415, 422})


class Endurance(BaseModel):
    """What was found, and the rows made of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: list[Row]
    codes: dict[str, int] = {}


def fuzz(bundle: Bundle, count: int, log: Path) -> Endurance:
    """Send so many hostile requests while probes are timed; memory is compared after a quarter and at the end."""
    warm_up, codes = int(count * _WARM_UP), Counter[int]()
    with (
        servers.predictor(bundle, "litert", log) as behind,
        servers.transformer(behind, log) as before,
        _probing(before) as waits,
    ):
        codes += _sent(before, range(warm_up))
        warm = before.memory_mb()
        codes += _sent(before, range(warm_up, count))
        grown = before.memory_mb() / warm
    wrong = sum(found for code, found in codes.items() if code not in ANSWERS)
    logger.info("fuzz: %s", dict(codes))
    rows = [
        Row(name=f"{count} hostile requests: answers that are none of {sorted(ANSWERS)}", ratio=wrong, goal="<= 0"),
        Row(name="the transformer's memory after them / after a quarter of them", ratio=grown, goal="<= 1.1"),
        Row(name="longest wait of a probe meanwhile, ms", ratio=max(waits) * 1000, goal="<= 250"),
    ]
    return Endurance(rows=rows, codes={str(code): found for code, found in codes.items()})


def soak(bundle: Bundle, seconds: float, log: Path) -> Endurance:
    """Keep 70 % of capacity for so long; the last fifth is compared with the second, the first being warm-up."""
    with servers.predictor(bundle, "litert", log) as behind, servers.transformer(behind, log) as before:
        connect, picture = clients.over_grpc(before.grpc), photograph()

        def make() -> Callable[[], object]:
            call = connect()
            return lambda: call([picture])

        rate = 0.7 * per_second(make, 8, min(20.0, seconds / 4))
        seen = []
        for _ in range(_WINDOWS):
            waits = at_rate(make, rate, seconds / _WINDOWS)
            seen.append((before.memory_mb() + behind.memory_mb(), float(np.quantile(waits, 0.99)), _handles(before)))
        refused = sum(value for name, value in before.metrics().items() if name.startswith("forgery_refusals_total"))
    (memory, p99, handles), (memory_end, p99_end, handles_end) = seen[1], seen[-1]
    logger.info("soak at %.0f requests a second: MB, p99 and file descriptors by fifths %s", rate, seen)
    return Endurance(
        rows=[
            Row(name=f"{seconds:.0f} s at 70 % of capacity: errors", ratio=refused, goal="<= 0"),
            Row(name="memory of both servers, last fifth / second fifth", ratio=memory_end / memory, goal="<= 1.1"),
            Row(name="p99, last fifth / second fifth", ratio=p99_end / p99, goal="<= 1.5"),
            Row(name="file descriptors, last fifth / second fifth", ratio=handles_end / handles, goal="<= 1.1"),
        ]
    )


def _handles(server: Server) -> int:
    return int(server.process.num_fds())


def _sent(server: Server, seeds: range) -> Counter[int]:
    numbers, lock = iter(seeds), threading.Lock()

    def ask(_: int) -> Counter[int]:
        codes = Counter[int]()
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while True:
                with lock:
                    taken = list(itertools.islice(numbers, 20))
                if not taken:
                    return codes
                for seed in taken:
                    request = hostile_request(seed)
                    answer = client.post(request.path, content=request.body, headers=request.headers)
                    codes[answer.status_code] += 1
                    if answer.status_code not in ANSWERS:
                        logger.error("seed %d: %d %s", seed, answer.status_code, answer.text[:200])

    with ThreadPoolExecutor(_THREADS) as threads:
        return sum(threads.map(ask, range(_THREADS)), Counter[int]())


class _probing:  # noqa: N801  # reads as a statement
    """Time `live` every tenth of a second from a thread of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self._waits: list[float] = []
        self._thread = threading.Thread(target=self._probe)

    def __enter__(self) -> list[float]:
        self._thread.start()
        return self._waits

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _probe(self) -> None:
        with httpx.Client(base_url=self._server.url, timeout=60) as client:
            while not self._ended.wait(_PROBE_S):
                start = time.perf_counter()
                client.get("/v2/health/live").raise_for_status()
                self._waits.append(time.perf_counter() - start)
