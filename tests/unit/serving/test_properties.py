"""What a bundle says of itself in the metadata."""

from dataclasses import replace
from pathlib import Path

from forgery.bundle import Bundle, BundleInfo, Headline, Lineage
from forgery.decision import DecisionRule
from serving.properties import from_trailers, of_bundle, to_trailer

RULE = DecisionRule(threshold=0.437, band_low=0.4, band_high=0.5)
LINEAGE = Lineage(dataset_digest="", run_id="", code_version="")


def bundle(**metrics: float) -> Bundle:
    info = BundleInfo(recipe="r", backbone="cnn", temperature=1, decision=RULE, metrics=metrics, lineage=LINEAGE)
    return Bundle(Path(), "d" * 32, info)


def test_figures_with_their_intervals_and_views_are_told() -> None:
    found = of_bundle(bundle(f1=0.81234, f1_low=0.78, f1_high=0.84, raw_f1=0.9, size_bytes=1e7), "litert")
    assert found == {
        "recipe": "r",
        "backbone": "cnn",
        "threshold": "0.437",
        "engine": "litert",
        "f1": "0.8123",
        "f1_low": "0.78",
        "f1_high": "0.84",
        "raw_f1": "0.9",
        "model_card": "d" * 32 + "/model_card.md",
    }


def test_what_the_figures_were_measured_on_is_told() -> None:
    headline = Headline(
        metric="f1",
        value=0.8,
        low=0.7,
        high=0.9,
        confidence=0.95,
        split="test",
        views=("raw", "harmonised"),
        pictures=250,
    )
    plain = bundle(f1=0.8)
    found = of_bundle(replace(plain, info=plain.info.model_copy(update={"headline": headline})))
    assert [found[name] for name in ("split", "views", "pictures", "confidence")] == [
        *("test", "raw, harmonised", "250", "0.95")
    ]


def test_a_bundle_without_figures_says_the_rest() -> None:
    assert set(of_bundle(bundle())) == {"recipe", "backbone", "threshold", "model_card"}


def test_properties_survive_the_hop_and_their_absence_too() -> None:
    properties = of_bundle(bundle(f1=0.8))
    assert from_trailers([("other", "x"), to_trailer(properties)]) == properties
    assert from_trailers(None) == from_trailers([("forgery-properties", "nonsense")]) == {}
    assert from_trailers([("forgery-properties", "[1]")]) == {}
