"""The ELA step: from an image set to its evidence maps, lossless, in shards, on every core.

<evidence set>/
  evidence.json     EvidenceInfo: recipe, data set, variants, counts
  index.jsonl       one EvidenceRow per map
  shards/*.tar      members <digest>.<variant>.png, see `encode_map`

With a dense recipe a map has one more channel, the mask: see `mask_channel`.

The test split is not here: evaluation computes it anew with the recipe of each model it compares.
"""

import contextlib
import io
import itertools
import math
import multiprocessing
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from forgery.cores import available_cores
from forgery.dataset.manifest import ROW_CONFIG, ClassLabel, Picture, Split, read_info
from forgery.dataset.shards import ShardWriter, read_with_masks
from forgery.errors import ForgeryError, StorageError
from forgery.histories import MATCHED, Save, matched, read_forged_saves
from forgery.parallel import in_order
from forgery.picture import UNLIMITED
from forgery.progress import track
from forgery.recipes import Evidence, Recipe, evidence, parse_recipe
from forgery.variants import ORIGINAL, Variant, parse_variants
from forgery.writing import whole_folder

INFO_FILE: Final = "evidence.json"
INDEX_FILE: Final = "index.jsonl"
MASK_UNKNOWN: Final = 255
_ORIENTATION: Final = 0x0112  # of EXIF
EVIDENCE_SPLITS: Final[tuple[Split, ...]] = ("train", "validation")
# Starting workers costs as much as some hundred small maps.
_FEW_PICTURES: Final = 64
# Few enough that no core waits long for the last ones, enough to make the way to a worker cheap.
_CHUNK_PICTURES: Final = 8


