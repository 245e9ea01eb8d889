"""Which pictures a source holds, cut into shards that tasks take one each."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from forgery.config import DataOptions
from forgery.dataset.layouts import is_mask
from forgery.dataset.sources import open_source
from forgery.errors import InvalidConfig, SourceError
from forgery.writing import whole_folder

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
_INDEX: Final = "listing.json"
# Seeds `demo:`; every task must see the same pictures.
SEED: Final = 0


def list_shards(source: str, out: Path, shard_pictures: int, options: DataOptions) -> list[str]:
    """Write the names of a source's pictures into the folder `out`, sorted, so many to a file.

    Only names are read. What is a picture is told by the suffix here, and by content when it is scored; masks that lie
    beside training pictures are none.

    Returns:
        Names of the shards, for `read_shard`.

    Raises:
        SourceError: There is no picture, or the source cannot be listed.
        InvalidConfig: There are more than `options.max_pictures`.
    """
    with open_source(source, options, SEED) as opened:
        names = sorted(entry.name for entry in opened.entries() if _is_picture(entry.name))
    if not names:
        raise SourceError(f"source {source} holds no file named {', '.join('*' + suffix for suffix in SUFFIXES)}")
    if len(names) > options.max_pictures:
        raise InvalidConfig(
            f"source {source} holds {len(names)} pictures, over data.max_pictures={options.max_pictures}"
        )
    shards = [f"{number:06d}" for number in range(-(-len(names) // shard_pictures))]
    with whole_folder(out, _INDEX) as folder:
        for shard, chosen in zip(shards, _chunks(names, shard_pictures), strict=True):
            (folder / f"{shard}.json").write_text(json.dumps(chosen))
        (folder / _INDEX).write_text(json.dumps({"source": source, "pictures": len(names), "shards": len(shards)}))
    return shards


def read_shard(listing: Path, shard: str) -> list[str]:
    """Names of a shard's pictures, sorted."""
    names: list[str] = json.loads((listing / f"{shard}.json").read_text())
    return names


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not is_mask(name)


def _chunks(names: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
