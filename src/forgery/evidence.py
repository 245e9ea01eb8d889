"""The ELA step: from an image set, or one part of it, to its evidence maps, lossless, on every core.

It writes what `forgery.evidence_set` describes, whose names are those of this module too.
The test split is not here: evaluation computes it anew with the recipe of each model it compares.
"""

import itertools
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from forgery.cores import available_cores
from forgery.dataset.manifest import DatasetInfo, Picture, ShardInfo, Split, read_info, read_pictures
from forgery.dataset.shards import MEGABYTE, read_some, require_intact
from forgery.errors import InvalidConfig
from forgery.evidence_cache import EvidenceCache, FoundMaps
from forgery.evidence_hosts import with_hosts
from forgery.evidence_maps import KnownMap, Work, missing_maps
from forgery.evidence_packs import PackWriter, merge_small
from forgery.evidence_parts import shards_of_part
from forgery.evidence_set import (
    EVIDENCE_SPLITS,
    INDEX_FILE,
    INFO_FILE,
    MASK_UNKNOWN,
    WHOLE,
    EvidenceInfo,
    EvidenceRow,
    StoredMap,
    checksum,
    decode_map,
    encode_map,
    mask_channel,
    read_evidence_info,
    read_index,
    stored_shape,
)
from forgery.evidence_writing import EvidenceWriter
from forgery.histories import MATCHED, ForgedSaves, read_forged_saves
from forgery.progress import track
from forgery.recipes import Recipe
from forgery.variants import ORIGINAL, PASTED, Copy, parse_variants
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
# Pictures planned before the first of them is read, so that a bucket can be asked for several at once.
_AHEAD: Final = 64


@dataclass(frozen=True)
class _Job:
    """What is asked of the step."""

    image_set: Path
    info: DatasetInfo
    recipe: Recipe
    copies: tuple[Copy, ...]
    saves: ForgedSaves | None
    shards: Sequence[ShardInfo]
    cache: EvidenceCache
    pack_bytes: int
    in_packs: bool

    def variants(self, split: Split) -> tuple[Copy, ...]:
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
    in_packs: bool = False,
) -> EvidenceInfo:
    """Compute the maps of the train and validation splits.

    The bytes written depend on image set, recipe, variants, sizes and part alone, not on the number of workers or on
    what the cache holds, but for `places.jsonl`; the maps and their digest not on the parts either.

    Args:
        image_set: What ingest wrote.
        out: The evidence set's folder; it appears whole or not at all.
        recipe: Fixes every pixel of the maps.
        variants: Further copies of the training pictures, e.g. `q85`, `x50q85`, `varied`, `pasted`; `matched` gives the
            pictures of both splits one file history first (`forgery.histories`), instead of copying them once more.
        shard_mb: Size of a shard in megabytes.
        workers: Processes; by default one per available core.
        part: One of `forgery.evidence_parts.part_names`, planned with the same sizes; the default is everything.
        shard_pictures: Most pictures of a part.
        cache: s3://bucket/prefix or file://PATH where maps are looked for and kept; empty for none.
        in_packs: Leave the maps in the cache and write down where they lie; else they are in `out` too.

    Raises:
        InvalidConfig: A variant or the cache is of no known form, or the cache is empty and maps are to be left there.
        StorageError: The image set is damaged, the disk is full, or the cache is and maps are to be left there.
    """
    if in_packs and not cache:
        raise InvalidConfig("maps cannot be left in a cache without one: name it, s3://bucket/prefix or file://PATH")
    info = read_info(image_set)
    job = _Job(
        image_set,
        info,
        recipe,
        parse_variants([name for name in variants if name != MATCHED]),
        read_forged_saves(image_set) if MATCHED in variants else None,
        shards_of_part(info, part, shard_mb, shard_pictures),
        EvidenceCache(cache, recipe, required=in_packs),
        shard_mb * MEGABYTE,
        in_packs,
    )
    pictures = sum(shard.pictures for shard in job.shards)
    workers = workers or (available_cores() if pictures > _FEW_PICTURES else 1)
    map_bytes = math.prod(stored_shape(recipe))
    needs_bytes = 0 if in_packs else map_bytes * pictures * (1 + len(job.copies))
    with whole_folder(out, INFO_FILE, needs_bytes) as folder:
        with EvidenceWriter(folder, part, shard_mb, in_packs) as writer:
            for work, maps in track(_compute(_work(job), job, workers), pictures, "computing evidence"):
                for variant, made in zip(work.names, maps, strict=True):
                    writer.add(work.picture, variant, made, reused=variant in work.known)
        summary = EvidenceInfo(
            recipe=recipe.name,
            dataset_digest=info.digest,
            variants=[ORIGINAL, *(copy.name for copy in job.copies)] + [MATCHED] * (job.saves is not None),
            masks=recipe.dense,
            part=part,
            place=job.cache.where if in_packs else "",
            **writer.summary(map_bytes),
        )
        (folder / INFO_FILE).write_text(summary.model_dump_json(indent=2) + "\n")
    logger.info("evidence %s: %d maps, %d of them from the cache", part, summary.maps, summary.reused)
    return summary


