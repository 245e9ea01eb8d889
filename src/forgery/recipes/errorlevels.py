"""What saving a picture once more as JPEG changes, pixel by pixel, at several qualities.

A place that was saved at a quality before changes little when it is saved at that quality again (JPEG ghosts, Farid
2009); one that was not, or on another grid of blocks, changes more.
"""

import io
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

_QUALITIES = (65, 75, 82, 88, 92, 96)
# Error levels of the same picture on a grid moved by half a JPEG block: what is left of their content without the
# picture's own grid. Chroma has qualities of its own since it is quantised more.
_MOVED_QUALITIES = (65, 82, 92)
_MOVED_BY_PX = 4
_CHROMA_QUALITIES = (75, 90)


def error_levels(ycc: Pixels, luma: Pixels) -> Iterator[Pixels | NDArray[np.uint16]]:
    """Maps of the picture's size: luma at six qualities, at three on a moved grid, chroma at two.

    Args:
        ycc: uint8 [h, w, 3] of at least 8 pixels a side.
        luma: Its first channel, contiguous.
    """
    for quality in _QUALITIES:
        yield _luma_error(luma, quality)
    for quality in _MOVED_QUALITIES:
        yield _moved_error(luma, quality)
    for quality in _CHROMA_QUALITIES:
        yield _chroma_error(ycc, quality)


def _saved(picture: Image.Image, quality: int) -> Image.Image:
    """The picture's JPEG copy (4:2:0) in the same mode, L or YCbCr, without a way through RGB."""
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=quality, subsampling="4:2:0")
    copy.seek(0)
    read = Image.open(copy)
    read.draft(picture.mode, picture.size)
    return read


def _luma_error(luma: Pixels, quality: int) -> Pixels:
    return np.asarray(cv2.absdiff(luma, np.asarray(_saved(Image.fromarray(luma), quality))), np.uint8)


def _moved_error(luma: Pixels, quality: int) -> Pixels:
    """The error level on a moved grid; the border that the move cuts off repeats the first rows and columns."""
    error = _luma_error(np.ascontiguousarray(luma[_MOVED_BY_PX:, _MOVED_BY_PX:]), quality)
    return np.pad(error, ((_MOVED_BY_PX, 0), (_MOVED_BY_PX, 0)), mode="edge")


def _chroma_error(ycc: Pixels, quality: int) -> NDArray[np.uint16]:
    difference = cv2.absdiff(ycc, np.asarray(_saved(Image.fromarray(ycc, "YCbCr"), quality)))
    return np.add(difference[:, :, 1], difference[:, :, 2], dtype=np.uint16)
