"""Real photographs, and what a generator's last layer makes of them: enlarged twice, with or without a chequerboard."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.dataset.photographs import Region, regions

SIDE_PX: Final = 256
_CROPS: Final = 8  # of each class from each photograph
# A transposed convolution of stride two whose kernel of three overlaps unevenly, the usual source of chequerboards.
_KERNEL: Final = np.array([0.6, 1.0, 0.6])


def make_pictures(out: Path, photographs: Path | None, seed: int = 0) -> None:
    """Write pictures and `manifest.csv`, with the photograph as group: both classes come from each.

    Photographs are halved first, so that no earlier compression tells the classes apart; all are written as PNG.

    Args:
        out: Folder to fill.
        photographs: Folder of JPEG files; None for those that installed packages ship.
        seed: Draws places and kinds.
    """
    random = np.random.default_rng(seed)
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    with (out / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "group", "manipulation"])
        for name, photograph in _halved(photographs):
            for index in range(2 * _CROPS):
                label, kind, picture = _picture(photograph, index, random)
                path = f"pictures/{name}-{index}.png"
                picture.save(out / path)
                rows.writerow([path, label, name, kind])


def _halved(photographs: Path | None) -> Iterator[tuple[str, Image.Image]]:
    if photographs is None:
        found: Iterator[Region] = iter(regions())
        whole = {region.photograph: region.pixels for region in found}
    else:
        whole = {path.stem: Image.open(path) for path in sorted(photographs.glob("*.jp*g"))}
    for name, picture in whole.items():
        size = max(SIDE_PX, picture.width // 2), max(SIDE_PX, picture.height // 2)
        yield name, picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def _picture(photograph: Image.Image, index: int, random: np.random.Generator) -> tuple[str, str, Image.Image]:
    """Label, kind and pixels: a crop as it is, or its content at half the size, enlarged again."""
    left = int(random.integers(photograph.width - SIDE_PX + 1))
    top = int(random.integers(photograph.height - SIDE_PX + 1))
    crop = photograph.crop((left, top, left + SIDE_PX, top + SIDE_PX))
    if index < _CROPS:
        return "authentic", "", crop
    small = crop.resize((SIDE_PX // 2, SIDE_PX // 2), Image.Resampling.LANCZOS)
    if index % 2:
        return "forged", "smooth", small.resize(crop.size, Image.Resampling.BICUBIC)
    return "forged", "chequerboard", Image.fromarray(transposed_convolution(np.asarray(small)))


def transposed_convolution(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge [h, w, 3] to [2h, 2w, 3] by zeros between pixels and a kernel of three, scaled to keep the mean."""
    import cv2

    height, width, channels = pixels.shape
    spread = np.zeros((2 * height, 2 * width, channels), np.float32)
    spread[::2, ::2] = pixels
    scale = 4 / _KERNEL.sum() ** 2
    enlarged = cv2.sepFilter2D(spread, -1, _KERNEL, _KERNEL, borderType=cv2.BORDER_REFLECT_101) * scale
    return np.asarray(np.clip(np.round(enlarged), 0, 255), np.uint8)
