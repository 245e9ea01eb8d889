"""The second pass of ingest: splits, shards and manifest from the spool."""

import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.dataset.intake import Draft, Facts, Intake
from forgery.dataset.manifest import SPLITS, DatasetInfo, Picture, ShardInfo, Split
from forgery.dataset.shards import ShardWriter
from forgery.dataset.split import assign_splits, group_sizes, require_train, split_of_digest
from forgery.dataset.stored import StoredShards, open_stored
from forgery.errors import SourceError
from forgery.histories import SaveList
from forgery.progress import track

logger = logging.getLogger(__name__)

INFO_FILE: Final = "dataset.json"
_EXTENSIONS: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp"}


@dataclass(frozen=True)
class _Plan:
    """Which split each picture goes to.

    A group goes by the smallest digest in it: names then change neither the split nor the data set's digest.
    """

    digests: Sequence[bytes]
    first_of_group: Mapping[str, bytes]
    splits: Mapping[bytes, Split]

    def group(self, digest: bytes, draft: Draft) -> bytes:
        return digest if draft.group is None else self.first_of_group[draft.group]


def write_image_set(
    folder: Path, intake: Intake, layout: str, options: DataOptions, seed: int, cache: str = ""
) -> DatasetInfo:
    """Write what the intake holds as an image set.

    Args:
        folder: An empty folder.
        intake: Every file of the source was added to it.
        layout: Of the source, for the summary.
        options: Fractions of the splits, size of the shards.
        seed: Of the split.
        cache: Where shards go if `options.shards_in` says so.

    Returns:
        The summary that is also in `dataset.json`.

    Raises:
        SourceError: No picture was accepted.
        StorageError: The cache cannot be written.
    """
    stored = open_stored(options, cache)
    plan = _plan(intake, options, seed)
    counts = {split: {"authentic": 0, "forged": 0} for split in SPLITS}
    content = hashlib.sha256()
    shards: dict[str, ShardInfo] = {}
    for digest, picture, mask_digest in _write_pictures(folder, intake, plan, options, stored):
        counts[picture.split][picture.label] += 1
        shards[picture.shard] = _with_picture(shards.get(picture.shard), picture)
        group = plan.group(digest, intake.draft(digest)).hex()
        content.update(f"{picture.digest} {picture.label} {group} {mask_digest or '-'}\n".encode())
    info = DatasetInfo(
        digest=content.hexdigest()[:32],
        layout=layout,
        seed=seed,
        pictures=len(plan.digests),
        rejects=len(intake.rejects),
        counts=counts,
        shards=_listed(shards.values(), stored),
        place=cache if stored else "",
    )
    _write_rejects(folder, intake)
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")
    return info


def _listed(shards: Iterable[ShardInfo], stored: StoredShards | None) -> list[ShardInfo]:
    ordered = sorted(shards, key=lambda shard: (SPLITS.index(shard.split), shard.name))
    if stored is None:
        return ordered
    return [shard.model_copy(update={"object": stored.objects[shard.name]}) for shard in ordered]


def _with_picture(shard: ShardInfo | None, picture: Picture) -> ShardInfo:
    first, pictures, size = (shard.first, shard.pictures, shard.bytes) if shard else (picture.digest, 0, 0)
    return ShardInfo(
        name=picture.shard,
        split=picture.split,
        pictures=pictures + 1,
        bytes=size + picture.bytes,
        first=first,
        last=picture.digest,
    )


def _plan(intake: Intake, options: DataOptions, seed: int) -> _Plan:
    digests = intake.finish()
    if not digests:
        first = f"; the first: {intake.rejects[0].name}: {intake.rejects[0].message}" if intake.rejects else ""
        raise SourceError(f"none of {len(intake.rejects)} files is accepted as a picture{first}")
    first_of_group: dict[str, bytes] = {}
    for digest in digests:
        if (group := intake.draft(digest).group) is not None:
            first_of_group.setdefault(group, digest)
    plan = _Plan(digests, first_of_group, {})
    if options.split_by == "digest":
        require_train(*_fractions(options))
        return _Plan(digests, first_of_group, _ByDigest(options, seed))
    drafts = ((digest, intake.draft(digest)) for digest in digests)
    sizes = group_sizes((plan.group(digest, draft), draft.label) for digest, draft in drafts)
    splits = assign_splits(sizes, *_fractions(options), seed)
    return _Plan(digests, first_of_group, splits)


def _fractions(options: DataOptions) -> tuple[float, float]:
    return options.validation_fraction, options.test_fraction


class _ByDigest(dict[bytes, Split]):
    """Splits that need no other group to be known."""

    def __init__(self, options: DataOptions, seed: int) -> None:
        super().__init__()
        self._options, self._seed = options, seed

    def __missing__(self, group: bytes) -> Split:
        return split_of_digest(group, *_fractions(self._options), self._seed)


def _write_pictures(
    folder: Path, intake: Intake, plan: _Plan, options: DataOptions, stored: StoredShards | None
) -> Iterator[tuple[bytes, Picture, str | None]]:
    """Write shards and manifest; yields each picture with the digest of its mask."""
    with contextlib.ExitStack() as stack:
        sizes = options.shard_mb, options.shard_pictures
        finished = stored.take if stored else lambda _: None
        writers = {split: stack.enter_context(ShardWriter(folder, split, *sizes, finished)) for split in SPLITS}
        saves = stack.enter_context(SaveList(folder))
        manifest = stack.enter_context((folder / "manifest.jsonl").open("w"))
        for digest in track(plan.digests, len(plan.digests), "writing shards"):
            draft = intake.draft(digest)
            facts, encoded, mask = intake.read(draft)
            picture = _picture(digest.hex(), draft, facts, plan.splits[plan.group(digest, draft)], len(encoded))
            members = [(picture.member, encoded)]
            if picture.mask_member:
                members.append((picture.mask_member, mask))
            picture = picture.model_copy(update={"shard": writers[picture.split].add(members)})
            manifest.write(picture.model_dump_json() + "\n")
            if picture.split == "train" and picture.label == "forged":
                saves.add(encoded)
            yield digest, picture, facts.mask_digest


def _picture(digest: str, draft: Draft, facts: Facts, split: Split, size: int) -> Picture:
    return Picture(
        digest=digest,
        label=draft.label,
        group=draft.group or f"picture-{digest[:16]}",
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
        mask_digest=facts.mask_digest,
    )


def _write_rejects(folder: Path, intake: Intake) -> None:
    with (folder / "rejects.jsonl").open("w") as lines:
        lines.writelines(reject.model_dump_json() + "\n" for reject in intake.rejects)
    for reason, count in Counter(reject.reason for reject in intake.rejects).most_common():
        logger.warning("%d files rejected: %s", count, reason)
