"""What models answer to the test pictures as they are, in views, cropped and damaged: one pass over the files."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.cores import available_cores
from forgery.dataset.manifest import Picture
from forgery.dataset.shards import read_with_masks
from forgery.engine import ACTIVATION_MAP, PROBABILITY, Engine
from forgery.errors import DataRejected, PictureRejected
from forgery.evaluation.controls import control_crop
from forgery.evaluation.maps import centre_box, measure_map, plain_ela, read_mask
from forgery.evaluation.robustness import DAMAGES
from forgery.histories import Save
from forgery.parallel import in_order
from forgery.picture import UNLIMITED, decode
from forgery.progress import track
from forgery.recipes import Evidence, Recipe
from forgery.views import HARMONISED, MATCHED, in_view

Kind = Literal["view", "control", "damage"]
# E.g. ("view", "raw"), ("control", "shared"), ("damage", "jpeg:70").
Condition = tuple[Kind, str]

_BATCH = 32
# Streams of random numbers: where a control crop lies, and noise.
_CROP, _NOISE = 1, 2


@dataclass(frozen=True)
class Plan:
    """Which pictures are asked about in which condition, by their positions in the test split.

    Attributes:
        views: Positions by view.
        sampled: Positions that control crops are taken of and, where they have a mask, maps compared with it.
        damaged: Positions that are damaged in each way.
        saves: Of forged pictures of the train split, for the view `matched`.
    """

    views: Mapping[str, Collection[int]]
    sampled: Collection[int]
    damaged: Collection[int]
    saves: Sequence[Save] = ()


@dataclass
class Answers:
    """Of one model.

    Attributes:
        probabilities: By condition, then by position of the picture.
        maps: By view and method (`map`, `ela`, `centre`), then by position: the figures of `forgery.evaluation.maps`.
    """

    probabilities: dict[Condition, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    maps: dict[tuple[str, str], dict[int, dict[str, float]]] = field(default_factory=lambda: defaultdict(dict))


@dataclass(frozen=True)
class _Asked:
    """One question to a model; a mask, [H, W], where its map is compared, with the figures of other methods."""

    condition: Condition
    position: int
    evidence: Evidence
    mask: NDArray[np.uint8] | None = None
    others: Mapping[str, dict[str, float]] = field(default_factory=dict)


def ask(image_set: Path, digests: Sequence[str], plan: Plan, engines: Sequence[Engine]) -> list[Answers]:
    """Answers of each engine, each with its own recipe; what models with one recipe share is computed once.

    Args:
        image_set: Its test split is read.
        digests: Of the test pictures, in order of position.
        plan: What is asked.
        engines: The models, loaded.

    Raises:
        DataRejected: A picture cannot be read any more.
    """
    position = {digest: index for index, digest in enumerate(digests)}
    answers = [Answers() for _ in engines]
    for recipe in dict.fromkeys(engine.recipe for engine in engines):
        using = [(engine, mine) for engine, mine in zip(engines, answers, strict=True) if engine.recipe == recipe]
        questions = chain.from_iterable(_questions(image_set, position, plan, recipe))
        while batch := list(islice(questions, _BATCH)):
            maps = np.stack([each.evidence for each in batch])
            for engine, mine in using:
                _note(batch, engine, maps, mine)
    return answers


def _note(batch: Sequence[_Asked], engine: Engine, maps: Evidence, answers: Answers) -> None:
    found = engine.predict(maps, (PROBABILITY, ACTIVATION_MAP))
    for asked, probability, activation in zip(batch, found[PROBABILITY], found[ACTIVATION_MAP], strict=True):
        answers.probabilities[asked.condition][asked.position] = float(probability)
        if asked.mask is not None:
            view = asked.condition[1]
            answers.maps[view, "map"][asked.position] = measure_map(activation, asked.mask, shown=True)
            for method, figures in asked.others.items():
                answers.maps[view, method][asked.position] = figures


def _questions(image_set: Path, position: Mapping[str, int], plan: Plan, recipe: Recipe) -> Iterator[list[_Asked]]:
    cores = available_cores()
    with ThreadPoolExecutor(cores) as pool:  # codecs let go of the interpreter lock

        def compute(file: tuple[Picture, bytes, bytes | None]) -> list[_Asked]:
            return list(_of_subject(_subject(*file, position, recipe), plan))

        found = in_order(pool, compute, read_with_masks(image_set, ("test",)), most=3 * cores)
        yield from (asked for _, asked in track(found, len(position), f"scoring on {recipe.name}"))


@dataclass(frozen=True)
class _Subject:
    """One picture as it is asked about: pixels and mask as the recipe turns them."""

    row: Picture
    position: int
    picture: Image.Image
    mask: Image.Image | None
    recipe: Recipe

    def random(self, stream: int) -> np.random.Generator:
        """Depends on the picture alone, so that every model is asked about the same."""
        return np.random.default_rng([self.number, stream])

    @property
    def number(self) -> int:
        """Of 64 bits, from the digest."""
        return int.from_bytes(hashlib.sha256(self.row.digest.encode()).digest()[:8])


def _subject(row: Picture, encoded: bytes, mask: bytes | None, position: Mapping[str, int], recipe: Recipe) -> _Subject:
    try:
        picture = decode(encoded, UNLIMITED, upright=recipe.upright)
    except PictureRejected as error:
        raise DataRejected(f"test picture {row.digest} cannot be read any more: {error}") from error
    grey = None if mask is None else read_mask(mask, encoded if recipe.upright else None)
    return _Subject(row, position[row.digest], picture, grey, recipe)


def _of_subject(subject: _Subject, plan: Plan) -> Iterator[_Asked]:
    first = None
    if plan.saves and subject.row.label == "authentic":
        first = plan.saves[subject.number % len(plan.saves)]
    known: dict[str, list[_Asked]] = {}
    for view in (view for view, wanted in plan.views.items() if subject.position in wanted):
        # Without a save of its own a picture in `matched` is the one in `harmonised`, and so is its map.
        if view == MATCHED and first is None and HARMONISED in known:
            known[view] = [replace(each, condition=(each.condition[0], view), mask=None) for each in known[HARMONISED]]
        else:
            seen = in_view(view, subject.picture, first)
            known[view] = list(_in_view(subject, view, seen, subject.position in plan.sampled))
        yield from known[view]
    if subject.position in plan.damaged:
        for damage in DAMAGES:
            damaged = damage.apply(subject.picture, subject.random(_NOISE))
            yield _Asked(("damage", damage.name), subject.position, subject.recipe.compute(damaged))


def _in_view(subject: _Subject, view: str, seen: Image.Image, sampled: bool) -> Iterator[_Asked]:
    mask, at, compute = subject.mask, subject.position, subject.recipe.compute
    if not sampled or mask is None:
        yield _Asked(("view", view), at, compute(seen))
    else:
        marked = np.asarray(mask)
        others = {"ela": measure_map(plain_ela(seen), marked), "centre": measure_map(centre_box(), marked)}
        yield _Asked(("view", view), at, compute(seen), marked, others)
    # A forged picture without a mask has no place that is known to be authentic.
    if sampled and (mask is not None or subject.row.label == "authentic"):
        crop = control_crop(seen, mask, subject.random(_CROP))
        if crop is not None:
            yield _Asked(("control", view), at, compute(crop))
