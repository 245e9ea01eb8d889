"""Ingest as the pipeline runs it: list, read part by part, join."""

from collections.abc import Sequence
from pathlib import Path

from forgery.config import RunConfig
from forgery.dataset.assembly import INFO_FILE, assemble
from forgery.dataset.listing import LISTING_FILE, read_listing, write_listing
from forgery.dataset.manifest import DatasetInfo
from forgery.dataset.reading import PART_FILE, read_files
from forgery.writing import whole_folder


def list_files(out: Path, config: RunConfig) -> list[str]:
    """Write the listing of the source to `out`; returns the names of its parts."""
    with whole_folder(out, LISTING_FILE) as folder:
        return write_listing(config.source, folder, config.data, config.seed, config.cache).parts


def read_one(listing: Path, part: str, out: Path, config: RunConfig) -> dict[str, str | int]:
    """Read one part to `out`; returns what the artifact says of it."""
    with whole_folder(out, PART_FILE, read_listing(listing).bytes) as folder:
        return read_files(listing, part, folder, config.data, config.seed, config.cache).model_dump()


def join(listing: Path, parts: Sequence[Path], out: Path, config: RunConfig) -> DatasetInfo:
    """Write the image set of all parts to `out`."""
    with whole_folder(out, INFO_FILE, read_listing(listing).bytes) as folder:
        return assemble(listing, parts, folder, config.data, config.seed, config.cache)
