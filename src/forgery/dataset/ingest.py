"""Ingest: from a source to an image set, in three steps that the pipeline runs as tasks of their own.

A listing says which files there are and which of them were read before; parts read the others into packs; and what all
parts read becomes one manifest. Equal content gives equal splits, shards and digests, however it was cut.
"""

import logging
import tempfile
from pathlib import Path

from forgery.config import DataOptions
from forgery.dataset.assembly import INFO_FILE, assemble
from forgery.dataset.listing import write_listing
from forgery.dataset.manifest import DatasetInfo
from forgery.dataset.reading import read_files
from forgery.writing import whole_folder

logger = logging.getLogger(__name__)


def ingest(source: str, out: Path, options: DataOptions, seed: int, cache: str = "") -> DatasetInfo:
    """Read a source into an image set as described in `forgery.dataset.manifest`, all steps in one.

    Args:
        source: A folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, demo:[N], or feedback:PLACE
            with corrected verdicts; several are joined by ` + `, each with a layout of its own.
        out: The image set's folder; it appears whole or not at all.
        options: Layout, limits, fractions of the split.
        seed: Seeds sample and split.
        cache: s3://bucket/prefix or file://PATH where files read from a bucket are kept, so that an ingest that is
            killed goes on and one of more files reads those alone; empty for none. Packs lie there too, instead of in
            `out`, where `options.shards_in` says so, and then files of folders and archives are kept as well.

    Returns:
        The summary that is also in `dataset.json`; its digest depends on content, labels, groups and masks only.

    Raises:
        SourceError: Nothing there, nothing readable, or nothing that can be labelled.
        StorageError: A bucket refused, or the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="forgery-listing-") as listing:
        listed = write_listing(source, Path(listing), options, seed, cache)
        with whole_folder(out, INFO_FILE, listed.bytes) as folder, tempfile.TemporaryDirectory(dir=folder) as work:
            parts = [Path(work, part) for part in listed.parts]
            for part in parts:
                part.mkdir()
                read_files(Path(listing), part.name, part, options, seed, cache)
            info = assemble(Path(listing), parts, folder, options, seed, cache)
    logger.info("image set %s: %d pictures, %d rejects, %s", info.digest, info.pictures, info.rejects, info.counts)
    return info
