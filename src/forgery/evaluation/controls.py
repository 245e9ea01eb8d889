"""Crops without a forged pixel: whoever tells those of forged files from those of authentic ones reads history."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of a picture's sides: 144 x 224 of CASIA's 256 x 384. Smaller crops hold too little for file history to show, and in
# larger ones few forged pictures have room beside the edit.
FRACTION = 0.6
# A crop on the grid of 16 x 16 blocks (those of 4:2:0) has the same last save as its picture, block for block.
GRID_PX = 16
# Blurred edges of a paste reach beyond its mask.
_MARGIN_PX = 4


def control_crop(
    picture: Image.Image,
    mask: Image.Image | None,
    random: np.random.Generator,
    fraction: float = FRACTION,
    grid_px: int = GRID_PX,
) -> Image.Image | None:
    """A crop at a random place on the grid of the picture's blocks.

    Args:
        picture: In any view.
        mask: Grey, of any size, 255 where forged; None for authentic pictures.
        random: Draws the place.
        fraction: Of the picture's sides, in (0, 1).
        grid_px: Place and size are multiples of it.

    Returns:
        The crop; None where the mask leaves no room for one, and for pictures of hardly more than a block a side.
    """
    import cv2

    width, height = (round(side * fraction) // grid_px * grid_px for side in picture.size)
    if not width or not height:
        return None
    marked = np.zeros((picture.height, picture.width), np.uint8)
    if mask is not None:
        grey = mask.resize(picture.size, Image.Resampling.BILINEAR)
        side = 2 * _MARGIN_PX + 1
        marked = np.asarray(cv2.dilate((np.asarray(grey) > 0).astype(np.uint8), np.ones((side, side), np.uint8)))
    sums = _sums(np.asarray(cv2.integral(marked), np.int32), height, width)[::grid_px, ::grid_px]
    corners = np.argwhere(sums == 0) * grid_px
    if not len(corners):
        return None
    top, left = (int(value) for value in corners[random.integers(len(corners))])
    return picture.crop((left, top, left + width, top + height))


def _sums(integral: NDArray[np.int32], height: int, width: int) -> NDArray[np.int32]:
    """Marked pixels in the window of that size from each corner it can have."""
    return (
        integral[height:, width:]
        - integral[:-height, width:]
        - integral[height:, :-width]
        + integral[:-height, :-width]
    )
