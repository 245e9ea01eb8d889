"""The image set on disk: what ingest writes and every later step reads.

<image set>/
  dataset.json      DatasetInfo: digest, counts, seed, source layout
  manifest.jsonl    one Picture per line, sorted by digest
  rejects.jsonl     one Reject per line: nothing is dropped silently
  packs/*.tar       members <digest>.<extension> and, where there is one, <digest>.mask.png; or in a cache
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ClassLabel = Literal["authentic", "forged"]
# Rows are read by the million and nearly every text is another: caching them would only fill memory.
ROW_CONFIG = ConfigDict(frozen=True, extra="forbid", cache_strings="keys")
# As the manifest is written; other spellings of the same JSON are only slower to read.
_SHARD: Final = re.compile(r'"shard":"([^"\\]*)"')


class Picture(BaseModel):
    """One accepted picture.

    `digest` is the SHA-256 of its file's bytes in hexadecimal; pictures of one `group` share a source and never part
    between splits. `shard` is the range of digests it belongs to, which tasks take one by one; its file is `member` of
    `pack`, in the range of `length` bytes from `offset` on, headers and mask included. `mask_digest` is the SHA-256 of
    the mask's PNG, in hexadecimal.
    """

    model_config = ROW_CONFIG

    digest: str
    label: ClassLabel
    group: str
    split: Split
    name: str
    format: str
    width: int
    height: int
    bytes: int
    manipulation: str | None = None
    shard: str
    pack: str
    offset: int
    length: int
    member: str
    mask_member: str | None = None
    mask_digest: str | None = None


class Reject(BaseModel):
    """One file that was not accepted, with the reason's code and sentence."""

    model_config = ROW_CONFIG

    name: str
    reason: str
    message: str


class ShardInfo(BaseModel):
    """One shard of an image set, neighbours by digest within a split: how many pictures, and their bytes without masks.

    `first` and `last` are the digests it begins and ends with. Where its pictures lie is no matter of its own: a pack
    holds pictures as they were read, of any shard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    split: Split
    pictures: int
    bytes: int
    first: str
    last: str


class DatasetInfo(BaseModel):
    """Summary of an image set; `digest` depends on content, labels, groups and masks only, not on names or paths.

    `shards` are in order of split, then of the digests they hold. Packs lie beside this, or in `place` where that is
    named: s3://bucket/prefix or file://PATH.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str
    layout: str
    seed: int
    pictures: int
    rejects: int
    counts: dict[str, dict[str, int]]  # split -> label -> pictures
    shards: list[ShardInfo] = []
    place: str = ""


def read_info(folder: Path) -> DatasetInfo:
    """The summary of the image set in `folder`."""
    return DatasetInfo.model_validate_json((folder / "dataset.json").read_bytes())


def read_pictures(
    folder: Path, splits: tuple[Split, ...] = SPLITS, shards: Collection[str] | None = None
) -> Iterator[Picture]:
    """Rows of the manifest in order of digest, those of the named splits, and shards if given, one at a time."""
    with (folder / "manifest.jsonl").open() as lines:
        for line in lines:
            # A task that reads one shard of hundreds passes over the rows of all others: most are not even parsed.
            if shards is not None and (found := _SHARD.search(line)) and found[1] not in shards:
                continue
            picture = Picture.model_validate_json(line)
            if picture.split in splits and (shards is None or picture.shard in shards):
                yield picture


def read_rejects(folder: Path) -> Iterator[Reject]:
    """Every file that was not accepted, in order of name, one at a time."""
    with (folder / "rejects.jsonl").open() as lines:
        for line in lines:
            yield Reject.model_validate_json(line)
