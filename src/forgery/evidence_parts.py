"""How the pictures of an image set are dealt to tasks, and how the tasks' evidence becomes one evidence set."""

import itertools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forgery.dataset.manifest import DatasetInfo, ShardInfo
from forgery.dataset.shards import MEGABYTE, SHARD_FOLDER
from forgery.errors import StorageError
from forgery.evidence_set import (
    EVIDENCE_SPLITS,
    INDEX_FILE,
    INFO_FILE,
    PLACES_FILE,
    WHOLE,
    EvidenceInfo,
    read_evidence_info,
)

_NAME: Final = re.compile(r"(\d{5})-of-(\d{5})")
_DIGEST_BITS: Final = 256
# Training is handed all parts in one argument, of which Linux takes 128 kB: half a kilobyte an artifact.
MOST_PARTS: Final = 250


def part_names(info: DatasetInfo, shard_mb: int, shard_pictures: int) -> list[str]:
    """Names of the parts, `00000-of-00003` and on, one a task."""
    count = len(_parts(info, shard_mb, shard_pictures))
    return [f"{number:05d}-of-{count:05d}" for number in range(count)]


def shards_of_part(info: DatasetInfo, part: str, shard_mb: int, shard_pictures: int) -> list[ShardInfo]:
    """The shards of the image set that a part reads, in order.

    Raises:
        StorageError: The image set has no such part; its sizes are not those it was planned with.
    """
    parts = _parts(info, shard_mb, shard_pictures) if part != WHOLE else [_evidence_shards(info)]
    match = _NAME.fullmatch(part)
    if match is None or int(match[2]) != len(parts) or int(match[1]) >= len(parts):
        raise StorageError(f"part {part} is none of the {len(parts)} of this image set; plan the parts again")
    return parts[int(match[1])]


def _evidence_shards(info: DatasetInfo) -> list[ShardInfo]:
    return [shard for split in EVIDENCE_SPLITS for shard in info.shards if shard.split == split]


def _parts(info: DatasetInfo, shard_mb: int, shard_pictures: int) -> list[list[ShardInfo]]:
    """Neighbouring shards together as long as both limits hold, and more of them where parts would be too many."""
    parts: list[list[ShardInfo]] = [[]]
    for shard in _evidence_shards(info):
        joined = [*parts[-1], shard]
        size, pictures = sum(each.bytes for each in joined), sum(each.pictures for each in joined)
        if parts[-1] and (size > shard_mb * MEGABYTE or pictures > shard_pictures):
            parts.append([shard])
        else:
            parts[-1] = joined
    count = min(len(parts), MOST_PARTS)
    cuts = [len(parts) * number // count for number in range(count + 1)]
    return [list(itertools.chain.from_iterable(parts[low:high])) for low, high in itertools.pairwise(cuts)]


def join_parts(parts: Sequence[Path], out: Path) -> EvidenceInfo:
    """Make one evidence set of all parts in the existing folder `out`; shards are links, maps are not copied.

    Args:
        parts: In any order; one that came twice is used once.
        out: Empty.

    Raises:
        StorageError: A part is missing, or is not of the same image set, recipe or variants as the others.
    """
    infos = {info.part: (info, folder) for folder in parts for info in (_read(folder),)}
    _require_all([info for info, _ in infos.values()])
    (out / SHARD_FOLDER).mkdir()
    folders = [infos[part][1] for part in sorted(infos)]
    _append([folder / INDEX_FILE for folder in folders], out / INDEX_FILE)
    if any(info.place for info, _ in infos.values()):
        _append([folder / PLACES_FILE for folder in folders], out / PLACES_FILE)
    for folder in folders:
        for shard in (folder / SHARD_FOLDER).glob("*"):
            (out / SHARD_FOLDER / shard.name).symlink_to(shard.resolve())
    joined = _sum([info for info, _ in infos.values()])
    (out / INFO_FILE).write_text(joined.model_dump_json(indent=2) + "\n")
    return joined


def _append(files: Sequence[Path], out: Path) -> None:
    with out.open("wb") as together:
        for file in files:
            with file.open("rb") as part:
                shutil.copyfileobj(part, together)


def _read(folder: Path) -> EvidenceInfo:
    try:
        return read_evidence_info(folder)
    except (OSError, ValueError) as error:
        raise StorageError(f"{folder} holds no evidence ({error}); run the ELA step again") from error


def _require_all(infos: Sequence[EvidenceInfo]) -> None:
    if len({(info.recipe, info.dataset_digest, tuple(info.variants), info.place) for info in infos}) > 1:
        raise StorageError("the parts of the evidence are of different runs; run the ELA step again")
    of = infos[0].part.rpartition("-")[2]
    wanted = {f"{number:05d}-of-{of}" for number in range(int(of))}
    if missing := sorted(wanted - {info.part for info in infos}):
        raise StorageError(f"evidence lacks {len(missing)} of {of} parts, e.g. {missing[0]}; run the ELA step again")


def _sum(infos: Sequence[EvidenceInfo]) -> EvidenceInfo:
    counts = {
        split: {label: sum(info.counts[split][label] for info in infos) for label in labels}
        for split, labels in infos[0].counts.items()
    }
    return infos[0].model_copy(
        update={
            "part": WHOLE,
            "counts": counts,
            "maps": sum(info.maps for info in infos),
            "map_bytes": sum(info.map_bytes for info in infos),
            "reused": sum(info.reused for info in infos),
            "digest": f"{sum(int(info.digest, 16) for info in infos) % 2**_DIGEST_BITS:064x}",
        }
    )
