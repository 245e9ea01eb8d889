"""The reference of a model that is about to be sealed: its validation pictures, scored as the service would."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from forgery.dataset.manifest import Picture
from forgery.dataset.shards import read_encoded
from forgery.engine import PROBABILITY, Engine
from forgery.monitoring.payloads import PictureFacts, Scored
from forgery.monitoring.reference import Reference
from forgery.picture import UNLIMITED
from forgery.recipes import evidence

# Quantiles of 2,000 pictures are good to a percent or two, and more would only make bundles larger.
MOST_PICTURES: Final = 2000
_BATCH: Final = 32


def measure_reference(image_set: Path, engine: Engine, most: int = MOST_PICTURES) -> Reference:
    """Score the validation pictures of an image set from their files' bytes, as the service would.

    Evidence that was made for training will not do: there the pictures may have been saved once more first.
    """
    rows = islice(read_encoded(image_set, ("validation",)), most)
    groups: set[str] = set()
    return Reference(split="validation", pictures=tuple(_scored(rows, engine, groups)), groups=len(groups))


def _scored(rows: Iterable[tuple[Picture, bytes]], engine: Engine, groups: set[str]) -> Iterator[Scored]:
    rest = iter(rows)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(rest, _BATCH)):
            groups.update(picture.group for picture, _ in batch)
            maps = list(pool.map(lambda row: evidence(row[1], engine.recipe, UNLIMITED), batch))
            scores = engine.predict(np.stack(maps))[PROBABILITY]
            for (_, encoded), levels, score in zip(batch, maps, scores, strict=True):
                facts = PictureFacts.measure(encoded, levels).model_dump()
                # Coarse enough that the last bits of an addition do not give another bundle.
                yield Scored(probability_forged=round(float(score), 4), **facts)
