"""Score encoded pictures with a bundle, in process: what evaluation does and what serving answers, without a server."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from forgery.bundle import Bundle
from forgery.decision import Label
from forgery.engine import PROBABILITY, Engine
from forgery.errors import ForgeryError
from forgery.picture import DEFAULT_LIMITS, Limits
from forgery.recipes import Evidence, Recipe, evidence

# A picture's bytes, or what reads them when their turn comes.
Content = bytes | Callable[[], bytes]

# For pictures that were held to the limits when they were taken in.
NO_LIMITS = Limits(max_bytes=2**63, max_pixels=2**63)


@dataclass(frozen=True)
class ScoredPicture:
    """A verdict; `probability_forged` is calibrated, in [0, 1]."""

    name: str
    label: Label
    probability_forged: float
    threshold: float
    model_version: str

    def record(self) -> dict[str, Any]:
        """As one JSON object: file, label, probability_forged, threshold, model_version."""
        return {
            "file": self.name,
            "label": self.label,
            "probability_forged": self.probability_forged,
            "threshold": self.threshold,
            "model_version": self.model_version,
        }


@dataclass(frozen=True)
class FailedPicture:
    """A picture that got no verdict: the sentence for people, the code of `PictureRejected` for programs."""

    name: str
    error: str
    reason: str

    def record(self) -> dict[str, Any]:
        """As one JSON object: file, error."""
        return {"file": self.name, "error": self.error}


def score_pictures(
    bundle: Bundle,
    pictures: Iterable[tuple[str, Content]],
    limits: Limits = DEFAULT_LIMITS,
    batch_size: int = 32,
    engine: Engine | None = None,
) -> Iterator[ScoredPicture | FailedPicture]:
    """Score pictures in batches, in the order given; nothing is read ahead beyond a batch.

    Args:
        bundle: The model, its recipe and its decision rule.
        pictures: Name and encoded bytes of each; or, for the bytes, a function that reads them, e.g.
            `partial(read, path)`.
        limits: What a file may be. A picture that is rejected, or whose function raises a `ForgeryError`, becomes a
            `FailedPicture` and stops nothing.
        batch_size: Pictures held in memory at once.
        engine: The bundle's model where it is loaded already.

    Yields:
        One result for each picture.
    """
    engine = engine or Engine(bundle)
    rest = iter(pictures)
    # Pillow lets go of the interpreter lock while it decodes, encodes and resizes.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while batch := list(islice(rest, batch_size)):
            found = list(pool.map(lambda item: _evidence(item[1], engine.recipe, limits), batch))
            probabilities = iter(_probabilities(engine, [each for each in found if not isinstance(each, Exception)]))
            for (name, _), each in zip(batch, found, strict=True):
                if isinstance(each, ForgeryError):
                    yield FailedPicture(name, str(each), getattr(each, "reason", "unreadable"))
                else:
                    yield _verdict(bundle, name, next(probabilities))


def _evidence(content: Content, recipe: Recipe, limits: Limits) -> Evidence | ForgeryError:
    try:
        return evidence(content if isinstance(content, bytes) else content(), recipe, limits)
    except ForgeryError as error:
        return error


def _probabilities(engine: Engine, maps: list[Evidence]) -> list[float]:
    if not maps:
        return []
    return [float(each) for each in engine.predict(np.stack(maps))[PROBABILITY]]


def _verdict(bundle: Bundle, name: str, probability: float) -> ScoredPicture:
    rule = bundle.info.decision
    return ScoredPicture(name, rule.label(probability), probability, rule.threshold, bundle.digest)
