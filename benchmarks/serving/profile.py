"""Where the time of a request goes, from what both servers tell Prometheus."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving.servers import Server


@dataclass(frozen=True)
class Profile:
    """Mean milliseconds of one request, as its caller sees it, by part; the parts add up to `whole`."""

    whole: float
    parts: Mapping[str, float]


def profile(
    before: Server, behind: Server, call: Callable[[Sequence[bytes]], object], picture: bytes, requests: int
) -> Profile:
    """Ask so many times for one picture, one after the other, and see which stages grew by how much."""
    call([picture])
    first, first_behind = before.metrics(), behind.metrics()
    start = time.perf_counter()
    for _ in range(requests):
        call([picture])
    whole = (time.perf_counter() - start) / requests * 1000
    grown, behind_grown = _grown(before.metrics(), first), _grown(behind.metrics(), first_behind)

    def stage(name: str) -> float:
        return _sum(grown, f'forgery_stage_seconds_sum{{stage="{name}"}}') / requests * 1000

    inside = _sum(grown, 'forgery_request_seconds_sum{protocol="grpc"}') / requests * 1000
    inference = _sum(behind_grown, 'forgery_stage_seconds_sum{stage="inference"}') / requests * 1000
    named = {name: stage(name) for name in ("read", "queue", "decode", "evidence")}
    parts = {
        "caller and transport": whole - inside,
        "read the request, check headers": named["read"],
        "wait for a decoder": named["queue"],
        "decode": named["decode"],
        "evidence": named["evidence"],
        "hop, without inference": stage("hop") - inference,
        "inference": inference,
    }
    rest = inside - sum(named.values()) - stage("hop")
    return Profile(whole, {**parts, "the rest of the transformer": rest})


def _grown(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def _sum(series: Mapping[str, float], name: str) -> float:
    return series.get(name, 0.0)
