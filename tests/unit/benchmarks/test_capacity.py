"""Replicas by load: the queue's formula against a queue, and the table against the page it is made of."""

import heapq
import math

import numpy as np
import pytest

from benchmarks.serving.capacity import PERFORMANCE, Cost, read_costs, table, wait_p99_s, waits


def simulated_waits(servers: int, rate: float, service: float, requests: int = 200_000) -> np.ndarray:
    random = np.random.default_rng(0)
    arrivals = np.cumsum(random.exponential(1 / rate, requests))
    services = random.exponential(1 / service, requests)
    free, waited = [0.0] * servers, np.empty(requests)
    for number, (arrival, needed) in enumerate(zip(arrivals, services, strict=True)):
        start = max(arrival, heapq.heappop(free))
        waited[number] = start - arrival
        heapq.heappush(free, start + needed)
    return waited


@pytest.mark.parametrize(("servers", "rate"), [(1, 0.7), (4, 2.8), (20, 14.0)])
def test_the_formula_waits_as_long_as_a_queue_does(servers: int, rate: float) -> None:
    waited = simulated_waits(servers, rate, 1.0)
    assert waits(servers, rate) == pytest.approx(np.mean(waited > 0), abs=0.02)
    assert wait_p99_s(servers, rate, 1.0) == pytest.approx(np.quantile(waited, 0.99), rel=0.12, abs=0.02)


def test_a_single_server_keeps_waiting_as_often_as_it_is_busy() -> None:
    assert waits(1, 0.6) == pytest.approx(0.6)


def test_too_few_servers_never_answer() -> None:
    assert wait_p99_s(2, 2.0, 1.0) == math.inf


def test_cores_carry_the_load_with_room() -> None:
    cost = Cost(per_core_per_s=10, transformer=0.75, request_s=0.1)
    transformers, predictors = cost.cores(700)
    assert (transformers, predictors) == (75, 25)
    assert 0.1 <= cost.p99_s(700) < 0.2


def test_the_table_is_of_the_pages_figures() -> None:
    page = PERFORMANCE.read_text()
    costs = read_costs(page)
    assert 0.9 < costs["default"].transformer < 1
    assert costs["ela"].per_core_per_s > costs["default"].per_core_per_s
    assert table(page).count("\n| default |") == table(page).count("\n| ela |") == 3
