"""Ingest: from a source to an image set, two passes with flat memory.

First every file is read, checked and spooled; then, when labels, groups and rejects are all known, the splits are made
and the shards written in order of digest, so that equal content gives equal shards.
"""

import contextlib
import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.cores import available_cores
from forgery.dataset.assembly import INFO_FILE, write_image_set
from forgery.dataset.corrections import CorrectedSource, read_corrections
from forgery.dataset.intake import Examined, Intake, examine, open_spool
from forgery.dataset.kept import KeptReads
from forgery.dataset.labels import Labelled
from forgery.dataset.layouts import Listing, read_layout
from forgery.dataset.manifest import DatasetInfo, Reject
from forgery.dataset.sources import Source, open_source
from forgery.dataset.split import group_sizes, sample_groups
from forgery.errors import SourceError
from forgery.parallel import in_order
from forgery.picture import Limits
from forgery.progress import track
from forgery.writing import whole_folder

logger = logging.getLogger(__name__)

# Decoders release the interpreter lock; more readers than cores hide the latency of a bucket.
_READERS: Final = max(4, available_cores())
_JOINED: Final = " + "
FEEDBACK: Final = "feedback:"


def ingest(source: str, out: Path, options: DataOptions, seed: int, cache: str = "") -> DatasetInfo:
    """Read a source into an image set as described in `forgery.dataset.manifest`.

    Args:
        source: A folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, demo:[N], or feedback:PLACE
            with corrected verdicts; several are joined by ` + `, each with a layout of its own.
        out: The image set's folder; it appears whole or not at all.
        options: Layout, limits, fractions of the split.
        seed: Seeds sample and split.
        cache: s3://bucket/prefix or file://PATH where files read from a bucket are kept, so that an ingest that is
            killed goes on; empty for none. Files of other sources are as near as their copies would be. The shards
            lie there too, instead of in `out`, where `options.shards_in` says so.

    Returns:
        The summary that is also in `dataset.json`; its digest depends on content, labels, groups and masks only.

    Raises:
        SourceError: Nothing there, nothing readable, or nothing that can be labelled.
        StorageError: A bucket refused, or the disk is full.
    """
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(_open(part, options, seed)) for part in split_sources(source)]
        parts = split_sources(source)
        listed = [_list(each, part, options, seed, cache) for each, part in zip(opened, parts, strict=True)]
        listings = [listing for listing, _ in listed]
        needs_bytes = 2 * sum(picture.size for listing in listings for picture in listing.pictures)
        folder = stack.enter_context(whole_folder(out, INFO_FILE, needs_bytes))
        intake = Intake(stack.enter_context(open_spool(folder)))
        layout = "+".join(listing.layout for listing in listings)
        del listings
        for each in opened:
            listing, kept = listed.pop(0)
            intake.rejects.extend(listing.rejects)
            pictures = deque(listing.pictures)
            del listing  # as large as all that is kept of the pictures from here on
            _read_all(each, pictures, options, intake, kept)
        del kept
        info = write_image_set(folder, intake, layout, options, seed, cache)
    logger.info("image set %s: %d pictures, %d rejects, %s", info.digest, info.pictures, info.rejects, info.counts)
    return info


def split_sources(text: str) -> list[str]:
    """The sources that a text joins by ` + `."""
    return [part.strip() for part in text.split(_JOINED)]


@contextlib.contextmanager
def _open(text: str, options: DataOptions, seed: int) -> Iterator[Source]:
    with open_source(text.removeprefix(FEEDBACK), options, seed) as source:
        yield CorrectedSource(source) if text.startswith(FEEDBACK) else source


def _list(source: Source, text: str, options: DataOptions, seed: int, cache: str) -> tuple[Listing, KeptReads]:
    entries = list(itertools.islice(source.entries(), options.max_pictures + 1))
    if text.startswith(FEEDBACK):
        return read_corrections(source, entries), KeptReads("", text, _limits(options), {})
    if not entries:
        raise SourceError(f"source {text} holds no files; check the path or prefix")
    if len(entries) > options.max_pictures:
        raise SourceError(f"source {text} holds more than max_pictures={options.max_pictures} files")
    listing = read_layout(source, entries, options)
    cache = cache if text.startswith("s3:") else ""
    versions = {entry.name: f"{entry.size} {entry.version}" for entry in entries} if cache else {}
    kept = KeptReads(cache, text, _limits(options), versions)
    return replace(listing, pictures=_sample(listing.pictures, options.sample_limit, seed)), kept


def _sample(pictures: Sequence[Labelled], limit: int, seed: int) -> Sequence[Labelled]:
    if not limit or limit >= len(pictures):
        return pictures
    sizes = group_sizes((each.group or each.name, each.label) for each in pictures)
    chosen = sample_groups(sizes, limit, seed)
    return [each for each in pictures if (each.group or each.name) in chosen]


def _limits(options: DataOptions) -> Limits:
    return Limits(max_bytes=options.max_bytes, max_pixels=options.max_pixels)


def _read_all(source: Source, pictures: deque[Labelled], options: DataOptions, intake: Intake, kept: KeptReads) -> None:
    """Take the pictures out of the queue one by one, so that it shrinks as the intake grows."""
    limits = _limits(options)
    with ThreadPoolExecutor(_READERS) as pool:

        def examined(some: Iterable[Labelled]) -> Iterator[Examined | Reject]:
            found = in_order(pool, lambda labelled: examine(source, labelled, limits), some, _READERS + 1)
            return (each for _, each in found)

        left = (pictures.popleft() for _ in range(len(pictures)))
        for each in track(kept.read(left, examined), len(pictures), "reading pictures"):
            intake.add(each)
