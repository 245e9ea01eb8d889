"""CASIA v1 and v2 file names, which carry the pictures a forgery was made from.

Au_ani_0001.jpg, Au_ani_00001.jpg              authentic: category and number
Sp_D_CND_A_pla0005_pla0023_0281.jpg            v1: splice (D) or copy-move (S), two sources, its own number
Tp_D_CRN_S_N_cha00063_art00014_11818.tif       v2
"""

import re
from collections.abc import Collection
from typing import Final

from forgery.dataset.groups import Groups
from forgery.dataset.labels import Labelled
from forgery.dataset.sources import Entry, Source

MASK_PAIRS: Final = "mask_pairs.tsv"
_AUTHENTIC: Final = re.compile(r"Au_([a-z]{3})_?(\d+)", re.IGNORECASE)
_FORGED: Final = re.compile(
    r"(?:Sp|Tp)_([DS])_(?:[A-Z]+_)+([a-z]{3})_?(\d+)_([a-z]{3})_?(\d+)[_.]\w+?(?<!_gt)", re.IGNORECASE
)
_MANIPULATIONS: Final = {"D": "splice", "S": "copy-move"}


def label(source: Source, entries: Collection[Entry]) -> list[Labelled]:
    """Label the files whose names follow CASIA's scheme.

    Files that share a source picture, directly or through others, form one group, named by its first source.

    Args:
        source: Read for `mask_pairs.tsv` alone.
        entries: Every file of the source, in order of name.

    Returns:
        The files in order of name; empty where none follows the scheme.
    """
    masks = _masks(source, entries)
    groups = Groups()
    found: list[tuple[Entry, list[str], str | None]] = []
    for entry in entries:
        stem = _stem(entry.name)
        if match := _AUTHENTIC.fullmatch(stem):
            found.append((entry, [_key(match[1], match[2])], None))
        elif match := _FORGED.fullmatch(stem):
            keys = [_key(match[2], match[3]), _key(match[4], match[5])]
            groups.join(*keys)
            found.append((entry, keys, _MANIPULATIONS[match[1].upper()]))
    return [
        Labelled(
            entry.name,
            entry.size,
            "forged" if manipulation else "authentic",
            groups.find(keys[0]),
            masks.get(_stem(entry.name)) if manipulation else None,
            manipulation,
        )
        for entry, keys, manipulation in found
    ]


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _key(category: str, number: str) -> str:
    return f"{category.lower()}{int(number):05d}"


def _masks(source: Source, entries: Collection[Entry]) -> dict[str, str]:
    """Mask file by the stem of its picture: `<stem>_gt.*`, unless `mask_pairs.tsv` says otherwise."""
    by_file = {entry.name.rsplit("/", 1)[-1]: entry.name for entry in entries if _stem(entry.name).endswith("_gt")}
    masks = {_stem(name).removesuffix("_gt"): path for name, path in by_file.items()}
    pairs = next((entry.name for entry in entries if entry.name.rsplit("/", 1)[-1] == MASK_PAIRS), None)
    if pairs is not None:
        rows = (line.split("\t") for line in source.read(pairs).decode("utf-8", "replace").splitlines()[1:])
        masks.update({_stem(row[0]): by_file[row[1]] for row in rows if len(row) == 2 and row[1] in by_file})
    return masks
