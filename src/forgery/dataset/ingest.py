"""Ingest: from a source to an image set, two passes with flat memory.

First every file is read, checked and spooled; then, when labels, groups and rejects are all known, the splits are made
and the shards written in order of digest, so that equal content gives equal shards.
"""

import contextlib
import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.cores import available_cores
from forgery.dataset.intake import Draft, Facts, Intake, examine, open_spool, rejected_reasons
from forgery.dataset.labels import Labelled
from forgery.dataset.layouts import Listing, read_layout
from forgery.dataset.manifest import SPLITS, DatasetInfo, Picture, Split
from forgery.dataset.shards import ShardWriter
from forgery.dataset.sources import Entry, Source, open_source
from forgery.dataset.split import GroupSize, assign_splits, sample_groups
from forgery.errors import SourceError
from forgery.parallel import in_order
from forgery.picture import Limits
from forgery.progress import track
from forgery.writing import whole_folder

logger = logging.getLogger(__name__)

INFO_FILE: Final = "dataset.json"
_EXTENSIONS: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp"}
# Decoders release the interpreter lock; more readers than cores hide the latency of a bucket.
_READERS: Final = max(4, available_cores())


def ingest(source: str, out: Path, options: DataOptions, seed: int) -> DatasetInfo:
    """Read a source into an image set as described in `forgery.dataset.manifest`.

    Args:
        source: A folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, or demo:[N].
        out: The image set's folder; it appears whole or not at all.
        options: Layout, limits, fractions of the split.
        seed: Seeds sample and split.

    Returns:
        The summary that is also in `dataset.json`; its digest depends on content, labels, groups and masks only.

    Raises:
        SourceError: Nothing there, nothing readable, or nothing that can be labelled.
        StorageError: A bucket refused, or the disk is full.
    """
    with open_source(source, options, seed) as opened:
        listing = read_layout(opened, _list(opened, source, options), options)
        pictures = _sample(listing.pictures, options.sample_limit, seed)
        needs_bytes = 2 * sum(picture.size for picture in pictures)
        with whole_folder(out, INFO_FILE, needs_bytes) as folder, open_spool(folder) as spool:
            intake = Intake(spool)
            intake.rejects.extend(listing.rejects)
            _read_all(opened, pictures, options, intake)
            info = _write(folder, intake, listing, options, seed)
    logger.info("image set %s: %d pictures, %d rejects, %s", info.digest, info.pictures, info.rejects, info.counts)
    return info


def _list(source: Source, text: str, options: DataOptions) -> list[Entry]:
    entries = list(itertools.islice(source.entries(), options.max_pictures + 1))
    if not entries:
        raise SourceError(f"source {text} holds no files; check the path or prefix")
    if len(entries) > options.max_pictures:
        raise SourceError(f"source {text} holds more than max_pictures={options.max_pictures} files")
    return entries


def _sample(pictures: Sequence[Labelled], limit: int, seed: int) -> Sequence[Labelled]:
    if not limit or limit >= len(pictures):
        return pictures
    chosen = sample_groups(_sizes((each.group or each.name, each.label) for each in pictures), limit, seed)
    return [each for each in pictures if (each.group or each.name) in chosen]


def _sizes(pictures: Iterable[tuple[str, str]]) -> dict[str, GroupSize]:
    """Group sizes from pairs of group and label."""
    counts = Counter(pictures)
    groups = {group for group, _ in counts}
    return {group: GroupSize(counts[group, "authentic"], counts[group, "forged"]) for group in groups}


def _read_all(source: Source, pictures: Sequence[Labelled], options: DataOptions, intake: Intake) -> None:
    limits = Limits(max_bytes=options.max_bytes, max_pixels=options.max_pixels)
    with ThreadPoolExecutor(_READERS) as pool:
        examined = in_order(pool, lambda labelled: examine(source, labelled, limits), pictures, _READERS + 1)
        for _, each in track(examined, len(pictures), "reading pictures"):
            intake.add(each)


def _write(folder: Path, intake: Intake, listing: Listing, options: DataOptions, seed: int) -> DatasetInfo:
    drafts = intake.finish()
    if not drafts:
        first = f"; the first: {intake.rejects[0].name}: {intake.rejects[0].message}" if intake.rejects else ""
        raise SourceError(f"none of {len(listing.pictures)} pictures is accepted{first}")
    # Groups go by the smallest digest in them: names then change neither the split nor the data set's digest.
    canonical: dict[str, str] = {}
    for digest, draft in drafts:
        canonical.setdefault(draft.group, digest.hex())
    sizes = _sizes((canonical[draft.group], draft.label) for _, draft in drafts)
    splits = assign_splits(sizes, options.validation_fraction, options.test_fraction, seed)
    counts = {split: {"authentic": 0, "forged": 0} for split in SPLITS}
    content = hashlib.sha256()
    for picture, mask_digest in _write_pictures(folder, intake, drafts, canonical, splits, options.shard_mb):
        counts[picture.split][picture.label] += 1
        row = (picture.digest, picture.label, canonical[picture.group], mask_digest or "-")
        content.update(" ".join(row).encode() + b"\n")
    return _finish(
        folder,
        intake,
        DatasetInfo(
            digest=content.hexdigest()[:32],
            layout=listing.layout,
            seed=seed,
            pictures=len(drafts),
            rejects=len(intake.rejects),
            counts=counts,
        ),
    )


def _write_pictures(
    folder: Path,
    intake: Intake,
    drafts: Sequence[tuple[bytes, Draft]],
    canonical: Mapping[str, str],
    splits: Mapping[str, Split],
    shard_mb: int,
) -> Iterator[tuple[Picture, str | None]]:
    """Write shards and manifest; yields each picture with the digest of its mask."""
    with contextlib.ExitStack() as stack:
        writers = {split: stack.enter_context(ShardWriter(folder, split, shard_mb)) for split in SPLITS}
        manifest = stack.enter_context((folder / "manifest.jsonl").open("w"))
        for digest, draft in track(drafts, len(drafts), "writing shards"):
            facts, encoded, mask = intake.read(draft)
            split = splits[canonical[draft.group]]
            picture = _picture(digest.hex(), draft, facts, split, len(encoded))
            members = [(picture.member, encoded)]
            if picture.mask_member:
                members.append((picture.mask_member, mask))
            picture = picture.model_copy(update={"shard": writers[split].add(members)})
            manifest.write(picture.model_dump_json() + "\n")
            yield picture, facts.mask_digest


def _picture(digest: str, draft: Draft, facts: Facts, split: Split, size: int) -> Picture:
    return Picture(
        digest=digest,
        label=draft.label,
        group=draft.group,
        split=split,
        name=facts.name,
        format=facts.format,
        width=facts.width,
        height=facts.height,
        bytes=size,
        manipulation=facts.manipulation,
        shard="",
        member=f"{digest}.{_EXTENSIONS[facts.format]}",
        mask_member=f"{digest}.mask.png" if facts.mask_digest else None,
    )


def _finish(folder: Path, intake: Intake, info: DatasetInfo) -> DatasetInfo:
    with (folder / "rejects.jsonl").open("w") as lines:
        lines.writelines(reject.model_dump_json() + "\n" for reject in intake.rejects)
    for reason, count in rejected_reasons(intake.rejects):
        logger.warning("%d files rejected: %s", count, reason)
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")
    return info
