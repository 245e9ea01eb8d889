"""What models answer to the test pictures as they are, in views, cropped and damaged: one pass over the files."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.cores import available_cores
from forgery.dataset.manifest import Picture, read_pictures
from forgery.dataset.shards import read_some
from forgery.engine import ACTIVATION_MAP, PROBABILITY, Engine
from forgery.errors import DataRejected, PictureRejected
from forgery.evaluation.controls import control_crop
from forgery.evaluation.kept import KeptAnswers
from forgery.evaluation.maps import centre_box, measure_map, plain_ela, read_mask
from forgery.evaluation.plan import Condition, Plan
from forgery.evaluation.robustness import DAMAGES
from forgery.evidence_set import WHOLE
from forgery.parallel import in_order
from forgery.picture import UNLIMITED, decode
from forgery.progress import track
from forgery.recipes import Evidence, Recipe
from forgery.views import HARMONISED, MATCHED, in_view

_BATCH = 32
# Pictures whose answers are kept together: what a killed evaluation loses at most.
_BLOCK = 256
# Streams of random numbers: where a control crop lies, and noise.
_CROP, _NOISE = 1, 2


@dataclass
class Answers:
    """Of one model.

    Attributes:
        probabilities: By condition, then by position of the picture.
        maps: By view and method (`map`, `ela`, `centre`), then by position: the figures of `forgery.evaluation.maps`.
    """

    probabilities: dict[Condition, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    maps: dict[tuple[str, str], dict[int, dict[str, float]]] = field(default_factory=lambda: defaultdict(dict))

    def kept(self, digests: Sequence[str]) -> list[Any]:
        """As JSON, with digests for positions."""
        return [
            [[*key, [[digests[at], value] for at, value in found.items()]] for key, found in columns.items()]
            for columns in (self.probabilities, self.maps)
        ]

    def add(self, kept: list[Any], position: Mapping[str, int]) -> None:
        """Take what `kept` gave."""
        probabilities, maps = kept
        for kind, name, found in probabilities:
            self.probabilities[kind, name].update((position[digest], value) for digest, value in found)
        for view, method, found in maps:
            self.maps[view, method].update((position[digest], value) for digest, value in found)


@dataclass(frozen=True)
class _Asked:
    """One question to a model; a mask, [H, W], where its map is compared, with the figures of other methods."""

    condition: Condition
    position: int
    evidence: Evidence
    mask: NDArray[np.uint8] | None = None
    others: Mapping[str, dict[str, float]] = field(default_factory=dict)


def ask(
    image_set: Path,
    digests: Sequence[str],
    plan: Plan,
    engines: Sequence[Engine],
    kept: KeptAnswers | None = None,
    part: str = WHOLE,
) -> list[Answers]:
    """Answers of each engine, each with its own recipe; what models with one recipe share is computed once.

    Args:
        image_set: Its test split is read, as far as answers are missing.
        digests: Of the test pictures, in order of position, which is that of the shards.
        plan: What is asked.
        engines: The models, loaded.
        kept: Where answers are looked for and kept, made for the same models; None keeps none.
        part: Which of so many parts of the pictures to ask about, e.g. 00002-of-00017; the default is all.

    Raises:
        DataRejected: A picture cannot be read any more.
    """
    position = {digest: index for index, digest in enumerate(digests)}
    answers = [Answers() for _ in engines]
    kept = kept or KeptAnswers("", ())
    for recipe in dict.fromkeys(engine.recipe for engine in engines):
        using = [number for number, engine in enumerate(engines) if engine.recipe == recipe]
        missing = []
        for block in _blocks(digests, part):
            name = kept.name([recipe.name, using, [plan.of(digest, position) for digest in block]])
            if (found := kept.read(name)) is None:
                missing.append((block, name))
            else:
                _add(found, [answers[at] for at in using], position)
        files = _files(image_set, [digest for block, _ in missing for digest in block], f"scoring on {recipe.name}")
        for block, name in missing:
            asked = _ask_block(islice(files, len(block)), position, plan, [engines[at] for at in using])
            kept.write(name, found := [each.kept(digests) for each in asked])
            _add(found, [answers[at] for at in using], position)
    return answers


def _blocks(digests: Sequence[str], part: str) -> list[Sequence[str]]:
    """Those of a part; blocks are the same in however many parts."""
    blocks = [digests[start : start + _BLOCK] for start in range(0, len(digests), _BLOCK)]
    number, count = map(int, part.split("-of-"))
    return blocks[len(blocks) * number // count : len(blocks) * (number + 1) // count]


def _files(image_set: Path, digests: Sequence[str], title: str) -> Iterator[tuple[Picture, bytes, bytes | None]]:
    """The test pictures with these digests, in order; no other is read."""
    wanted = set(digests)
    rows = (row for row in read_pictures(image_set, ("test",)) if row.digest in wanted)
    yield from track(read_some(image_set, rows), len(digests), title)


def _add(found: Sequence[Any], answers: Sequence[Answers], position: Mapping[str, int]) -> None:
    for one, kept in zip(answers, found, strict=True):
        one.add(kept, position)


def _ask_block(
    pictures: Iterable[tuple[Picture, bytes, bytes | None]],
    position: Mapping[str, int],
    plan: Plan,
    engines: Sequence[Engine],
) -> list[Answers]:
    """Answers of engines of one recipe to some pictures."""
    answers = [Answers() for _ in engines]
    questions = chain.from_iterable(_questions(pictures, position, plan, engines[0].recipe))
    while batch := list(islice(questions, _BATCH)):
        maps = np.stack([each.evidence for each in batch])
        for engine, mine in zip(engines, answers, strict=True):
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


def _questions(
    pictures: Iterable[tuple[Picture, bytes, bytes | None]], position: Mapping[str, int], plan: Plan, recipe: Recipe
) -> Iterator[list[_Asked]]:
    cores = available_cores()
    with ThreadPoolExecutor(cores) as pool:  # codecs let go of the interpreter lock

        def compute(file: tuple[Picture, bytes, bytes | None]) -> list[_Asked]:
            return list(_of_subject(_subject(*file, position, recipe), plan))

        yield from (asked for _, asked in in_order(pool, compute, pictures, most=3 * cores))


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
        return np.random.default_rng([int.from_bytes(hashlib.sha256(self.row.digest.encode()).digest()[:8]), stream])


def _subject(row: Picture, encoded: bytes, mask: bytes | None, position: Mapping[str, int], recipe: Recipe) -> _Subject:
    try:
        picture = decode(encoded, UNLIMITED, upright=recipe.upright)
    except PictureRejected as error:
        raise DataRejected(f"test picture {row.digest} cannot be read any more: {error}") from error
    grey = None if mask is None else read_mask(mask, encoded if recipe.upright else None)
    return _Subject(row, position[row.digest], picture, grey, recipe)


def _of_subject(subject: _Subject, plan: Plan) -> Iterator[_Asked]:
    first = plan.saves.drawn(subject.row.digest, subject.row.label)
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
