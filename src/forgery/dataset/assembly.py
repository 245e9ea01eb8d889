"""The third step of ingest: splits, shards and manifest of what all parts read; pictures stay where they lie."""

import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from forgery.config import DataOptions
from forgery.dataset.joining import Accepted, Joined, join_reads
from forgery.dataset.listing import KNOWN_FILE, REJECTS_FILE, read_listing
from forgery.dataset.manifest import SPLITS, DatasetInfo, Picture, ShardInfo, Split
from forgery.dataset.packs import PACK_FOLDER, STORED
from forgery.dataset.reading import PART_FILE, READS_FILE, PartInfo, mask_member_of, member_of, packs_place
from forgery.dataset.shards import MEGABYTE
from forgery.dataset.split import assign_splits, group_sizes, require_train, split_of_digest
from forgery.errors import SourceError, StorageError
from forgery.histories import SaveList
from forgery.places import open_place
from forgery.progress import track

logger = logging.getLogger(__name__)

INFO_FILE: Final = "dataset.json"


def assemble(
    listing: Path, parts: Sequence[Path], folder: Path, options: DataOptions, seed: int, cache: str = ""
) -> DatasetInfo:
    """Make an image set of what the parts of a listing read.

    Args:
        listing: From `forgery.dataset.listing.write_listing`.
        parts: From `forgery.dataset.reading.read_files`, in any order; one that came twice is used once.
        folder: Empty.
        options: Fractions of the splits, size of the shards.
        seed: Of the split.
        cache: Where packs are.

    Returns:
        The summary that is also in `dataset.json`.

    Raises:
        SourceError: No picture was accepted.
        StorageError: A part is missing, or a pack.
    """
    listed = read_listing(listing)
    chosen = _chosen(parts, listed.parts)
    folders = {KNOWN_FILE: [listing], READS_FILE: chosen, REJECTS_FILE: [listing, *chosen]}
    files = {name: [each / name for each in found] for name, found in folders.items()}
    with join_reads(files[KNOWN_FILE] + files[READS_FILE], files[REJECTS_FILE]) as joined:
        _write_rejects(folder, joined)
        _require_pictures(joined)
        pictures = track(joined.pictures(), joined.count, "writing the manifest")
        written = _write_manifest(folder, pictures, _splits(joined, options, seed), options)
    in_place = packs_place(options, cache) is not None
    if not in_place:
        _bring_packs(written.packs, chosen, folder, cache)
    info = DatasetInfo(
        digest=written.digest,
        layout=listed.layout,
        seed=seed,
        pictures=joined.count,
        rejects=joined.rejected,
        counts=written.counts,
        shards=written.shards.listed(),
        place=cache if in_place else "",
    )
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")
    return info


def _require_pictures(joined: Joined) -> None:
    if not joined.count:
        first = next((f"; the first: {each.name}: {each.message}" for each in joined.rejects()), "")
        raise SourceError(f"none of {joined.rejected} files is accepted as a picture{first}")


def _chosen(parts: Sequence[Path], wanted: Sequence[str]) -> list[Path]:
    """The folder of each part."""
    try:
        found = {PartInfo.model_validate_json((part / PART_FILE).read_bytes()).part: part for part in parts}
    except (OSError, ValueError) as error:
        raise StorageError(f"a part of the pictures cannot be read ({error}); read it again") from error
    if missing := [name for name in wanted if name not in found]:
        raise StorageError(f"{len(missing)} of {len(wanted)} parts were not read, e.g. {missing[0]}; read them first")
    return [found[name] for name in wanted]


def _splits(joined: Joined, options: DataOptions, seed: int) -> Callable[[bytes], Split]:
    """The split of a group, called by the smallest digest in it: names change neither the split nor the digest."""
    fractions = options.validation_fraction, options.test_fraction
    if options.split_by == "digest":
        require_train(*fractions)
        return lambda group: split_of_digest(group, *fractions, seed)
    sizes = group_sizes((bytes.fromhex(each.first), each.read.file.label) for each in joined.pictures())
    return assign_splits(sizes, *fractions, seed).__getitem__


