"""Corrected verdicts as the command line takes and shows them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from cli.files import expand, read_picture
from forgery.errors import InvalidConfig
from forgery.feedback import Correction, Given, keep


def correct(
    files: Sequence[str], label: str, by: str, because: str, keep_picture: bool, url: str | None, place: str
) -> Iterator[str]:
    """Store a correction for each file; yields a line a file.

    Raises:
        InvalidConfig: `label` is no class, or `by` or `because` says nothing.
        SourceError, PictureRejected: A file is no picture.
        StorageError: The place refuses.
    """
    for path in expand(files):
        encoded = read_picture(path)
        try:
            correction = Correction.of(encoded, label, by, because, _given(url, path, encoded), keep_picture)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidConfig(f"--{first['loc'][0]}: {first['msg'].lower()} (got {first['input']!r})") from error
        keep(place, correction, encoded)
        said = f" (the verdict was {correction.given.label})" if correction.given else ""
        yield f"{path}: {correction.label}{said}, {'with' if keep_picture else 'without'} the picture, kept in {place}"


def _given(url: str | None, path: Path, encoded: bytes) -> Given | None:
    if url is None:
        return None
    from cli.endpoint import score

    return Given.model_validate(score(url, path.name, encoded))


def print_corrections(place: str, as_json: bool) -> None:
    """Print what a training would take, and what it would leave out and why."""
    from forgery.config import DataOptions
    from forgery.dataset.corrections import read_corrections
    from forgery.dataset.sources import open_source

    if not place.startswith("s3://") and not Path(place).is_dir():
        Console(stderr=True).print(f"no feedback yet in {place}: forgery feedback add", highlight=False)
        return
    with open_source(place, DataOptions(), seed=0) as source:
        listing = read_corrections(source, list(source.entries()))
    rows = [(Path(each.name).stem, str(each.label), "learnt from") for each in listing.pictures]
    rows += [(each.name, "", each.message) for each in listing.rejects]
    if as_json:
        for digest, label, note in rows:
            print(json.dumps({"digest": digest, "label": label or None, "note": note}))
        return
    table = Table("picture", "label", "next training", box=None)
    for digest, label, note in rows:
        table.add_row(digest[:16], label, note)
    Console().print(table)
