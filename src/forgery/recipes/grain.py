"""Noise and texture: what sensors, resizing, sharpening and retouching leave, with or without JPEG."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_LEAST_SIDE_PX = 8  # of halved pictures


def grain_levels(ycc: Pixels, luma: Pixels) -> Iterator[Pixels | Floats]:
    """Maps of about the picture's size.

    High frequencies of luma; its diagonal details (mean, then root at three resolutions: the root is less moved by
    edges); what a median of 3 x 3 removes; high and middle frequencies of each chroma channel; steps across and down.

    Args:
        ycc: uint8 [h, w, 3], at least 8 pixels a side.
        luma: Its first channel.
    """
    # Of a large picture these arrays are what memory goes into: no more than two of them are held at a time.
    values = luma.astype(np.float32)
    yield _from_blurred(values, 1.0)
    diagonal, half = _diagonal(values), _halved(values)
    del values
    yield diagonal
    yield np.sqrt(diagonal)
    del diagonal
    yield np.sqrt(_diagonal(half))
    yield np.sqrt(_diagonal(_halved(half)))
    yield np.asarray(cv2.absdiff(luma, cv2.medianBlur(luma, 3)), np.uint8)
    for channel in (1, 2):
        chroma = ycc[:, :, channel].astype(np.float32)
        yield _from_blurred(chroma, 1.0)
        yield _from_blurred(_blurred(chroma, 1.0), 3.0)
    yield np.asarray(cv2.absdiff(luma[:, 2:], luma[:, :-2]), np.uint8)
    yield np.asarray(cv2.absdiff(luma[2:], luma[:-2]), np.uint8)


def _blurred(values: Floats, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px), np.float32)


def _from_blurred(values: Floats, sigma_px: float) -> Floats:
    """How far they are from their blurred copy, which the difference takes the place of."""
    blurred = _blurred(values, sigma_px)
    return np.asarray(cv2.absdiff(values, blurred, blurred), np.float32)


def _diagonal(values: Floats) -> Floats:
    """Absolute differences of differences, across and down."""
    differences = values[:-1, :-1] - values[1:, :-1]
    differences -= values[:-1, 1:]
    differences += values[1:, 1:]
    np.abs(differences, out=differences)
    return np.asarray(differences, np.float32)


def _halved(values: Floats) -> Floats:
    height, width = (max(_LEAST_SIDE_PX, side // 2) for side in values.shape)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA), np.float32)
