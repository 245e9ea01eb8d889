"""The ELA step: from an image set to its evidence maps, lossless, in shards, on every core.

It writes what `forgery.evidence_set` describes, whose names are those of this module too.
The test split is not here: evaluation computes it anew with the recipe of each model it compares.
"""

import contextlib
import itertools
import math
import multiprocessing
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from forgery.cores import available_cores
from forgery.dataset.manifest import Picture, Split, read_info
from forgery.dataset.shards import ShardWriter, read_with_masks
from forgery.errors import ForgeryError, StorageError
from forgery.evidence_set import (
    EVIDENCE_SPLITS,
    INDEX_FILE,
    INFO_FILE,
    MASK_UNKNOWN,
    EvidenceInfo,
    EvidenceRow,
    decode_map,
    encode_map,
    mask_channel,
    read_evidence_info,
    read_index,
    stored_shape,
)
from forgery.histories import MATCHED, Save, matched, read_forged_saves
from forgery.parallel import in_order
from forgery.picture import UNLIMITED
from forgery.progress import track
from forgery.recipes import Recipe, evidence, parse_recipe
from forgery.variants import ORIGINAL, Variant, parse_variants
from forgery.writing import whole_folder

__all__ = [
    "EVIDENCE_SPLITS",
    "INDEX_FILE",
    "INFO_FILE",
    "MASK_UNKNOWN",
    "EvidenceInfo",
    "EvidenceRow",
    "build_evidence",
    "decode_map",
    "encode_map",
    "mask_channel",
    "read_evidence_info",
    "read_index",
    "stored_shape",
]

# Starting workers costs as much as some hundred small maps.
_FEW_PICTURES: Final = 64
# Few enough that no core waits long for the last ones, enough to make the way to a worker cheap.
_CHUNK_PICTURES: Final = 8


@dataclass(frozen=True)
class _Work:
    """One picture for a worker: its bytes, and the copies to take maps of."""

    picture: Picture
    encoded: bytes
    mask: bytes | None
    variants: tuple[Variant, ...]


def build_evidence(
    image_set: Path,
    out: Path,
    recipe: Recipe,
    variants: Sequence[str] = (),
    shard_mb: int = 64,
    workers: int | None = None,
) -> EvidenceInfo:
    """Compute the maps of the train and validation splits.

    The bytes written depend on image set, recipe, variants and `shard_mb` alone, not on the number of workers.

    Args:
        image_set: What ingest wrote.
        out: The evidence set's folder; it appears whole or not at all.
        recipe: Fixes every pixel of the maps.
        variants: Further copies of the training pictures, e.g. `q85`, `x50`, `x50q85`; `matched` gives the pictures of
            both splits one file history first (`forgery.histories`), instead of copying them once more.
        shard_mb: Size of a shard in megabytes.
        workers: Processes; by default one per available core.

    Raises:
        InvalidConfig: A variant is of no known form.
        StorageError: The image set is damaged, or the disk is full.
    """
    copies = parse_variants([name for name in variants if name != MATCHED])
    saves = read_forged_saves(image_set) if MATCHED in variants else None
    info = read_info(image_set)
    per_split: dict[Split, tuple[Variant, ...]] = {"train": copies, "validation": ()}
    counts = {
        split: {label: count * (1 + len(per_split[split])) for label, count in info.counts[split].items()}
        for split in EVIDENCE_SPLITS
    }
    maps = sum(sum(labels.values()) for labels in counts.values())
    summary = EvidenceInfo(
        recipe=recipe.name,
        dataset_digest=info.digest,
        variants=[ORIGINAL, *(copy.name for copy in copies)] + [MATCHED] * (saves is not None),
        counts=counts,
        maps=maps,
        map_bytes=maps * math.prod(stored_shape(recipe)),
        masks=recipe.dense,
    )
    pictures = sum(sum(info.counts[split].values()) for split in EVIDENCE_SPLITS)
    workers = workers or (available_cores() if pictures > _FEW_PICTURES else 1)
    with whole_folder(out, INFO_FILE, summary.map_bytes) as folder:
        computed = _compute(_work(image_set, per_split, saves), recipe, workers)
        _write(folder, track(computed, pictures, "computing evidence"), summary.variants, shard_mb)
        (folder / INFO_FILE).write_text(summary.model_dump_json(indent=2) + "\n")
    return summary


def _work(image_set: Path, variants: dict[Split, tuple[Variant, ...]], saves: Sequence[Save] | None) -> Iterator[_Work]:
    for split, copies in variants.items():
        for picture, encoded, mask in read_with_masks(image_set, (split,)):
            if saves is not None:
                encoded = matched(encoded, picture.digest, picture.label, saves, UNLIMITED)
            yield _Work(picture, encoded, mask, copies)


def _write(folder: Path, computed: Iterable[tuple[Picture, list[bytes]]], variants: list[str], shard_mb: int) -> None:
    with contextlib.ExitStack() as stack:
        index = stack.enter_context((folder / INDEX_FILE).open("w"))
        writers = {split: stack.enter_context(ShardWriter(folder, split, shard_mb)) for split in EVIDENCE_SPLITS}
        for picture, maps in computed:
            for variant, png in zip(variants, maps, strict=False):
                member = f"{picture.digest}.{variant}.png"
                row = EvidenceRow(
                    digest=picture.digest,
                    variant=variant,
                    label=picture.label,
                    group=picture.group,
                    split=picture.split,
                    shard=writers[picture.split].add([(member, png)]),
                    member=member,
                )
                index.write(row.model_dump_json() + "\n")


def _compute(works: Iterator[_Work], recipe: Recipe, workers: int) -> Iterator[tuple[Picture, list[bytes]]]:
    """Maps of each picture, in the order of pictures."""
    if workers == 1:
        for work in works:
            yield work.picture, _maps(work, recipe)
        return
    # Forking is quick and shares what is loaded; TensorFlow's threads do not survive it.
    method = "spawn" if "tensorflow" in sys.modules or not sys.platform.startswith("linux") else "fork"
    chunks = iter(lambda: list(itertools.islice(works, _CHUNK_PICTURES)), [])
    with ProcessPoolExecutor(workers, multiprocessing.get_context(method)) as pool:
        for chunk, maps in in_order(pool, partial(_maps_of_chunk, recipe.name), chunks, most=3 * workers):
            yield from zip((work.picture for work in chunk), maps, strict=True)


def _maps_of_chunk(recipe_name: str, chunk: list[_Work]) -> list[list[bytes]]:
    recipe = parse_recipe(recipe_name)
    return [_maps(work, recipe) for work in chunk]


def _maps(work: _Work, recipe: Recipe) -> list[bytes]:
    try:
        files = [work.encoded, *(copy.copy(work.encoded, UNLIMITED, recipe.upright) for copy in work.variants)]
        maps = [evidence(file, recipe, UNLIMITED) for file in files]
        if recipe.dense:
            mask = mask_channel(work.picture.label, work.encoded, work.mask, recipe)
            maps = [np.concatenate([each, mask], axis=2) for each in maps]
        return [encode_map(each) for each in maps]
    except ForgeryError as error:
        # Ingest decoded it, so it was changed since; a plain error also travels between processes.
        raise StorageError(f"picture {work.picture.digest} of the image set is damaged: {error}") from error
