"""The evidence set on disk: what the ELA step writes and training reads.

<evidence set>/
  evidence.json     EvidenceInfo: recipe, data set, variants, counts
  index.jsonl       one EvidenceRow per map
  shards/*.tar      members <digest>.<variant>.png, see `encode_map`; or, where the maps are left in the cache,
  places.jsonl      one StoredMap per row of the index; a shard is then a group of neighbours

With a dense recipe a map has one more channel, the mask: see `mask_channel`.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from forgery.dataset.manifest import ROW_CONFIG, ClassLabel, Split
from forgery.errors import StorageError
from forgery.recipes import Evidence, Recipe

INFO_FILE: Final = "evidence.json"
INDEX_FILE: Final = "index.jsonl"
PLACES_FILE: Final = "places.jsonl"
WHOLE: Final = "00000-of-00001"
MASK_UNKNOWN: Final = 255
_ORIENTATION: Final = 0x0112  # of EXIF
EVIDENCE_SPLITS: Final[tuple[Split, ...]] = ("train", "validation")


class EvidenceInfo(BaseModel):
    """Summary of an evidence set, or of one part of it.

    Attributes:
        recipe: Canonical name.
        dataset_digest: Of the image set.
        variants: Names of the copies that maps were taken of.
        counts: Maps by split and label.
        maps: All of them.
        map_bytes: Their size decoded.
        masks: Whether they hold masks.
        part: `00001-of-00003` for the second of three.
        reused: Maps that were not computed but found in the cache.
        digest: Sum over all maps of the SHA-256 of name and checksum, modulo 2^256, in hexadecimal: parts add up to
            the digest of the whole, however it was cut.
        place: Where the packs of the maps are, s3://bucket/prefix or file://PATH; empty where they lie beside this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    dataset_digest: str
    variants: list[str]
    counts: dict[str, dict[str, int]]
    maps: int
    map_bytes: int
    masks: bool = False
    part: str = WHOLE
    reused: int = 0
    digest: str = "0"
    place: str = ""


class EvidenceRow(BaseModel):
    """One map: its picture, which copy of it, and where the map lies."""

    model_config = ROW_CONFIG

    digest: str
    variant: str
    label: ClassLabel
    group: str
    split: Split
    shard: str
    member: str


class StoredMap(NamedTuple):
    """Where a map lies: the pack, the range of its PNG in bytes, and the PNG's `checksum`."""

    pack: str
    offset: int
    size: int
    checksum: str


def read_evidence_info(folder: Path) -> EvidenceInfo:
    """The summary of the evidence set in `folder`."""
    return EvidenceInfo.model_validate_json((folder / INFO_FILE).read_bytes())


def read_index(folder: Path, split: Split) -> Iterator[EvidenceRow]:
    """Rows of one split, in the order of its shards and their members, one at a time."""
    with (folder / INDEX_FILE).open() as lines:
        for line in lines:
            row = EvidenceRow.model_validate_json(line)
            if row.split == split:
                yield row


def read_located(folder: Path, split: Split) -> Iterator[tuple[EvidenceRow, StoredMap | None]]:
    """Rows as `read_index` gives them, each with the place of its map; None where that is in a file of its own set."""
    if not (folder / PLACES_FILE).exists():
        yield from ((row, None) for row in read_index(folder, split))
        return
    with (folder / INDEX_FILE).open() as rows, (folder / PLACES_FILE).open() as places:
        for line, place in zip(rows, places, strict=True):
            row = EvidenceRow.model_validate_json(line)
            if row.split == split:
                yield row, StoredMap(*json.loads(place))


def checksum(png: bytes) -> str:
    """What tells a damaged map: the first 16 digits of its SHA-256."""
    return hashlib.sha256(png).hexdigest()[:16]


def encode_map(evidence_map: Evidence) -> bytes:
    """A map as PNG, without loss.

    Args:
        evidence_map: uint8 [H, W, C].

    Returns:
        An RGB PNG for three channels; else a grey one with the channels beside each other.
    """
    import cv2

    height, width, channels = evidence_map.shape
    if channels == 3:
        pixels = evidence_map[:, :, ::-1]
    else:
        pixels = evidence_map.transpose(0, 2, 1).reshape(height, channels * width)
    # Maps have runs, not repeats, and few rows with the quickest filter to take back: docs/scale.md has the times.
    settings = (
        *(cv2.IMWRITE_PNG_COMPRESSION, 1),
        *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
        *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
    )
    _, png = cv2.imencode(".png", np.ascontiguousarray(pixels), settings)
    return png.tobytes()


def decode_map(png: bytes, shape: tuple[int, int, int]) -> Evidence:
    """The map that `encode_map` wrote: uint8 of `shape`, [H, W, C]; StorageError where it is none."""
    import cv2

    height, width, channels = shape
    flags = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), flags) if png else None
    if pixels is None or pixels.shape[0] != height or pixels.size != height * width * channels:
        raise StorageError(f"a map of the evidence is damaged: it is no PNG of {shape} values")
    if channels == 3:
        return np.asarray(pixels, np.uint8)
    return np.ascontiguousarray(pixels.reshape(height, channels, width).transpose(0, 2, 1), np.uint8)


def stored_shape(recipe: Recipe) -> tuple[int, int, int]:
    """Height, width, channels of what an evidence set holds: the map, and with a dense recipe the mask."""
    height, width, channels = recipe.shape
    return height, width, channels + recipe.dense


def mask_channel(
    label: ClassLabel, encoded: bytes, mask: bytes | None, recipe: Recipe, cut_px: tuple[int, int] = (0, 0)
) -> Evidence:
    """The forged part of each cell, 0 to 254; 255 where a forged picture has no mask.

    Args:
        label: Of the picture; no cell of an authentic one is forged.
        encoded: Its file, for the EXIF orientation where the recipe applies it.
        mask: PNG, 255 where forged.
        recipe: Gives height and width.
        cut_px: What was cut off the left and the top of the picture, after it was turned upright.

    Returns:
        uint8 [H, W, 1].
    """
    if label == "authentic" or mask is None:
        level = 0 if label == "authentic" else MASK_UNKNOWN
        return np.full((*recipe.shape[:2], 1), level, np.uint8)
    return mask_cells(decode_mask(mask, encoded, recipe.upright), recipe, cut_px)


def decode_mask(mask: bytes, encoded: bytes, upright: bool) -> Image.Image:
    """A mask from its PNG, mode L; if it is to be upright, turned as its picture's file `encoded` says (EXIF)."""
    marked = Image.open(io.BytesIO(mask)).convert("L")
    if not upright:
        return marked
    marked.getexif()[_ORIENTATION] = Image.open(io.BytesIO(encoded)).getexif().get(_ORIENTATION, 1)
    return ImageOps.exif_transpose(marked)


def mask_cells(marked: Image.Image, recipe: Recipe, cut_px: tuple[int, int] = (0, 0)) -> Evidence:
    """The marked part of each cell, 0 to 254, uint8 [H, W, 1], of a mask of mode L from which `cut_px` were cut off."""
    height, width, _ = recipe.shape
    cells = np.asarray(marked.resize((width, height), Image.Resampling.BOX, (*cut_px, *marked.size)), np.float32)
    return (cells * ((MASK_UNKNOWN - 1) / 255)).round().astype(np.uint8)[:, :, None]
