"""The reference as Prometheus reads it."""

from prometheus_client import REGISTRY

from serving.metrics import SCORES
from serving.reference import BOUNDS, show


def shown() -> dict[str, float]:
    (family,) = (each for each in REGISTRY.collect() if each.name == "forgery_reference_scores")
    return {sample.labels["le"]: sample.value for sample in family.samples}


def test_shares_are_cumulative_and_have_the_bounds_of_the_scores() -> None:
    show([0.05, 0.1, 0.55, 0.99])
    found = shown()
    assert (found["0.1"], found["0.5"], found["0.6"], found["+Inf"]) == (0.5, 0.5, 0.75, 1.0)
    SCORES.observe(0.5)
    (scores,) = (each for each in REGISTRY.collect() if each.name == "forgery_probability_forged")
    buckets = {sample.labels["le"] for sample in scores.samples if sample.name.endswith("_bucket")}
    assert buckets == set(found)
    assert len(BOUNDS) == 11


def test_a_bundle_without_reference_shows_nothing() -> None:
    show([0.5])
    show([])
    assert shown() == {}
