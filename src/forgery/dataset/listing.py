"""The first step of ingest: which files there are, which of them were read before, and who reads the others.

<listing>/
  listing.json      ListingInfo
  known.jsonl       one Read per line, in order of digest: files whose packs lie in the cache
  parts/*.jsonl     one Listed per line, in order of source and name: files that a part reads
  demo-*/           pictures that were made for `demo:`
  rejects.jsonl     one Reject per line: files that no layout labels, and those that are known to be none
"""

import contextlib
import itertools
import logging
import math
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Final

from pydantic import BaseModel, ConfigDict

from forgery.config import DataOptions
from forgery.dataset.corrections import CorrectedSource, read_corrections
from forgery.dataset.entries import Entries
from forgery.dataset.known import part_known
from forgery.dataset.labels import Labelled
from forgery.dataset.layouts import Listing, read_layout
from forgery.dataset.reads import FEEDBACK, Listed, lasts
from forgery.dataset.shards import MEGABYTE
from forgery.dataset.sources import Entry, Source, open_source
from forgery.dataset.split import group_sizes, sample_groups
from forgery.errors import SourceError, StorageError

logger = logging.getLogger(__name__)

LISTING_FILE: Final = "listing.json"
KNOWN_FILE: Final = "known.jsonl"
REJECTS_FILE: Final = "rejects.jsonl"
_JOINED: Final = " + "
# A task costs some twenty seconds before it does anything; decoding so many packs takes longer.
_PACKS_A_PART: Final = 4
# The parts are handed on as one argument, for which Linux has room for some 280 artifacts.
_MOST_PARTS: Final = 200


class ListingInfo(BaseModel):
    """Summary of a listing: the sources by number, their layouts, and what is to be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: list[str]
    layout: str
    files: int
    known: int
    bytes: int
    parts: list[str]


def write_listing(source: str, folder: Path, options: DataOptions, seed: int, cache: str = "") -> ListingInfo:
    """List a source, or several, into the empty folder `folder`; no picture is read.

    Args:
        source: As for `forgery.dataset.ingest.ingest`.
        folder: Empty.
        options: Layout, sample and limits; sizes of the packs.
        seed: Seeds the sample, and pictures of `demo:`.
        cache: Where files that were read before are looked for; empty for none.

    Returns:
        The summary that is also in `listing.json`; there is one part at least, be it empty.

    Raises:
        SourceError: Nothing there, or nothing that can be labelled.
        StorageError: A bucket refused.
    """
    sources = split_sources(source)
    with tempfile.TemporaryDirectory(prefix="forgery-listing-") as scratch:
        listed = Path(scratch, "listed.jsonl")
        with listed.open("w") as lines, (folder / REJECTS_FILE).open("w") as rejects:
            layouts = []
            for number, text in enumerate(sources):
                with open_one(text, options, seed, folder) as opened:
                    layouts.append(_list_one(number, opened, text, options, seed, lines, rejects))
        new = Path(scratch, "new.jsonl")
        part_known(listed, sources, options, cache, folder / KNOWN_FILE, folder / REJECTS_FILE, new)
        files = _count(listed)
        known = files - _count(new)
        size, parts = _deal(new, folder, options, single=not all(map(lasts, sources)))
    info = ListingInfo(sources=sources, layout="+".join(layouts), files=files, known=known, bytes=size, parts=parts)
    (folder / LISTING_FILE).write_text(info.model_dump_json() + "\n")
    logger.info("%d files, %d of them known, the others in %d parts", files, known, len(parts))
    return info


def read_listing(folder: Path) -> ListingInfo:
    """The summary of the listing in `folder`."""
    return ListingInfo.model_validate_json((folder / LISTING_FILE).read_bytes())


def read_part_of_listing(folder: Path, part: str) -> Iterator[Listed]:
    """The files of a part, in order of source and name.

    Raises:
        StorageError: The listing has no such part.
    """
    if part not in (parts := read_listing(folder).parts):
        raise StorageError(f"part {part} is none of the {len(parts)} of this listing; list the source again")
    with (folder / "parts" / f"{part}.jsonl").open() as lines:
        yield from map(Listed.of, lines)


def split_sources(text: str) -> list[str]:
    """The sources that a text joins by ` + `."""
    return [part.strip() for part in text.split(_JOINED)]


@contextlib.contextmanager
def open_one(text: str, options: DataOptions, seed: int, listing: Path) -> Iterator[Source]:
    """Open one of the sources that were joined; pictures of `demo:` are in the listing's folder."""
    with open_source(text.removeprefix(FEEDBACK), options, seed, listing) as source:
        yield CorrectedSource(source) if text.startswith(FEEDBACK) else source


