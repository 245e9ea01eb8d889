"""The second step of ingest: read the files of one part into packs, each file once.

<part>/
  part.json         PartInfo
  reads.jsonl       one Read per line, in order of digest: accepted files
  rejects.jsonl     one Reject per line: the others
  packs/*.tar       unless they lie in the cache
"""

import itertools
import logging
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from forgery.config import DataOptions
from forgery.cores import available_cores
from forgery.dataset.intake import Examined, examine
from forgery.dataset.listing import REJECTS_FILE, open_one, read_listing, read_part_of_listing
from forgery.dataset.manifest import Reject
from forgery.dataset.packs import PACK_FOLDER, STORED, PackWriter
from forgery.dataset.reads import KeptReads, Listed, Read, digest_of, limits_of, place_of_reads, stored_packs
from forgery.dataset.shards import MEGABYTE
from forgery.dataset.sorting import sort_lines
from forgery.dataset.sources import Source
from forgery.errors import InvalidConfig
from forgery.histories import save_text
from forgery.parallel import in_order
from forgery.places import Place, open_place
from forgery.progress import track

logger = logging.getLogger(__name__)

PART_FILE: Final = "part.json"
READS_FILE: Final = "reads.jsonl"
# Decoders release the interpreter lock; more readers than cores hide the latency of a bucket.
_READERS: Final = max(4, available_cores())
_EXTENSIONS: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp"}


class PartInfo(BaseModel):
    """Summary of a part: its name, its files, and how many of them were read by an earlier task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    files: int
    reused: int


def read_files(listing: Path, part: str, folder: Path, options: DataOptions, seed: int, cache: str = "") -> PartInfo:
    """Read the files of a part into the empty folder `folder`: checked, decoded, told apart by content.

    A pack is finished after `shard_mb` megabytes or `shard_pictures` files. Where packs lie in the cache no more than
    one is on the disk. What of a part is kept there already is not read again.

    Args:
        listing: From `forgery.dataset.listing.write_listing`.
        part: One of its parts.
        folder: Empty.
        options: As given there.
        seed: As given there.
        cache: Where what was read is kept, and packs lie where `options.shards_in` says so.

    Raises:
        StorageError: A bucket refused, or the disk is full.
        InvalidConfig: Packs are to lie in a cache, and there is none.
    """
    info = read_listing(listing)
    (folder / PACK_FOLDER).mkdir()
    files = track(read_part_of_listing(listing, part), None, "reading pictures")
    count = reused = 0
    unsorted = folder / ".unsorted"
    with unsorted.open("w") as reads, (folder / REJECTS_FILE).open("w") as rejects:
        for number, mine in itertools.groupby(files, key=attrgetter("source")):
            with open_one(info.sources[number], options, seed, listing) as source:
                reader = _Reader(source, info.sources[number], folder / PACK_FOLDER, options, cache)
                for read in reader.read(mine):
                    read.write(reads, rejects)
                    count += 1
                reused += reader.reused
    with unsorted.open() as lines, (folder / READS_FILE).open("w") as ordered:
        ordered.writelines(sort_lines(lines, digest_of))
    unsorted.unlink()
    summary = PartInfo(part=part, files=count, reused=reused)
    (folder / PART_FILE).write_text(summary.model_dump_json() + "\n")
    logger.info("part %s: %d files, %d of them read before", part, count, reused)
    return summary


def packs_place(options: DataOptions, cache: str) -> Place | None:
    """Where packs lie besides the image set's folder; None for nowhere.

    Raises:
        InvalidConfig: They are to lie in a cache, and there is none.
    """
    if options.shards_in == "artifact":
        return None
    if not cache:
        raise InvalidConfig(
            "data.shards_in=cache needs a place; name one with cache, s3://bucket/prefix or file://PATH"
        )
    return open_place(cache)


class _Reader:
    """Reads the files of one source block by block, a pack each."""

    def __init__(self, source: Source, text: str, packs: Path, options: DataOptions, cache: str) -> None:
        self._source = source
        self._packs = packs
        self._limits = limits_of(options)
        self._most = options.shard_mb * MEGABYTE, options.shard_pictures
        self._place = packs_place(options, cache)
        self._kept = KeptReads(place_of_reads(text, options, cache), text, self._limits)
        self._stored = stored_packs(self._place or self._kept.place)
        self.reused = 0

    def read(self, files: Iterable[Listed]) -> Iterator[Read]:
        with ThreadPoolExecutor(_READERS) as pool:
            for block in _blocks(files, *self._most):
                known = self._kept.find(block)
                if known is not None and {read.pack for read in known if read.pack} <= self._stored:
                    self.reused += len(known)
                    yield from known
                else:
                    yield from self._read_block(block, pool)

    def _read_block(self, block: list[Listed], pool: ThreadPoolExecutor) -> list[Read]:
        writer = PackWriter(self._packs)
        examined = in_order(pool, lambda each: examine(self._source, each.labelled, self._limits), block, _READERS + 1)
        found = [_read(listed, result, writer) for listed, result in examined]
        pack = self._packs / writer.finish()
        reads = [replace(read, pack=pack.name) if read.digest else read for read in found]
        if not any(read.digest for read in reads):
            pack.unlink()
            self._kept.keep(block, reads)
        elif self._store(pack):
            self._kept.keep(block, reads)
        return reads

    def _store(self, pack: Path) -> bool:
        """Whether a pack is now where its reads are kept."""
        if pack.name not in self._stored:
            if self._place is not None:
                self._place.put(f"{STORED}/{pack.name}", pack)
            elif not self._kept.place.put(f"{STORED}/{pack.name}", pack):
                return False
            self._stored.add(pack.name)
        if self._place is not None:
            pack.unlink()
        return True


def _blocks(files: Iterable[Listed], most_bytes: int, most_files: int) -> Iterator[list[Listed]]:
    block: list[Listed] = []
    size = 0
    for each in files:
        block.append(each)
        size += each.size
        if size >= most_bytes or len(block) >= most_files:
            yield block
            block, size = [], 0
    if block:
        yield block


def _read(listed: Listed, result: Examined | Reject, writer: PackWriter) -> Read:
    """Add an accepted file to the pack."""
    if isinstance(result, Reject):
        return Read(listed, reason=result.reason, message=result.message)
    members = [(member_of(result.digest, result.format), result.encoded)]
    if result.mask:
        members.append((mask_member_of(result.digest), result.mask))
    offset, length = writer.add(members)
    return Read(
        listed,
        digest=result.digest,
        format=result.format,
        width=result.width,
        height=result.height,
        size_bytes=len(result.encoded),
        mask_digest=result.mask_digest,
        save=_save(result.encoded) if listed.label == "forged" else None,
        offset=offset,
        length=length,
        mask_message=result.mask_message,
    )


def _save(encoded: bytes) -> str | None:
    """One object for equal saves, of which there are few."""
    text = save_text(encoded)
    return None if text is None else sys.intern(text)


def member_of(digest: str, format: str) -> str:
    """Name of a picture in its pack."""
    return f"{digest}.{_EXTENSIONS[format]}"


def mask_member_of(digest: str) -> str:
    """Name of a picture's mask."""
    return f"{digest}.mask.png"
