"""A manifest that comes with the pictures: CSV or JSON lines with a row a file.

Columns: `file` and `label`, optional `group`, `mask`, `manipulation`; common other names are understood.
"""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from forgery.dataset.labels import ClassNames, Labelled
from forgery.dataset.manifest import Reject
from forgery.dataset.sources import Entry
from forgery.errors import SourceError

ACCEPTED: Final = "manifest.csv or manifest.jsonl with the columns file and label, optionally group, mask, manipulation"
_FILES: Final = ("manifest.csv", "manifest.jsonl", "metadata.csv", "metadata.jsonl", "labels.csv")
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "file": ("file", "file_name", "filename", "path", "image"),
    "label": ("label", "class", "target"),
    "group": ("group", "source", "source_id"),
    "mask": ("mask", "mask_file", "mask_path"),
    "manipulation": ("manipulation", "type", "forgery_type"),
}


def find(entries: Collection[Entry]) -> str | None:
    """The name of the manifest nearest to the source's root, or None."""
    found = [entry.name for entry in entries if entry.name.rsplit("/", 1)[-1].lower() in _FILES]
    return min(found, key=lambda name: (name.count("/"), name), default=None)


def read(
    encoded: bytes, name: str, entries: Collection[Entry], names: ClassNames
) -> tuple[list[Labelled], list[Reject]]:
    """Label the files a manifest names.

    Args:
        encoded: The manifest's bytes, UTF-8.
        name: Its name in the source; the files it names are relative to its folder, or to the source.
        entries: Every file of the source.
        names: What the label column may say.

    Returns:
        Labelled files in order of name, and a reject for each row without its file and each file without a row.

    Raises:
        SourceError: It cannot be read as a table with a file and a label column, or a label is not known.
    """
    sizes = {entry.name: entry.size for entry in entries}
    folder = f"{name.rsplit('/', 1)[0]}/" if "/" in name else ""
    labelled: dict[str, Labelled] = {}
    rejects: list[Reject] = []
    used = {name}
    for number, row in enumerate(_rows(encoded, name), start=1):
        listed, mask = (_locate(row.get(column), folder, sizes) for column in ("file", "mask"))
        if listed is None:
            message = f"row {number} of {name} names a file that is not there"
            rejects.append(Reject(name=str(row.get("file") or f"row {number}"), reason="missing", message=message))
            continue
        if listed in labelled:
            raise SourceError(f"{name} row {number}: {listed!r} is listed twice; keep one row a file")
        if row.get("mask") and mask is None:
            message = f"the mask of {listed} that row {number} of {name} names is not there"
            rejects.append(Reject(name=str(row["mask"]), reason="mask", message=message))
        label = names.label(str(row.get("label", "")))
        if label is None:
            raise SourceError(
                f"{name} row {number}: label {row.get('label')!r} is not known; known are {names.accepted()}; "
                "state others with data.classes"
            )
        used |= {listed} | ({mask} if mask else set())
        labelled[listed] = Labelled(
            listed, sizes[listed], label, row.get("group") or None, mask, row.get("manipulation") or None
        )
    rejects += [
        Reject(name=each, reason="unlabelled", message=f"{name} has no row for this file")
        for each in sorted(sizes.keys() - used)
    ]
    return [labelled[each] for each in sorted(labelled)], rejects


def _locate(value: str | None, folder: str, sizes: Mapping[str, int]) -> str | None:
    if not value:
        return None
    plain = value.replace("\\", "/").removeprefix("./")
    return next((each for each in (folder + plain, plain) if each in sizes), None)


def _rows(encoded: bytes, name: str) -> Iterator[dict[str, str]]:
    """Rows with the columns' own names, values as text."""
    try:
        text = encoded.decode("utf-8-sig")
        rows: list[dict[str, Any]]
        if name.lower().endswith(".jsonl"):
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text)))
    except (ValueError, csv.Error) as error:
        raise SourceError(f"{name} cannot be read: {error}; accepted is {ACCEPTED}") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise SourceError(f"{name} has no rows; accepted is {ACCEPTED}")
    # JSON rows need not all have every key; a dict keeps the order in which keys came.
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = {
        column: next((key for key in keys if str(key).strip().lower() in words), None)
        for column, words in _COLUMNS.items()
    }
    if columns["file"] is None or columns["label"] is None:
        raise SourceError(f"{name} has the columns {', '.join(map(str, keys))}; accepted is {ACCEPTED}")
    for row in rows:
        yield {
            column: str(value).strip()
            for column, key in columns.items()
            if key is not None and (value := row.get(key)) is not None
        }
