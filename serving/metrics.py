"""What Prometheus reads on `/metrics`; every label has a small, fixed set of values."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from serving import tracing

# From a bare gRPC hop (1 ms) to the default time limit (30 s).
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Counter("forgery_requests_total", "Inference requests answered, refusals included.", ("protocol", "code"))
REQUEST_SECONDS = Histogram("forgery_request_seconds", "Inference requests, whole.", ("protocol",), buckets=_SECONDS)
STAGE_SECONDS = Histogram(
    "forgery_stage_seconds",
    "Parts of a request: read, queue, decode, evidence (each picture), hop, explain; in the predictor inference.",
    ("stage",),
    buckets=_SECONDS,
)
REFUSALS = Counter("forgery_refusals_total", "Requests refused, by the row of the table of errors.", ("reason",))
REJECTED = Counter(
    "forgery_pictures_rejected_total",
    "Pictures not accepted: empty, bytes, unreadable, pixels, format, animated, truncated.",
    ("reason",),
)
INSIDE = Gauge("forgery_requests_inside", "Inference requests being answered or waiting.")
WAITING = Gauge("forgery_pictures_waiting", "Pieces of work, mostly pictures, that wait for a decoder.")
PICTURES = Counter("forgery_pictures_total", "Pictures scored, by verdict.", ("label",))
SCORES = Histogram("forgery_probability_forged", "Scores given.", buckets=tuple(step / 10 for step in range(1, 11)))
PAYLOADS = Counter("forgery_payload_log_pictures_total", "Pictures for the payload log.", ("outcome",))
MODEL = Gauge("forgery_model_info", "1 for the model that answers.", ("model_version", "recipe"))


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time one part of a request, and trace it where traces are on."""
    start = time.perf_counter()
    with tracing.span(name):
        try:
            yield
        finally:
            STAGE_SECONDS.labels(name).observe(time.perf_counter() - start)


class Wait:
    """A piece of work that waits for a thread; made when it begins to wait."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._waiting = [True]
        WAITING.inc()

    def end(self) -> None:
        """It has begun, or was given up; a second call, from whatever thread, changes nothing."""
        try:
            self._waiting.pop()
        except IndexError:
            return
        WAITING.dec()
        STAGE_SECONDS.labels("queue").observe(time.perf_counter() - self._start)


_served: tuple[str, str] | None = None


def serve_model(model_version: str, recipe: str) -> None:
    """Say which model answers from now on; the one before disappears from the metric."""
    global _served
    if (model_version, recipe) != _served:
        _served = model_version, recipe
        MODEL.clear()
        MODEL.labels(model_version, recipe).set(1)
