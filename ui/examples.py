"""Pictures to try the page with, made here: pairs of the demo data set that only an edit tells apart."""

import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_MANIFEST = "manifest.csv"
# Of a fixed seed: the first six pairs, of which some show each kind of edit.
_PICTURES = 12
_SEED = 27
_SHOWN = (("splice", "forged"), ("splice", "authentic"), ("copy-move", "forged"), ("removal", "forged"))
_TITLES = {
    ("splice", "forged"): "Something pasted in",
    ("splice", "authentic"): "The same scene, untouched",
    ("copy-move", "forged"): "A part copied",
    ("removal", "forged"): "Something removed",
}


@dataclass(frozen=True)
class Example:
    """A picture to try and what was done to it."""

    title: str
    path: Path


def make_examples(folder: Path) -> Path:
    """Write the examples, unless they are there. Raises SourceError where the photographs are not installed."""
    if (folder / _MANIFEST).exists():
        return folder
    # Only here: a page that is given its examples needs no photographs, and none of what reads them.
    from forgery.dataset.demo import make_demo

    return make_demo(folder, _PICTURES, _SEED)


def read_examples(folder: str | os.PathLike[str] | None) -> list[Example]:
    """The examples of a folder that `make_examples` wrote; none where it did not."""
    manifest = Path(folder or "") / _MANIFEST
    if not folder or not manifest.exists():
        return []
    with manifest.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    kinds = {row["group"]: row["manipulation"] for row in rows if row["manipulation"]}
    found: dict[tuple[str, str], Path] = {}
    for row in rows:
        found.setdefault((kinds.get(row["group"], ""), row["label"]), manifest.parent / row["file"])
    return [Example(_TITLES[kind], found[kind]) for kind in _SHOWN if kind in found]


if __name__ == "__main__":
    make_examples(Path(sys.argv[1]))
