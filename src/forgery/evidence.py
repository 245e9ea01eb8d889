"""The ELA step: from an image set, or one part of it, to its evidence maps, lossless, in shards, on every core.

It writes what `forgery.evidence_set` describes, whose names are those of this module too.
The test split is not here: evaluation computes it anew with the recipe of each model it compares.
"""

import contextlib
import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from forgery.cores import available_cores
from forgery.dataset.manifest import Picture, ShardInfo, Split, read_info
from forgery.dataset.shards import MEGABYTE, ShardWriter, read_with_masks, require_intact
from forgery.evidence_cache import EvidenceCache, KeptMaps
from forgery.evidence_maps import Work, missing_maps
from forgery.evidence_parts import shards_of_part
from forgery.evidence_set import (
    EVIDENCE_SPLITS,
    INDEX_FILE,
    INFO_FILE,
    MASK_UNKNOWN,
    WHOLE,
    EvidenceInfo,
    EvidenceRow,
    decode_map,
    encode_map,
    mask_channel,
    read_evidence_info,
    read_index,
    stored_shape,
)
from forgery.histories import MATCHED, ForgedSaves, read_forged_saves
from forgery.progress import track
from forgery.recipes import Recipe
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

logger = logging.getLogger(__name__)

# Starting workers costs as much as some hundred small maps.
_FEW_PICTURES: Final = 64


@dataclass(frozen=True)
class _Job:
    """What is asked of the step."""

    image_set: Path
    recipe: Recipe
    copies: tuple[Variant, ...]
    saves: ForgedSaves | None
    shards: Sequence[ShardInfo] | None  # None: all
    cache: EvidenceCache
    pack_bytes: int

    def variants(self, split: Split) -> tuple[Variant, ...]:
        """Copies of training pictures alone: validation is to be like what is served."""
        return self.copies if split == "train" else ()


def build_evidence(
    image_set: Path,
    out: Path,
    recipe: Recipe,
    variants: Sequence[str] = (),
    shard_mb: int = 64,
    workers: int | None = None,
    *,
    part: str = WHOLE,
    shard_pictures: int = 0,
    cache: str = "",
) -> EvidenceInfo:
    """Compute the maps of the train and validation splits.

    The bytes written depend on image set, recipe, variants, sizes and part alone, not on the number of workers or on
    what the cache holds; the maps and their digest not on the parts either.

    Args:
        image_set: What ingest wrote.
        out: The evidence set's folder; it appears whole or not at all.
        recipe: Fixes every pixel of the maps.
        variants: Further copies of the training pictures, e.g. `q85`, `x50`, `x50q85`; `matched` gives the pictures of
            both splits one file history first (`forgery.histories`), instead of copying them once more.
        shard_mb: Size of a shard in megabytes.
        workers: Processes; by default one per available core.
        part: One of `forgery.evidence_parts.part_names`, planned with the same sizes; the default is everything.
        shard_pictures: Most pictures of a part.
        cache: s3://bucket/prefix or file://PATH where maps are looked for and kept; empty for none.

    Raises:
        InvalidConfig: A variant or the cache is of no known form.
        StorageError: The image set is damaged, or the disk is full.
    """
    info = read_info(image_set)
    job = _Job(
        image_set,
        recipe,
        parse_variants([name for name in variants if name != MATCHED]),
        read_forged_saves(image_set) if MATCHED in variants else None,
        None if part == WHOLE else shards_of_part(info, part, shard_mb, shard_pictures),
        EvidenceCache(cache, recipe),
        shard_mb * MEGABYTE,
    )
    pictures = _count(info.counts, job)
    workers = workers or (available_cores() if pictures > _FEW_PICTURES else 1)
    map_bytes = math.prod(stored_shape(recipe))
    with whole_folder(out, INFO_FILE, map_bytes * pictures * (1 + len(job.copies))) as folder:
        works = track(_compute(_work(job), job, workers), pictures, "computing evidence")
        summary = EvidenceInfo(
            recipe=recipe.name,
            dataset_digest=info.digest,
            variants=[ORIGINAL, *(copy.name for copy in job.copies)] + [MATCHED] * (job.saves is not None),
            masks=recipe.dense,
            part=part,
            **_write(folder, works, part, shard_mb).summary(map_bytes),
        )
        (folder / INFO_FILE).write_text(summary.model_dump_json(indent=2) + "\n")
    logger.info("evidence %s: %d maps, %d of them from the cache", part, summary.maps, summary.reused)
    return summary