class EvidenceInfo(BaseModel):
    """Summary of an evidence set; `map_bytes` is the size of all maps decoded, `masks` whether they hold masks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    dataset_digest: str
    variants: list[str]
    counts: dict[str, dict[str, int]]  # split -> label -> maps
    maps: int
    map_bytes: int
    masks: bool = False


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


def encode_map(evidence_map: Evidence) -> bytes:
    """A map as PNG, without loss.

    Args:
        evidence_map: uint8 [H, W, C].

    Returns:
        A grey PNG for one channel, RGB for three; else a grey one with the channels below each other.
    """
    height, width, channels = evidence_map.shape
    if channels == 1:
        evidence_map = evidence_map[:, :, 0]
    elif channels != 3:
        evidence_map = np.ascontiguousarray(evidence_map.transpose(2, 0, 1)).reshape(channels * height, width)
    png = io.BytesIO()
    # Maps have runs, not repeats: on CASIA v1 RLE takes half the time of the default (3.0 for 6.6 ms), and 2 % more
    # bytes (90.9 for 89.5 kB).
    Image.fromarray(evidence_map).save(png, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return png.getvalue()


def decode_map(png: bytes, shape: tuple[int, int, int]) -> Evidence:
    """The map that `encode_map` wrote: uint8 of `shape`, [H, W, C]."""
    height, width, channels = shape
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image)
    if channels in (1, 3):
        return pixels.reshape(shape)
    return np.ascontiguousarray(pixels.reshape(channels, height, width).transpose(1, 2, 0))


def stored_shape(recipe: Recipe) -> tuple[int, int, int]:
    """Height, width, channels of what an evidence set holds: the map, and with a dense recipe the mask."""
    height, width, channels = recipe.shape
    return height, width, channels + recipe.dense


def mask_channel(label: ClassLabel, encoded: bytes, mask: bytes | None, recipe: Recipe) -> Evidence:
    """The forged part of each cell, 0 to 254; 255 where a forged picture has no mask.

    Args:
        label: Of the picture; no cell of an authentic one is forged.
        encoded: Its file, for the EXIF orientation where the recipe applies it.
        mask: PNG, 255 where forged.
        recipe: Gives height and width.

    Returns:
        uint8 [H, W, 1].
    """
    height, width, _ = recipe.shape
    if label == "authentic" or mask is None:
        level = 0 if label == "authentic" else MASK_UNKNOWN
        return np.full((height, width, 1), level, np.uint8)
    marked = Image.open(io.BytesIO(mask)).convert("L")
    if recipe.upright:
        marked.getexif()[_ORIENTATION] = Image.open(io.BytesIO(encoded)).getexif().get(_ORIENTATION, 1)
        marked = ImageOps.exif_transpose(marked)
    cells = np.asarray(marked.resize((width, height), Image.Resampling.BOX), np.float32)
    return (cells * ((MASK_UNKNOWN - 1) / 255)).round().astype(np.uint8)[:, :, None]


@dataclass(frozen=True)
class _Work:
    """One picture for a worker: its bytes, and the copies to take maps of."""

    picture: Picture
    encoded: bytes
    mask: bytes | None
    variants: tuple[Variant, ...]


def build_evidence(
    image_set: Path,
    out: Path,
    recipe: Recipe,
    variants: Sequence[str] = (),
    shard_mb: int = 64,
    workers: int | None = None,
) -> EvidenceInfo:
    """Compute the maps of the train and validation splits.

    The bytes written depend on image set, recipe, variants and `shard_mb` alone, not on the number of workers.

    Args:
        image_set: What ingest wrote.
        out: The evidence set's folder; it appears whole or not at all.
        recipe: Fixes every pixel of the maps.
        variants: Further copies of the training pictures, e.g. `q85`, `x50`, `x50q85`; `matched` gives the pictures of
            both splits one file history first (`forgery.histories`), instead of copying them once more.
        shard_mb: Size of a shard in megabytes.
        workers: Processes; by default one per available core.

    Raises:
        InvalidConfig: A variant is of no known form.
        StorageError: The image set is damaged, or the disk is full.
    """
    copies = parse_variants([name for name in variants if name != MATCHED])
    saves = read_forged_saves(image_set) if MATCHED in variants else None
    info = read_info(image_set)
    per_split: dict[Split, tuple[Variant, ...]] = {"train": copies, "validation": ()}
    counts = {
        split: {label: count * (1 + len(per_split[split])) for label, count in info.counts[split].items()}
        for split in EVIDENCE_SPLITS
    }
    maps = sum(sum(labels.values()) for labels in counts.values())
    summary = EvidenceInfo(
        recipe=recipe.name,
        dataset_digest=info.digest,
        variants=[ORIGINAL, *(copy.name for copy in copies)] + [MATCHED] * (saves is not None),
        counts=counts,
        maps=maps,
        map_bytes=maps * math.prod(stored_shape(recipe)),
        masks=recipe.dense,
    )
    pictures = sum(sum(info.counts[split].values()) for split in EVIDENCE_SPLITS)
    workers = workers or (available_cores() if pictures > _FEW_PICTURES else 1)
    with whole_folder(out, INFO_FILE, summary.map_bytes) as folder:
        computed = _compute(_work(image_set, per_split, saves), recipe, workers)
        _write(folder, track(computed, pictures, "computing evidence"), summary.variants, shard_mb)
        (folder / INFO_FILE).write_text(summary.model_dump_json(indent=2) + "\n")
    return summary


def _work(image_set: Path, variants: dict[Split, tuple[Variant, ...]], saves: Sequence[Save] | None) -> Iterator[_Work]:
    for split, copies in variants.items():
        for picture, encoded, mask in read_with_masks(image_set, (split,)):
            if saves is not None:
                encoded = matched(encoded, picture.digest, picture.label, saves, UNLIMITED)
            yield _Work(picture, encoded, mask, copies)


def _write(folder: Path, computed: Iterable[tuple[Picture, list[bytes]]], variants: list[str], shard_mb: int) -> None:
    with contextlib.ExitStack() as stack:
        index = stack.enter_context((folder / INDEX_FILE).open("w"))
        writers = {split: stack.enter_context(ShardWriter(folder, split, shard_mb)) for split in EVIDENCE_SPLITS}
        for picture, maps in computed:
            for variant, png in zip(variants, maps, strict=False):
                member = f"{picture.digest}.{variant}.png"
                row = EvidenceRow(
                    digest=picture.digest,
                    variant=variant,
                    label=picture.label,
                    group=picture.group,
                    split=picture.split,
                    shard=writers[picture.split].add([(member, png)]),
                    member=member,
                )
                index.write(row.model_dump_json() + "\n")


def _compute(works: Iterator[_Work], recipe: Recipe, workers: int) -> Iterator[tuple[Picture, list[bytes]]]:
    """Maps of each picture, in the order of pictures."""
    if workers == 1:
        for work in works:
            yield work.picture, _maps(work, recipe)
        return
    # Forking is quick and shares what is loaded; TensorFlow's threads do not survive it.
    method = "spawn" if "tensorflow" in sys.modules or not sys.platform.startswith("linux") else "fork"
    chunks = iter(lambda: list(itertools.islice(works, _CHUNK_PICTURES)), [])
    with ProcessPoolExecutor(workers, multiprocessing.get_context(method)) as pool:
        for chunk, maps in in_order(pool, partial(_maps_of_chunk, recipe.name), chunks, most=3 * workers):
            yield from zip((work.picture for work in chunk), maps, strict=True)


def _maps_of_chunk(recipe_name: str, chunk: list[_Work]) -> list[list[bytes]]:
    recipe = parse_recipe(recipe_name)
    return [_maps(work, recipe) for work in chunk]


def _maps(work: _Work, recipe: Recipe) -> list[bytes]:
    try:
        files = [work.encoded, *(copy.copy(work.encoded, UNLIMITED, recipe.upright) for copy in work.variants)]
        maps = [evidence(file, recipe, UNLIMITED) for file in files]
        if recipe.dense:
            mask = mask_channel(work.picture.label, work.encoded, work.mask, recipe)
            maps = [np.concatenate([each, mask], axis=2) for each in maps]
        return [encode_map(each) for each in maps]
    except ForgeryError as error:
        # Ingest decoded it, so it was changed since; a plain error also travels between processes.
        raise StorageError(f"picture {work.picture.digest} of the image set is damaged: {error}") from error
