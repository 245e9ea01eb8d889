"""Pictures of the test split that show best what a model gets wrong and right, with its map and its evidence."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from forgery.dataset.manifest import Picture
from forgery.dataset.shards import read_with_masks
from forgery.engine import ACTIVATION_MAP, Engine
from forgery.evaluation.maps import read_mask
from forgery.evaluation.scores import ModelScores
from forgery.picture import decode
from forgery.recipes import Evidence
from forgery.recipes.ela import error_level
from forgery.scoring import NO_LIMITS
from forgery.views import RAW

_THUMBNAIL_PX = 224
_CHANNELS_OF_COLOUR = 3
_OUTLINE, _TINT = (0, 220, 255), (255, 64, 0)
# Of error levels that an eye is to see.
_GAIN = 15


@dataclass(frozen=True)
class Example:
    """One picture, its mask outlined where there is one, its map and its evidence, as `data:` URIs of thumbnails."""

    name: str
    label: str
    verdict: str
    probability_forged: float
    right: bool
    manipulation: str | None
    picture_uri: str
    map_uri: str
    evidence_uri: str


def collect_examples(
    image_set: Path, scores: ModelScores, engine: Engine, errors: int = 6, right: int = 3
) -> list[Example]:
    """The worst errors and the surest right answers, so many of each class, worst and surest first.

    Worst is what lies farthest on the wrong side of the threshold, of the files as they are.

    Args:
        image_set: Its test split is read.
        scores: Of the model whose answers are shown.
        engine: That model, loaded.
        errors: Most wrong answers of each class.
        right: Most right answers of each class.
    """
    raw = scores.views[RAW]
    probabilities = {
        scores.pictures.digests[at]: probability
        for at, probability in zip(raw.pictures, raw.probabilities, strict=True)
    }
    order = {digest: rank for rank, digest in enumerate(_chosen(scores, errors, right))}
    found = {
        row.digest: _example(row, encoded, mask, probabilities[row.digest], scores, engine)
        for row, encoded, mask in read_with_masks(image_set, ("test",))
        if row.digest in order
    }
    return [found[digest] for digest in order]


def _chosen(scores: ModelScores, errors: int, right: int) -> Iterator[str]:
    outcome, positions = scores.outcome_in([RAW]), scores.positions_in([RAW])
    # Positive where the answer is right; how far from the threshold either way.
    margin = (outcome.probabilities - outcome.threshold) * np.where(outcome.forged, 1, -1)
    correct = (outcome.probabilities >= outcome.threshold) == outcome.forged
    for wanted, count, ranking in ((False, errors, margin), (True, right, -margin)):
        for forged in (True, False):
            candidates = np.flatnonzero((correct == wanted) & (outcome.forged == forged))
            for index in candidates[np.argsort(ranking[candidates], kind="stable")][:count]:
                yield scores.pictures.digests[positions[index]]


def _example(
    row: Picture, encoded: bytes, mask: bytes | None, probability: float, scores: ModelScores, engine: Engine
) -> Example:
    recipe = engine.recipe
    picture = decode(encoded, NO_LIMITS, upright=recipe.upright)
    evidence = recipe.compute(picture)
    activation = engine.predict(evidence[None], (ACTIVATION_MAP,))[ACTIVATION_MAP][0]
    outlined = picture if mask is None else _outlined(picture, read_mask(mask, encoded if recipe.upright else None))
    return Example(
        name=row.name,
        label=row.label,
        verdict=scores.decision.label(probability),
        probability_forged=probability,
        right=(probability >= scores.threshold) == (row.label == "forged"),
        manipulation=row.manipulation,
        picture_uri=_data_uri(outlined),
        map_uri=_data_uri(_tinted(picture, activation)),
        evidence_uri=_data_uri(_to_look_at(evidence, picture)),
    )


def _outlined(picture: Image.Image, mask: Image.Image) -> Image.Image:
    small = _thumbnail(picture)
    marked = mask.resize(small.size, Image.Resampling.BOX).point(lambda level: 255 if level > 127 else 0)
    small.paste(_OUTLINE, mask=ImageChops.difference(marked.filter(ImageFilter.MaxFilter(3)), marked))
    return small


def _tinted(picture: Image.Image, activation: NDArray[np.float32]) -> Image.Image:
    """The picture in grey, tinted where the map speaks for forged: from .5 on, and fully at 1."""
    small = _thumbnail(picture).convert("L").convert("RGB")
    strength = (np.clip(2 * activation - 1, 0, 1) * 255).astype(np.uint8)
    small.paste(_TINT, mask=Image.fromarray(strength).resize(small.size, Image.Resampling.BILINEAR))
    return small


def _to_look_at(evidence: Evidence, picture: Image.Image) -> Image.Image:
    """Evidence in grey or colour as it is; of more channels nothing can be seen, there plain error levels."""
    if evidence.shape[2] == 1:
        return Image.fromarray(evidence[..., 0])
    if evidence.shape[2] == _CHANNELS_OF_COLOUR:
        return Image.fromarray(evidence)
    return error_level(picture, quality=90).point(lambda level: min(255, level * _GAIN))


def _thumbnail(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    return small


def _data_uri(picture: Image.Image) -> str:
    encoded = io.BytesIO()
    _thumbnail(picture).save(encoded, "WEBP", quality=80)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode()}"
