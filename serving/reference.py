"""The reference of the model that answers, for Prometheus: its own scores can then be held against it."""

from bisect import bisect_right
from collections.abc import Sequence
from math import isinf

from prometheus_client import Gauge

from forgery.bundle import Bundle
from forgery.monitoring.reference import read_reference

# Those of `forgery_probability_forged`, so that both can be subtracted.
BOUNDS = (*(step / 10 for step in range(1, 11)), float("inf"))
REFERENCE = Gauge(
    "forgery_reference_scores", "Part of the validation pictures that scored at most this, by the bundle.", ("le",)
)


def serve_reference(bundle: Bundle) -> None:
    """Say what the model's validation pictures scored; nothing for bundles without a reference."""
    reference = read_reference(bundle)
    show([] if reference is None else [picture.probability_forged for picture in reference.pictures])


def show(scores: Sequence[float]) -> None:
    """Replace what is shown by the distribution of `scores`, [n]."""
    REFERENCE.clear()
    ordered = sorted(scores)
    for bound in BOUNDS if ordered else ():
        REFERENCE.labels("+Inf" if isinf(bound) else str(bound)).set(bisect_right(ordered, bound) / len(ordered))
