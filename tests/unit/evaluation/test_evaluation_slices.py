from typing import Any

from forgery.evaluation.slices import slices


def test_manipulations_are_measured_against_all_authentic_pictures(make_scores: Any) -> None:
    scores = make_scores(
        [0, 0, 1, 1, 1],
        [0.1, 0.6, 0.9, 0.9, 0.2],
        manipulations=[None, None, "splice", "splice", "copy-move"],
    )
    copy_move, splice = slices(scores, draws=50, confidence=0.95)
    assert (copy_move.name, copy_move.authentic, copy_move.forged) == ("copy-move", 2, 1)
    assert (splice.name, splice.authentic, splice.forged) == ("splice", 2, 2)
    assert copy_move.figures["recall"].value == 0
    assert splice.figures["recall"].value == 1
    assert splice.figures["balanced_accuracy"].value == 0.75
    assert copy_move.figures["roc_auc"].value == 0.5


def test_a_part_of_one_class_gives_only_what_it_can(make_scores: Any) -> None:
    scores = make_scores([0, 0, 1, 1], [0.1, 0.2, 0.9, 0.1], formats=["PNG", "JPEG", "JPEG", "TIFF"])
    jpeg, png, tiff = slices(scores, draws=50, confidence=0.95)
    assert set(jpeg.figures) == {"recall", "balanced_accuracy", "roc_auc"}
    assert png.figures == {}
    assert set(tiff.figures) == {"recall"}


def test_sizes_are_listed_from_small_to_large(make_scores: Any) -> None:
    scores = make_scores([0, 1, 0, 1], [0.1, 0.9, 0.1, 0.9], pixels=[12_000_000, 249_999, 250_000, 3_999_999])
    found = [(each.kind, each.name) for each in slices(scores, draws=50, confidence=0.95)]
    assert found == [
        ("size", "below 0.25 megapixels"),
        ("size", "0.25 to 1 megapixels"),
        ("size", "1 to 4 megapixels"),
        ("size", "4 megapixels and more"),
    ]


def test_a_split_of_one_kind_has_no_parts(make_scores: Any) -> None:
    assert slices(make_scores([0, 1], [0.1, 0.9]), draws=50, confidence=0.95) == []