class _Shards:
    """Cuts the pictures of each split, which come in order of digest, to shards."""

    def __init__(self, options: DataOptions) -> None:
        self._most = options.shard_mb * MEGABYTE, options.shard_pictures
        # The last of each split is still growing.
        self._of: dict[Split, list[dict[str, Any]]] = {split: [] for split in SPLITS}

    def add(self, split: Split, digest: str, size: int) -> str:
        """Returns the name of the picture's shard."""
        shards = self._of[split]
        if not shards or shards[-1]["bytes"] >= self._most[0] or shards[-1]["pictures"] >= self._most[1]:
            name = f"{split}-{len(shards):05d}"
            shards.append({"name": name, "split": split, "pictures": 0, "bytes": 0, "first": digest})
        last = shards[-1]
        last["pictures"] += 1
        last["bytes"] += size
        last["last"] = digest
        return str(last["name"])

    def listed(self) -> list[ShardInfo]:
        return [ShardInfo(**shard) for split in SPLITS for shard in self._of[split]]


@dataclass
class _Written:
    shards: _Shards
    counts: dict[str, dict[str, int]] = field(
        default_factory=lambda: {split: {"authentic": 0, "forged": 0} for split in SPLITS}
    )
    packs: set[str] = field(default_factory=set)
    digest: str = ""


def _write_manifest(
    folder: Path, pictures: Iterator[Accepted], split_of: Callable[[bytes], Split], options: DataOptions
) -> _Written:
    written = _Written(_Shards(options))
    content = hashlib.sha256()
    with (folder / "manifest.jsonl").open("w") as manifest, SaveList(folder) as saves:
        for each in pictures:
            split = split_of(bytes.fromhex(each.first))
            shard = written.shards.add(split, str(each.read.digest), each.read.size_bytes)
            picture = _picture(each, split, shard)
            manifest.write(picture.model_dump_json() + "\n")
            written.counts[split][picture.label] += 1
            written.packs.add(picture.pack)
            mask = each.read.mask_digest or "-"
            content.update(f"{picture.digest} {picture.label} {each.first} {mask}\n".encode())
            if split == "train" and picture.label == "forged":
                saves.add(each.read.save)
    written.digest = content.hexdigest()[:32]
    return written


def _picture(accepted: Accepted, split: Split, shard: str) -> Picture:
    read = accepted.read
    digest, form = str(read.digest), str(read.format)
    return Picture(
        digest=digest,
        label=read.file.label,
        group=accepted.group or f"picture-{digest[:16]}",
        split=split,
        name=read.file.name,
        format=form,
        width=read.width,
        height=read.height,
        bytes=read.size_bytes,
        manipulation=read.file.manipulation,
        shard=shard,
        pack=str(read.pack),
        offset=read.offset,
        length=read.length,
        member=member_of(digest, form),
        mask_member=mask_member_of(digest) if read.mask_digest else None,
        mask_digest=read.mask_digest,
    )


def _bring_packs(packs: Iterable[str], parts: Sequence[Path], folder: Path, cache: str) -> None:
    """Put the packs beside the manifest: links where that can be, copies otherwise."""
    (folder / PACK_FOLDER).mkdir()
    near = {pack.name: pack for part in parts for pack in (part / PACK_FOLDER).iterdir()}
    for name in packs:
        target = folder / PACK_FOLDER / name
        if name not in near:
            with open_place(cache).open(f"{STORED}/{name}") as stored, target.open("wb") as file:
                shutil.copyfileobj(stored, file)
            continue
        try:
            target.hardlink_to(near[name])
        except OSError:
            shutil.copyfile(near[name], target)


def _write_rejects(folder: Path, joined: Joined) -> None:
    reasons: Counter[str] = Counter()
    with (folder / "rejects.jsonl").open("w") as lines:
        for reject in joined.rejects():
            lines.write(reject.model_dump_json() + "\n")
            reasons[reject.reason] += 1
    for reason, count in reasons.most_common():
        logger.warning("%d files rejected: %s", count, reason)
