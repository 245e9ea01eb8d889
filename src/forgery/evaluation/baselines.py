"""What can be had without looking at a pixel: a detector that does no better has learnt file history."""

import io
import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.dataset.manifest import SPLITS, Picture, Split
from forgery.dataset.shards import read_encoded
from forgery.decision import choose_rule
from forgery.picture import ACCEPTED_FORMATS

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]

_FILE_SIZE = 0  # column of the file's bytes


@dataclass(frozen=True)
class Baseline:
    """Its answers on the test pictures in order of digest: `probabilities` [n], forged from `threshold` on."""

    name: str
    description: str
    threshold: float
    probabilities: Floats


def baselines(image_set: Path, seed: int) -> list[Baseline]:
    """Fit on the train split, threshold from the validation split, answers on the test split.

    One pass over the image set; only headers are kept.
    """
    parts = _read(image_set)
    train, test = parts["train"], parts["test"]
    majority = 1.0 if train.labels.mean() >= 0.5 else 0.0
    everything = np.arange(train.features.shape[1])
    return [
        Baseline("always_forged", "says forged to every picture", 0.5, np.ones(len(test.labels))),
        Baseline("majority", "says the commoner class of the train split", 0.5, np.full(len(test.labels), majority)),
        _fitted("file_size", "boosted trees on the number of bytes alone", [_FILE_SIZE], parts, seed),
        _fitted(
            "header_only",
            "boosted trees on format, size and JPEG quantisation tables, without a pixel",
            list(everything),
            parts,
            seed,
        ),
    ]


@dataclass
class _Headers:
    """Of one split, in order of digest; a hundred bytes a picture."""

    values: "array[float]" = field(default_factory=lambda: array("d"))
    forged: "array[int]" = field(default_factory=lambda: array("b"))

    @property
    def features(self) -> Floats:
        return np.frombuffer(self.values).reshape(len(self.forged), -1)

    @property
    def labels(self) -> NDArray[np.bool_]:
        return np.frombuffer(self.forged, np.bool_)


def _read(image_set: Path) -> dict[Split, _Headers]:
    parts = {split: _Headers() for split in SPLITS}
    for picture, encoded in read_encoded(image_set, SPLITS):
        headers = parts[picture.split]
        headers.values.extend(header_features(picture, encoded))
        headers.forged.append(picture.label == "forged")
    return parts


def header_features(picture: Picture, encoded: bytes) -> list[float]:
    """File size, size in pixels, bytes per pixel, the two quantisation tables' first entry and mean, the format."""
    pixels = picture.width * picture.height
    tables: dict[int, list[int]] = getattr(Image.open(io.BytesIO(encoded)), "quantization", {})
    quantisation = [value for index in (0, 1) for value in _first_and_mean(tables.get(index, ()))]
    formats = [float(picture.format == name) for name in ACCEPTED_FORMATS]
    bytes_per_pixel = picture.bytes / pixels
    aspect = math.log(picture.width / picture.height)
    return [float(picture.bytes), float(pixels), aspect, bytes_per_pixel, *quantisation, *formats]


def _first_and_mean(table: Iterable[int]) -> tuple[float, float]:
    values = list(table)
    return (float(values[0]), sum(values) / len(values)) if values else (0.0, 0.0)


def _fitted(name: str, description: str, columns: list[int], parts: dict[Split, _Headers], seed: int) -> Baseline:
    train, validation, test = (parts[split] for split in SPLITS)
    # Leaves of five let it learn from demo sets of a few dozen pictures.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    model = HistGradientBoostingClassifier(min_samples_leaf=5, random_state=seed)
    # On so few columns threads wait for each other: on busy cores two took ten times as long as one, and more.
    with threadpool_limits(1):
        model.fit(train.features[:, columns], train.labels)
        rule = choose_rule(validation.labels, _forged(model, validation.features[:, columns]))
        return Baseline(name, description, rule.threshold, _forged(model, test.features[:, columns]))


def _forged(model: "HistGradientBoostingClassifier", features: Floats) -> Floats:
    probabilities: Floats = np.asarray(model.predict_proba(features)[:, 1], np.float64)
    return probabilities
