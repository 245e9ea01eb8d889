"""The same figures on parts of the test split: a mean hides what a model cannot do."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forgery.evaluation.scores import ModelScores, TestPictures
from forgery.metrics import Estimate, Outcome, estimates

SLICE_METRICS = ("recall", "balanced_accuracy", "roc_auc")
_MEGAPIXEL = 1_000_000
_SIZES = {
    "below 0.25 megapixels": 0.25,
    "0.25 to 1 megapixels": 1.0,
    "1 to 4 megapixels": 4.0,
    "4 megapixels and more": float("inf"),
}
_NO_JPEG = "no JPEG"
_QUALITIES = {"JPEG below 75": 75, "JPEG 75 to 89": 90, "JPEG 90 to 95": 96, "JPEG 96 and more": 101}


@dataclass(frozen=True)
class Slice:
    """One part of the test split; `authentic` and `forged` count pictures, however many copies were judged.

    `figures` has those of `SLICE_METRICS` that the part can give: without authentic pictures only recall, without
    forged ones none.
    """

    kind: str
    name: str
    authentic: int
    forged: int
    figures: dict[str, Estimate]


def slices(scores: ModelScores, draws: int, confidence: float, seed: int = 0) -> list[Slice]:
    """By manipulation (each against all authentic pictures), format, size and estimated quality of the last save.

    Over the judged views; kinds with one part are left out.
    """
    outcome, positions = scores.outcome, scores.positions
    groups, labels = scores.groups_of(positions), np.asarray(scores.pictures.labels)
    found = []
    for kind, name, of_part in _parts(scores.pictures):
        chosen = of_part[positions]
        part = Outcome(outcome.forged[chosen], outcome.probabilities[chosen], outcome.threshold)
        forged = int(labels[of_part].sum())
        authentic = int(of_part.sum()) - forged
        metrics = SLICE_METRICS if forged and authentic else SLICE_METRICS[:1] if forged else ()
        figures = estimates(part, groups[chosen], metrics, draws, confidence, seed) if metrics else {}
        found.append(Slice(kind, name, authentic, forged, figures))
    return found


def _parts(pictures: TestPictures) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    forged = np.asarray(pictures.labels, bool)
    manipulations = np.asarray([name or "not named" for name in pictures.manipulations])
    for name in _several(sorted(set(manipulations[forged].tolist()))):
        yield "manipulation", name, ~forged | (manipulations == name)
    formats = np.asarray(pictures.formats)
    for name in _several(sorted(set(pictures.formats))):
        yield "format", name, formats == name
    sizes = np.asarray([_size(each) for each in pictures.pixels])
    for name in _several([name for name in _SIZES if name in sizes]):
        yield "size", name, sizes == name
    qualities = np.asarray([_quality(each) for each in pictures.qualities])
    for name in _several([name for name in (_NO_JPEG, *_QUALITIES) if name in qualities]):
        yield "quality", name, qualities == name


def _several(names: list[str]) -> list[str]:
    return names if len(names) > 1 else []


def _quality(quality: int | None) -> str:
    return _NO_JPEG if quality is None else next(name for name, end in _QUALITIES.items() if quality < end)


def _size(pixels: int) -> str:
    return next(name for name, megapixels in _SIZES.items() if pixels < megapixels * _MEGAPIXEL)
