"""Streams of pictures: as the model's own, and shifted in ways that happen."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from forgery.config import DataOptions
from forgery.dataset.labels import Labelled
from forgery.dataset.layouts import read_layout
from forgery.dataset.sources import open_source
from forgery.monitoring.payloads import PictureFacts, Scored
from forgery.recipes import Evidence, Recipe, evidence

Score = Callable[[Sequence[Evidence]], Sequence[float]]
Copy = Callable[[bytes], bytes]
_BATCH: Final = 64


@dataclass(frozen=True)
class Seen:
    """One picture as the service sees it, and what only the experiment knows of it."""

    group: str
    forged: bool
    scored: Scored


def _saved(format_name: str, percent: int = 100, **options: int) -> Copy:
    def copy(encoded: bytes) -> bytes:
        with Image.open(io.BytesIO(encoded)) as opened:
            picture = opened.convert("RGB")
        if percent != 100:
            size = picture.width * percent // 100, picture.height * percent // 100
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        out = io.BytesIO()
        picture.save(out, format_name, **options)
        return out.getvalue()

    return copy


SAME: Final = "as before"
# What happens to pictures on their way; each is applied to every picture of a stream.
COPIES: Final[Mapping[str, Copy]] = {
    SAME: bytes,
    "saved again, JPEG 90": _saved("JPEG", quality=90),
    "saved again, JPEG 70": _saved("JPEG", quality=70),
    "half size, JPEG 85": _saved("JPEG", 50, quality=85),
    "WebP 80": _saved("WEBP", quality=80),
    "screenshots (PNG)": _saved("PNG"),
}


def read_pictures(folder: Path) -> list[tuple[Labelled, bytes]]:
    """The pictures of a source folder, labelled and with their groups."""
    with open_source(str(folder), DataOptions(), seed=0) as source:
        listing = read_layout(source, list(source.entries()), DataOptions())
        return [(labelled, source.read(labelled.name)) for labelled in listing.pictures]


def see(pictures: Sequence[tuple[Labelled, bytes]], copy: Copy, recipe: Recipe, score: Score) -> list[Seen]:
    """The stream of copies of `pictures`, scored.

    Args:
        pictures: From `read_pictures`.
        copy: Of `COPIES`.
        recipe: Of the model.
        score: Evidence maps, uint8 [H, W, C] each, to probabilities of forged.
    """
    seen: list[Seen] = []
    for start in range(0, len(pictures), _BATCH):
        batch = pictures[start : start + _BATCH]
        files = [copy(encoded) for _, encoded in batch]
        maps = [evidence(file, recipe) for file in files]
        for (labelled, _), file, levels, probability in zip(batch, files, maps, score(maps), strict=True):
            facts = PictureFacts.measure(file, levels).model_dump()
            group = labelled.group or labelled.name
            seen.append(Seen(group, labelled.label == "forged", Scored(probability_forged=float(probability), **facts)))
    return seen


def fewer_forged(seen: Sequence[Seen], share: float, seed: int) -> list[Seen]:
    """The same stream with that share of forged pictures among it, by leaving some out."""
    authentic = [each for each in seen if not each.forged]
    forged = [each for each in seen if each.forged]
    count = min(len(forged), round(share / (1 - share) * len(authentic)))
    chosen = np.random.default_rng(seed).permutation(len(forged))[:count]
    return [*authentic, *(forged[index] for index in chosen)]
