"""How well a map of a forged picture points at what was forged, beside what is had without any learning.

Every map is laid over the picture, whatever its resolution, and compared with the mask. `auc` asks how well it ranks
places inside the mask above the others of the same picture, which file history cannot help; `f1` and `iou` let each
method mark as much of the picture as the mask covers, so that no threshold favours one; `shown_f1` and `shown_iou` are
of a model's map from .5 on, as it is shown to people.
"""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from forgery.recipes.ela import error_level

# A model's map, and what is had without learning.
METHODS: Final = ("map", "ela", "centre")
FIGURES: Final = ("auc", "f1", "iou")
SHOWN_FIGURES: Final = ("shown_f1", "shown_iou")
# Cells a map's ranking is compared in, whatever the network's resolution.
CELLS: Final = 48
# Finer, so that small objects keep their outline.
_GRID_PX: Final = 128
_ELA_QUALITY: Final = 90
_SHOWN_FROM: Final = 0.5
_EXIF_ORIENTATION: Final = 0x0112

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def read_mask(mask: bytes, oriented_as: bytes | None = None) -> Image.Image:
    """A mask as grey picture, 255 where forged.

    Args:
        mask: PNG, as the file's pixels are stored.
        oriented_as: The picture's file, whose EXIF orientation is then applied to the mask.
    """
    grey = Image.open(io.BytesIO(mask)).convert("L")
    if oriented_as is not None:
        grey.getexif()[_EXIF_ORIENTATION] = Image.open(io.BytesIO(oriented_as)).getexif().get(_EXIF_ORIENTATION, 1)
        grey = ImageOps.exif_transpose(grey)
    return grey


def within_picture(activation: Floats, mask: NDArray[np.uint8]) -> float:
    """ROC AUC of the map's cells inside the mask against the others of the same picture.

    Args:
        activation: [h, w] of any resolution.
        mask: [H, W], more than 127 where forged.

    Returns:
        NaN where no cell, or every cell, lies mostly inside.
    """
    from scipy.stats import rankdata

    inside = _inside(mask, CELLS).ravel()
    marked = int(inside.sum())
    if marked in (0, inside.size):
        return float("nan")
    ranks = rankdata(_laid_over(activation, CELLS), axis=None)
    # Mann and Whitney's U, the rank sum less its least value, over the number of pairs.
    return float((ranks[inside].sum() - marked * (marked + 1) / 2) / (marked * (inside.size - marked)))


def measure_map(activation: Floats, mask: NDArray[np.uint8], shown: bool = False) -> dict[str, float]:
    """The figures of `FIGURES`, with `shown` those of `SHOWN_FIGURES` too; NaN where the mask marks nothing.

    Args:
        activation: [h, w] of any resolution, larger where forged; in [0, 1] with `shown`.
        mask: [H, W], more than 127 where forged.
        shown: Measure the part from .5 on as well.
    """
    inside, over = _inside(mask, _GRID_PX), _laid_over(activation, _GRID_PX)
    found = {"auc": within_picture(activation, mask)}
    found["f1"], found["iou"] = _overlap(_strongest(over, int(inside.sum())), inside)
    if shown:
        found["shown_f1"], found["shown_iou"] = _overlap(over >= _SHOWN_FROM, inside)
    return found


def plain_ela(picture: Image.Image) -> Floats:
    """Error levels at quality 90, the largest of the colours, as means of cells: [48, 48]."""
    import cv2

    levels = np.asarray(error_level(picture, _ELA_QUALITY)).max(axis=2).astype(np.float32)
    return np.asarray(cv2.resize(levels, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)


def centre_box() -> Floats:
    """A map that is strongest in the middle and falls off in boxes of the picture's own shape: [48, 48]."""
    away = np.abs(np.linspace(-1, 1, CELLS, dtype=np.float32))
    return np.asarray(1 - np.maximum(away[:, None], away[None, :]), np.float32)


def _inside(mask: NDArray[np.uint8], cells: int) -> Bools:
    import cv2

    marked = (mask > 127).astype(np.float32)
    return np.asarray(cv2.resize(marked, (cells, cells), interpolation=cv2.INTER_AREA)) > 0.5


def _laid_over(activation: Floats, cells: int) -> Floats:
    import cv2

    return np.asarray(cv2.resize(activation, (cells, cells), interpolation=cv2.INTER_LINEAR), np.float32)


def _strongest(over: Floats, count: int) -> Bools:
    marked = np.zeros(over.size, bool)
    marked[np.argsort(-over, axis=None, kind="stable")[:count]] = True
    return marked.reshape(over.shape)


def _overlap(marked: Bools, inside: Bools) -> tuple[float, float]:
    """F1 and intersection over union."""
    if not inside.any():
        return float("nan"), float("nan")
    both, all_marked = int((marked & inside).sum()), int(marked.sum()) + int(inside.sum())
    return 2 * both / all_marked, both / (all_marked - both)
