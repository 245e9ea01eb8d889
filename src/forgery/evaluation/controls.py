"""Crops without a forged pixel: whoever tells those of forged files from those of authentic ones reads history."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Of a picture's sides: 96 x 160 of CASIA's 256 x 384.
_FRACTION = 0.4
# Blurred edges of a paste reach beyond its mask.
_MARGIN_PX = 4


def control_crop(picture: Image.Image, mask: Image.Image | None, random: np.random.Generator) -> Image.Image | None:
    """A crop at a random place.

    Args:
        picture: In any view.
        mask: Grey, of any size, 255 where forged; None for authentic pictures.
        random: Draws the place.

    Returns:
        The crop; None where the mask leaves no room for one.
    """
    import cv2

    width, height = round(picture.width * _FRACTION), round(picture.height * _FRACTION)
    marked = np.zeros((picture.height, picture.width), np.uint8)
    if mask is not None:
        grey = mask.resize(picture.size, Image.Resampling.BILINEAR)
        side = 2 * _MARGIN_PX + 1
        marked = np.asarray(cv2.dilate((np.asarray(grey) > 0).astype(np.uint8), np.ones((side, side), np.uint8)))
    corners = np.argwhere(_sums(np.asarray(cv2.integral(marked), np.int32), height, width) == 0)
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