def _list_one(
    number: int, source: Source, text: str, options: DataOptions, seed: int, lines: IO[str], rejects: IO[str]
) -> str:
    """Write the files and rejects of one source; returns its layout."""
    with tempfile.TemporaryDirectory(prefix="forgery-entries-") as folder:
        entries = Entries(Path(folder, "entries"), itertools.islice(source.entries(), options.max_pictures + 1))
        listing = _labelled(source, entries, text, options, seed)
        masks = {each.mask for each in listing.pictures if each.mask}
        versions = {entry.name: _version(entry) for entry in entries if entry.name in masks} if masks else {}
        # Pictures are in order of name, as entries are.
        own = iter(entries)
        for each in listing.pictures:
            entry = next(entry for entry in own if entry.name == each.name)
            lines.write(_listed(number, each, _version(entry), versions).line())
        rejects.writelines(reject.model_dump_json() + "\n" for reject in listing.rejects)
    return listing.layout


def _version(entry: Entry) -> str:
    return f"{entry.size} {entry.version}" if entry.version else ""


def _labelled(source: Source, entries: Entries, text: str, options: DataOptions, seed: int) -> Listing:
    if text.startswith(FEEDBACK):
        return read_corrections(source, entries)
    if not entries:
        raise SourceError(f"source {text} holds no files; check the path or prefix")
    if len(entries) > options.max_pictures:
        raise SourceError(f"source {text} holds more than max_pictures={options.max_pictures} files")
    listing = read_layout(source, entries, options)
    return replace(listing, pictures=_sample(listing.pictures, options.sample_limit, seed))


def _sample(pictures: Iterable[Labelled], limit: int, seed: int) -> Iterable[Labelled]:
    if not limit:
        return pictures
    sizes = group_sizes((each.group or each.name, each.label) for each in pictures)
    chosen = sample_groups(sizes, limit, seed)
    return [each for each in pictures if (each.group or each.name) in chosen]


def _listed(number: int, each: Labelled, version: str, masks: dict[str, str]) -> Listed:
    return Listed(
        source=number,
        name=each.name,
        version=version,
        size=each.size,
        label=each.label,
        group=each.group,
        mask=each.mask,
        mask_version=masks.get(each.mask, "") if each.mask else "",
        manipulation=each.manipulation,
    )


def _count(lines: Path) -> int:
    with lines.open("rb") as file:
        return sum(1 for _ in file)


def _deal(new: Path, folder: Path, options: DataOptions, single: bool) -> tuple[int, list[str]]:
    """Deal files to parts, neighbours together; returns their bytes and the names of the parts."""
    weight = sum(each for _, each in _sizes(new, options))
    least = math.inf if single else max(_PACKS_A_PART, weight / _MOST_PARTS)
    ends, filled, size, count = [], 0.0, 0, 0
    for count, (file_size, each) in enumerate(_sizes(new, options), start=1):
        # What is full ends with the file before, so that the last part is never empty.
        if filled >= least:
            ends.append(count - 1)
            filled = 0.0
        filled += each
        size += file_size
    ends.append(count)
    names = [f"{number:05d}-of-{len(ends):05d}" for number in range(len(ends))]
    (folder / "parts").mkdir()
    with new.open() as lines:
        for name, begin, end in zip(names, [0, *ends], ends, strict=False):
            with (folder / "parts" / f"{name}.jsonl").open("w") as part:
                part.writelines(itertools.islice(lines, end - begin))
    return size, names


def _sizes(new: Path, options: DataOptions) -> Iterator[tuple[int, float]]:
    """Each file's bytes, and its part of a pack, which is full of bytes or of pictures."""
    with new.open() as lines:
        for line in lines:
            size = Listed.of(line).size
            yield size, max(size / (options.shard_mb * MEGABYTE), 1 / options.shard_pictures)