def _count(counts: dict[str, dict[str, int]], job: _Job) -> int:
    if job.shards is not None:
        return sum(shard.pictures for shard in job.shards)
    return sum(sum(counts[split].values()) for split in EVIDENCE_SPLITS)


def _work(job: _Job) -> Iterator[Work]:
    for split in EVIDENCE_SPLITS:
        shards = None if job.shards is None else [shard.name for shard in job.shards if shard.split == split]
        if shards == []:
            continue
        kept = job.cache.between(*_range(job.shards, split))
        for picture, encoded, mask in read_with_masks(job.image_set, (split,), shards):
            require_intact(picture, encoded)
            first_save = None if job.saves is None else job.saves.drawn(picture.digest, picture.label)
            work = Work(picture, encoded, mask, job.variants(split), job.saves is not None, first_save)
            yield _with_known(work, kept, job.recipe.dense)


def _range(shards: Sequence[ShardInfo] | None, split: Split) -> tuple[str, str]:
    """First and last digest of the pictures, which are in order; the whole range where all are read."""
    mine = [shard for shard in shards or () if shard.split == split]
    return (mine[0].first, mine[-1].last) if mine else ("0", "g")


def _with_known(work: Work, kept: KeptMaps, dense: bool) -> Work:
    found = kept.take(work.picture.digest)
    keys = {name: work.key(name, dense) for name in work.names} if found else {}
    return replace(work, known={name: found[key] for name, key in keys.items() if key in found})


class _Written:
    """Counts and digest of what was written."""

    def __init__(self) -> None:
        self._counts = {split: {"authentic": 0, "forged": 0} for split in EVIDENCE_SPLITS}
        self._sum = self._reused = 0

    def add(self, picture: Picture, member: str, png: bytes, reused: bool) -> None:
        self._counts[picture.split][picture.label] += 1
        self._reused += reused
        self._sum += int.from_bytes(hashlib.sha256(member.encode() + png).digest())

    def summary(self, map_bytes: int) -> dict[str, Any]:
        maps = sum(sum(labels.values()) for labels in self._counts.values())
        digest = f"{self._sum % 2**256:064x}"
        return {
            "counts": self._counts,
            "maps": maps,
            "map_bytes": maps * map_bytes,
            "reused": self._reused,
            "digest": digest,
        }


def _write(folder: Path, computed: Iterable[tuple[Work, list[bytes]]], part: str, shard_mb: int) -> _Written:
    written = _Written()
    with contextlib.ExitStack() as stack:
        index = stack.enter_context((folder / INDEX_FILE).open("w"))
        stems = {split: f"{split}-{part.partition('-')[0]}" for split in EVIDENCE_SPLITS}
        writers = {split: stack.enter_context(ShardWriter(folder, stem, shard_mb)) for split, stem in stems.items()}
        for work, maps in computed:
            picture = work.picture
            for variant, png in zip(work.names, maps, strict=True):
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
                written.add(picture, member, png, reused=variant in work.known)
    return written


def _compute(works: Iterator[Work], job: _Job, workers: int) -> Iterator[tuple[Work, list[bytes]]]:
    """All maps of each picture, in the order of pictures; new ones are kept, a pack at a time."""
    packs = job.cache.writer(job.pack_bytes)
    try:
        for work, computed in missing_maps(works, job.recipe, workers):
            new = {work.key(variant, job.recipe.dense): png for variant, png in computed.items()}
            packs.add(work.picture.digest, new)
            yield work, [(work.known | computed)[name] for name in work.names]
    finally:
        packs.flush()  # what came before a damaged picture need not be computed again
