"""Evidence of all pictures in one view, computed once and kept: maps, control crops and masks."""

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.detection.controls import control_crop
from benchmarks.detection.pictures import Pictures
from benchmarks.detection.views import Saves, render
from forgery.progress import track
from forgery.recipes import Evidence, Recipe

logger = logging.getLogger(__name__)

UNKNOWN = -1.0


@dataclass(frozen=True)
class ViewEvidence:
    """What networks read of one view.

    Attributes:
        maps: uint8 [n, H, W, C], in the order of `Pictures.rows`.
        controls: uint8 [m, H, W, C], of crops without a forged pixel.
        control_of: Index of each crop's picture, [m].
    """

    maps: Evidence
    controls: Evidence
    control_of: NDArray[np.int64]


def view_evidence(folder: Path, view: str, recipe: Recipe, pictures: Pictures, saves: Saves) -> ViewEvidence:
    """The evidence of a view, from `folder` where it was computed before."""
    found = _kept(folder / f"{recipe.name}-{view}.npz", lambda: _computed(view, recipe, pictures, saves))
    return ViewEvidence(found["maps"], found["controls"], found["control_of"])


def _computed(view: str, recipe: Recipe, pictures: Pictures, saves: Saves) -> dict[str, NDArray[Any]]:
    masks = dict(pictures.masks())
    maps = np.zeros((len(pictures.rows), *recipe.shape), np.uint8)
    controls, control_of = [], []
    for index, encoded in track(pictures.encoded(), len(pictures.rows), f"{recipe.name}, {view}"):
        picture = render(view, index, encoded, pictures, saves)
        maps[index] = recipe.compute(picture)
        if pictures.forged[index] and index not in masks:
            continue  # nobody knows where it is authentic
        if crop := control_crop(picture, masks.get(index), index):
            controls.append(recipe.compute(crop))
            control_of.append(index)
    return {"maps": maps, "controls": np.stack(controls), "control_of": np.array(control_of)}


def read_masks(folder: Path, pictures: Pictures, cells: int) -> NDArray[np.float32]:
    """Forged part of each cell, float32 [n, cells, cells, 1]: 0 for authentic pictures, -1 where there is no mask."""
    return np.asarray(_kept(folder / f"masks-{cells}.npz", lambda: {"masks": _masks(pictures, cells)})["masks"])


def _masks(pictures: Pictures, cells: int) -> NDArray[np.float32]:
    masks = np.where(pictures.forged, UNKNOWN, 0)[:, None, None, None] * np.ones((1, cells, cells, 1))
    for index, png in pictures.masks():
        marked = (np.asarray(Image.open(io.BytesIO(png)).convert("L")) > 127).astype(np.float32)
        masks[index, :, :, 0] = cv2.resize(marked, (cells, cells), interpolation=cv2.INTER_AREA)
    return masks.astype(np.float32)


def _kept(path: Path, compute: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        np.savez(partial, allow_pickle=False, **compute())
        partial.replace(path)
    with np.load(path) as file:
        return dict(file)