def _work(job: _Job) -> Iterator[Work]:
    """Each picture in order, with its bytes, and its host's, where a map of it is missing; no other is read."""
    planned = _planned(job)
    while some := list(itertools.islice(planned, _AHEAD)):
        read = read_some(job.image_set, [picture for work in some for picture in work.read])
        for work in some:
            found = list(itertools.islice(read, len(work.read)))
            for picture, encoded, _ in found:
                require_intact(picture, encoded)
            if found:
                _, encoded, mask = found[0]
                work = replace(work, encoded=encoded, mask=mask, host_encoded=found[1][1] if found[1:] else b"")
            yield work


def _planned(job: _Job) -> Iterator[Work]:
    for split in EVIDENCE_SPLITS:
        shards = {shard.name: shard for shard in job.shards if shard.split == split}
        if not shards:
            continue
        if job.cache.used:
            ends = [shard.first for shard in shards.values()] + [shard.last for shard in shards.values()]
            merge_small(job.cache, min(ends), max(ends), job.pack_bytes)
        for name, rows in itertools.groupby(_pictures(job, split, shards), key=lambda row: row[0].shard):
            kept = job.cache.find(shards[name].first, shards[name].last) if job.cache.used else None
            for picture, host in rows:
                yield _with_known(_new_work(picture, host, job), kept, job)


def _pictures(job: _Job, split: Split, shards: Mapping[str, ShardInfo]) -> Iterator[tuple[Picture, Picture | None]]:
    """The pictures of some shards in order, each with the one that what was forged in it is to be pasted into."""
    pictures = read_pictures(job.image_set, (split,), shards)
    if any(copy.name == PASTED for copy in job.variants(split)):
        return with_hosts(job.image_set, job.info, pictures, [*shards.values()][-1])
    return ((picture, None) for picture in pictures)


def _new_work(picture: Picture, host: Picture | None, job: _Job) -> Work:
    copies = tuple(copy for copy in job.variants(picture.split) if host or copy.name != PASTED)
    first, host_save = (
        job.saves.drawn(row.digest, row.label) if job.saves and row else None for row in (picture, host)
    )
    return Work(picture, copies, job.saves is not None, first, host, host_save)


def _with_known(work: Work, kept: FoundMaps | None, job: _Job) -> Work:
    known = {}
    found = kept.of(work.picture.digest) if kept else {}
    for name in work.names if found else ():
        for stored in found.get(work.key(name, job.recipe.dense), ()):
            if job.in_packs:
                known[name] = KnownMap(stored)
            elif png := job.cache.read(stored):
                known[name] = KnownMap(stored, png)
            if name in known:
                break
    return replace(work, known=known) if known else work


def _compute(works: Iterator[Work], job: _Job, workers: int) -> Iterator[tuple[Work, list[KnownMap]]]:
    """All maps of each picture, in the order of pictures; new ones are kept, packs of one split each."""
    packs = PackWriter(job.cache, job.pack_bytes)
    split: Split = EVIDENCE_SPLITS[0]
    try:
        for work, computed in missing_maps(works, job.recipe, workers):
            if work.picture.split != split:
                packs.flush()
                split = work.picture.split
            keys = {variant: work.key(variant, job.recipe.dense) for variant in computed}
            kept = packs.add(work.picture.digest, {keys[variant]: png for variant, png in computed.items()})
            made = {
                variant: KnownMap(kept.get(keys[variant]) or StoredMap("", 0, len(png), checksum(png)), png)
                for variant, png in computed.items()
            }
            yield work, [work.known.get(name) or made[name] for name in work.names]
    finally:
        packs.flush()  # what came before a damaged picture need not be computed again
