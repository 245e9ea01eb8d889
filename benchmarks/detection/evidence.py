"""Evidence of the pictures in their views, computed once and kept: maps, control crops and masks."""

import io
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.detection.controls import control_crop
from benchmarks.detection.forging import forge
from benchmarks.detection.pictures import SEED, Pictures
from benchmarks.detection.views import HARMONISED, Saves, first_save, last_saves, render, with_history
from forgery.cores import available_cores
from forgery.evidence_set import MASK_UNKNOWN, mask_cells, mask_channel
from forgery.histories import MATCHED
from forgery.last_saves import LastSave
from forgery.pasting import last_save, paste, steps_to_host
from forgery.picture import decode
from forgery.progress import track
from forgery.recipes import Evidence, Recipe

logger = logging.getLogger(__name__)

UNKNOWN = -1.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Workplace:
    """What evidence is computed from, and the folder that keeps it."""

    folder: Path
    pictures: Pictures
    saves: Saves

    def maps(self, recipe: Recipe, view: str, fold: int) -> Evidence:
        """Maps of a fold's pictures in a view, uint8 [n, H, W, C], in the order of `Pictures.rows`."""

        def compute() -> dict[str, NDArray[Any]]:
            chosen = {int(index) for index in np.flatnonzero(self.pictures.folds == fold)}
            found = dict(self._each(lambda index, encoded: self._map(recipe, view, index, encoded), chosen, view))
            return {"maps": np.stack([found[index] for index in sorted(found)])}

        return np.asarray(_kept(self.folder / recipe.name / f"{view}-fold{fold}.npz", compute)["maps"])

    def controls(self, recipe: Recipe, view: str, fold: int) -> tuple[Evidence, NDArray[np.int64]]:
        """Maps of crops without a forged pixel, uint8 [m, H, W, C], and the index of each one's picture, [m]."""

        def compute() -> dict[str, NDArray[Any]]:
            masks = dict(self.pictures.masks())
            # A forged picture without a mask has no place that is known to be authentic.
            chosen = {
                int(index)
                for index in np.flatnonzero(self.pictures.folds == fold)
                if not self.pictures.forged[index] or index in masks
            }

            def crop(index: int, encoded: bytes) -> Evidence | None:
                picture = render(view, index, encoded, self.pictures, self.saves)
                cropped = control_crop(picture, masks.get(index), index)
                return recipe.compute(cropped) if cropped else None

            found = {index: each for index, each in self._each(crop, chosen, f"controls, {view}") if each is not None}
            order = sorted(found)
            return {"maps": np.stack([found[index] for index in order]), "of": np.array(order)}

        found = _kept(self.folder / recipe.name / f"{view}-fold{fold}-controls.npz", compute)
        return np.asarray(found["maps"]), np.asarray(found["of"])

    def forgeries(self, recipe: Recipe, view: str, fold: int) -> tuple[Evidence, NDArray[np.float32]]:
        """A fresh forgery of each authentic picture of a fold, from pictures of that fold alone.

        It goes through the saves that the view gives both classes; in `matched` through one of a forged file before.

        Returns:
            Maps, uint8 [n, H, W, C], and the forged part of each cell, float32 [n, H, W, 1].
        """

        def compute() -> dict[str, NDArray[Any]]:
            chosen = {int(each) for each in np.flatnonzero((self.pictures.folds == fold) & ~self.pictures.forged)}
            donors = [encoded for index, encoded in self.pictures.encoded() if index in chosen]
            found = dict(self._each(lambda index, host: self._forgery(recipe, view, index, host, donors), chosen, view))
            maps, masks = zip(*(found[index] for index in sorted(found)), strict=True)
            return {"maps": np.stack(maps), "masks": np.stack(masks)}

        found = _kept(self.folder / recipe.name / f"{view}-fold{fold}-forgeries.npz", compute)
        return np.asarray(found["maps"]), np.asarray(found["masks"])

    def varied(self, recipe: Recipe, fold: int) -> tuple[Evidence, NDArray[np.float32]]:
        """A fold's pictures as `matched` has them but for their last save, which is drawn, and what it leaves of masks.

        Returns:
            Maps, uint8 [n, H, W, C], and the forged part of each cell, float32 [n, H, W, 1], -1 unknown.
        """

        def compute() -> dict[str, NDArray[Any]]:
            marked = dict(self.pictures.masks())
            chosen = {int(index) for index in self.pictures.of_fold(fold)}

            def vary(index: int, encoded: bytes) -> tuple[Evidence, NDArray[np.float32]]:
                row = self.pictures.rows[index]
                picture = with_history(index, encoded, self.pictures, self.saves)
                last = LastSave.drawn(row.digest, picture.size)
                cells = mask_channel(row.label, encoded, marked.get(index), recipe, last.cut_px).astype(np.float32)
                masks = np.where(cells == MASK_UNKNOWN, UNKNOWN, cells / (MASK_UNKNOWN - 1))
                return recipe.compute(decode(last.file(picture))), masks.astype(np.float32)

            found = dict(self._each(vary, chosen, "varied"))
            maps, masks = zip(*(found[index] for index in sorted(found)), strict=True)
            return {"maps": np.stack(maps), "masks": np.stack(masks)}

        found = _kept(self.folder / recipe.name / f"varied-fold{fold}.npz", compute)
        return np.asarray(found["maps"]), np.asarray(found["masks"])

    def pasted(self, recipe: Recipe, fold: int) -> tuple[Evidence, NDArray[np.float32]]:
        """What was forged in a fold's pictures, each pasted into an authentic one of the fold that follows it.

        That one gives it the first save that it has in `matched`.

        Returns:
            Maps, uint8 [n, H, W, C], of forged pictures with a mask, and the forged part of each cell [n, H, W, 1].
        """

        def compute() -> dict[str, NDArray[Any]]:
            marked, rows = dict(self.pictures.masks()), self.pictures.rows
            chosen = self.pictures.of_fold(fold)
            hosts = chosen[~self.pictures.forged[chosen]]
            files = {index: encoded for index, encoded in self.pictures.encoded() if index in set(hosts)}

            def lay(index: int, encoded: bytes) -> tuple[Evidence, NDArray[np.float32]]:
                after = int(np.searchsorted(hosts, index)) + steps_to_host(rows[index].digest) - 1
                host = int(hosts[after % len(hosts)])
                mask = Image.open(io.BytesIO(marked[index])).convert("L")
                made, where = paste(rows[index].digest, decode(encoded), mask, decode(files[host]))
                last = last_save(rows[index].digest, made.size)
                file = last.file(first_save(host, self.pictures, self.saves).apply(made))
                cells = (mask_cells(where, recipe, last.cut_px) / (MASK_UNKNOWN - 1)).astype(np.float32)
                return recipe.compute(decode(file)), cells

            found = dict(self._each(lay, {int(each) for each in chosen if int(each) in marked}, "pasted"))
            maps, masks = zip(*(found[index] for index in sorted(found)), strict=True)
            return {"maps": np.stack(maps), "masks": np.stack(masks)}

        found = _kept(self.folder / recipe.name / f"pasted-fold{fold}.npz", compute)
        return np.asarray(found["maps"]), np.asarray(found["masks"])

    def _forgery(
        self, recipe: Recipe, view: str, index: int, host: bytes, donors: list[bytes]
    ) -> tuple[Evidence, NDArray[np.float32]]:
        random = np.random.default_rng([SEED, index, 2])
        donor = decode(donors[random.integers(len(donors))])
        edited, mask, _ = forge(np.asarray(decode(host)), np.asarray(donor), random)
        picture = Image.fromarray(edited)
        if view == MATCHED:
            saves = self.saves.outside(int(self.pictures.folds[index]))
            picture = saves[random.integers(len(saves))].apply(picture)
        height, width, _ = recipe.shape
        cells = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return recipe.compute(last_saves(view, picture)), np.asarray(cells, np.float32)[:, :, None]

    def _map(self, recipe: Recipe, view: str, index: int, encoded: bytes) -> Evidence:
        same = view == MATCHED and self.pictures.forged[index]
        return recipe.compute(render(HARMONISED if same else view, index, encoded, self.pictures, self.saves))

    def _each(
        self, compute: Callable[[int, bytes], _Result], chosen: set[int], what: str
    ) -> Iterator[tuple[int, _Result]]:
        """Results by index; codecs and matching release the interpreter lock, so threads are enough."""
        tasks = [(index, encoded) for index, encoded in self.pictures.encoded() if index in chosen]
        with ThreadPoolExecutor(available_cores()) as pool:
            results = pool.map(lambda task: compute(*task), tasks)
            yield from zip((index for index, _ in tasks), track(results, len(tasks), what), strict=True)


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
