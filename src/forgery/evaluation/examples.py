"""Pictures of the test split that show best what a model gets wrong and right, beside their evidence."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from forgery.dataset.manifest import Picture
from forgery.dataset.shards import read_encoded
from forgery.evaluation.scores import ModelScores
from forgery.picture import decode
from forgery.recipes import Evidence, parse_recipe
from forgery.scoring import NO_LIMITS
from forgery.views import RAW

_THUMBNAIL_PX = 224
_CHANNELS_OF_COLOUR = 3


@dataclass(frozen=True)
class Example:
    """One picture with its evidence, both as `data:` URIs of thumbnails."""

    name: str
    label: str
    verdict: str
    probability_forged: float
    right: bool
    manipulation: str | None
    picture_uri: str
    evidence_uri: str


def collect_examples(image_set: Path, scores: ModelScores, errors: int = 6, right: int = 3) -> list[Example]:
    """The worst errors and the surest right answers, so many of each class, worst and surest first.

    Worst is what lies farthest on the wrong side of the threshold, of the files as they are.
    """
    order = {digest: rank for rank, digest in enumerate(_chosen(scores, errors, right))}
    wanted = ((picture, encoded) for picture, encoded in read_encoded(image_set, ("test",)) if picture.digest in order)
    raw = scores.views[RAW]
    digests = [scores.pictures.digests[at] for at in raw.pictures]
    probabilities = dict(zip(digests, raw.probabilities, strict=True))
    found = [
        (order[picture.digest], _example(picture, encoded, probabilities[picture.digest], scores))
        for picture, encoded in wanted
    ]
    return [example for _, example in sorted(found, key=lambda each: each[0])]


def _chosen(scores: ModelScores, errors: int, right: int) -> Iterable[str]:
    outcome, positions = scores.outcome_in([RAW]), scores.positions_in([RAW])
    # Positive where the answer is right; how far from the threshold either way.
    margin = (outcome.probabilities - outcome.threshold) * np.where(outcome.forged, 1, -1)
    correct = (outcome.probabilities >= outcome.threshold) == outcome.forged
    for wanted, count, ranking in ((False, errors, margin), (True, right, -margin)):
        for forged in (True, False):
            candidates = np.flatnonzero((correct == wanted) & (outcome.forged == forged))
            for index in candidates[np.argsort(ranking[candidates], kind="stable")][:count]:
                yield scores.pictures.digests[positions[index]]


def _example(picture: Picture, encoded: bytes, probability: float, scores: ModelScores) -> Example:
    recipe = parse_recipe(scores.recipe)
    pixels = decode(encoded, NO_LIMITS, upright=recipe.upright)
    called_forged = probability >= scores.threshold
    return Example(
        name=picture.name,
        label=picture.label,
        verdict=scores.decision.label(probability),
        probability_forged=probability,
        right=called_forged == (picture.label == "forged"),
        manipulation=picture.manipulation,
        picture_uri=_data_uri(pixels),
        evidence_uri=_data_uri(_as_picture(recipe.compute(pixels))),
    )


def _as_picture(evidence: Evidence) -> Image.Image:
    """The first three channels as colour, or the first as grey."""
    if evidence.shape[2] >= _CHANNELS_OF_COLOUR:
        return Image.fromarray(np.ascontiguousarray(evidence[..., :_CHANNELS_OF_COLOUR]))
    return Image.fromarray(np.ascontiguousarray(evidence[..., 0]))


def _data_uri(picture: Image.Image) -> str:
    thumbnail = picture.copy()
    thumbnail.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    encoded = io.BytesIO()
    thumbnail.save(encoded, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"
