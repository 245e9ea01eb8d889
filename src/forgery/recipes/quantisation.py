"""What earlier quantisation left in the 8 x 8 cosine transform of a picture's blocks.

Rounding the coefficients once more to the steps of a quality shows how near they lie to its multiples, frequency by
frequency and without the clipping of pixels. The picture itself tells which steps its own history had: where most
blocks lie near multiples of a step, a block that does not came from elsewhere, or with another grid.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_SIDE: Final = 8
# Luma quantisation at quality 50: ITU-T T.81, table K.1.
_TABLE_50: Final = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_ORDER: Final = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)).ravel()
# Low, middle and high frequencies.
_BANDS: Final = np.stack([(_ORDER >= 1) & (_ORDER <= 3), (_ORDER >= 4) & (_ORDER <= 6), _ORDER >= 7], axis=1)
_SHARES: Final = (_BANDS / _BANDS.sum(axis=0)).astype(np.float32)  # times values [n, 64], their means over each band
# Quality to number of bands. High frequencies are zero in all but the finest saves.
_REQUANTISED: Final[Mapping[int, int]] = {
    quality: 3 if quality in (75, 84, 90, 94) else 2 for quality in (50, 60, 70, 75, 78, 80, 84, 87, 90, 94)
}
_MOVED_QUALITIES: Final = (75, 84, 90)
_MOVED_BY_PX: Final = 4
_BLOCKS_AT_ONCE: Final = 2048  # half a megabyte of coefficients
# Smaller coefficients were rounded to zero by any usual save.
_ZERO: Final = 0.8

_PROBED: Final = np.argsort(_ORDER, kind="stable")[1:15]
_STEPS: Final = range(2, 19)
# Below half a step a coefficient says nothing of it. No step times this is a multiple of 1/8, as some coefficients are
# exactly: on a tie the last bit of a sum, which differs between processors, would decide.
_LEAST_OF_STEP: Final = 0.5614
# Periodicity at a step, 0..1: below it is chance, above it is the last save itself, which every block has.
_CHANCE, _LAST_SAVE = 0.08, 0.85
_CAUTION: Final = 20  # blocks; keeps steps that few coefficients reach from looking periodic

_BRIGHTEST_EDGE: Final = 40  # grey levels; edges of the content would drown those of the blocks
_PHASE_FLOOR: Final = 0.3
_PHASE_SMOOTHING: Final = 1.2  # in 48ths of a side
_PHASE_GRID: Final = 48


def _transform() -> Floats:
    """Pixels of a block, row by row, times this are its orthonormal cosine coefficients; [64, 64]."""
    frequency, place = np.mgrid[:_SIDE, :_SIDE]
    cosines = np.sqrt(2 / _SIDE) * np.cos((2 * place + 1) * frequency * np.pi / (2 * _SIDE))
    cosines[0] /= np.sqrt(2)
    return np.ascontiguousarray(np.kron(cosines, cosines).T, np.float32)


_TRANSFORM: Final = _transform()


def quantisation_levels(luma: Pixels) -> Iterator[Floats]:
    """Maps of blocks: energy by bands, what rounding to the steps of ten qualities changes, the same on a moved grid.

    Args:
        luma: uint8 [h, w], at least 16 pixels a side.
    """
    yield from _by_rows(luma, _levels)
    yield from _by_rows(luma[_MOVED_BY_PX:, _MOVED_BY_PX:], _moved_levels)


def quantisation_parts(luma: Pixels) -> Iterator[Floats]:
    """Maps of the part of coefficients near zero by bands, and on a moved grid; of `_own_steps`; of block edges.

    Args:
        luma: uint8 [h, w], at least 16 pixels a side.
    """
    low, middle, high, *coefficients = _by_rows(luma, lambda each: [*_near_zero(each), *each[:, _PROBED].T])
    yield from (low, middle, high)
    probed = np.stack(coefficients, axis=2)
    nearness, told = _own_steps(probed.reshape(-1, len(_PROBED)))
    yield nearness.reshape(probed.shape[:2])
    yield told.reshape(probed.shape[:2])
    yield from _by_rows(luma[_MOVED_BY_PX:, _MOVED_BY_PX:], lambda coefficients: _near_zero(coefficients)[1:2])
    yield from _block_edges(luma)


def _by_rows(luma: Pixels, measure: Callable[[Floats], Iterable[Floats]]) -> Iterator[Floats]:
    """Maps [blocks down, blocks across] of what `measure` says of each block's coefficients, [n, 64] to arrays [n].

    A few rows of blocks at a time: their coefficients stay in the processor's cache, and a large picture's are never in
    memory together.
    """
    down, across = luma.shape[0] // _SIDE, luma.shape[1] // _SIDE
    rows = max(1, _BLOCKS_AT_ONCE // across)
    parts = [
        [values.reshape(-1, across) for values in measure(_coefficients(luma[start * _SIDE : end * _SIDE]))]
        for start, end in ((first, min(first + rows, down)) for first in range(0, down, rows))
    ]
    yield from (np.concatenate(part) for part in zip(*parts, strict=True))


def _levels(coefficients: Floats) -> Iterator[Floats]:
    yield from _means(coefficients * coefficients, 3)
    for quality, bands in _REQUANTISED.items():
        yield from _means(_requantised(coefficients, quality), bands)


def _moved_levels(coefficients: Floats) -> Iterator[Floats]:
    for quality in _MOVED_QUALITIES:
        yield from _means(_requantised(coefficients, quality), 1)


def _near_zero(coefficients: Floats) -> Floats:
    return _means((np.abs(coefficients) < _ZERO).astype(np.float32), 3)


def _means(values: Floats, bands: int) -> Floats:
    """Means over the first so many bands of frequencies, [bands, n], of values [n, 64]."""
    return np.asarray((values @ _SHARES[:, :bands]).T, np.float32)


def _coefficients(luma: Pixels) -> Floats:
    """Cosine coefficients of the whole blocks, row by row, [n, 64]."""
    down, across = luma.shape[0] // _SIDE, luma.shape[1] // _SIDE
    whole = luma[: down * _SIDE, : across * _SIDE].reshape(down, _SIDE, across, _SIDE)
    blocks = whole.transpose(0, 2, 1, 3).reshape(-1, _SIDE * _SIDE)
    return np.asarray((blocks.astype(np.float32) - 128) @ _TRANSFORM, np.float32)


def _steps(quality: int) -> Floats:
    """The luma table of the common encoder (IJG) at a quality, [64]."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip(np.floor((_TABLE_50.ravel() * percent + 50) / 100), 1, 255), np.float32)


def _requantised(coefficients: Floats, quality: int) -> Floats:
    """Squared change of each coefficient when it is rounded to the steps of a quality."""
    steps = _steps(quality)
    change = coefficients / steps
    np.round(change, out=change)
    change *= steps
    np.subtract(coefficients, change, out=change)
    return np.asarray(np.square(change, out=change), np.float32)


def _own_steps(coefficients: Floats) -> tuple[Floats, Floats]:
    """How near each block lies to multiples of the steps that the whole picture's coefficients repeat at.

    Args:
        coefficients: [blocks, frequencies].

    Returns:
        Mean of cos(2 pi coefficient / step) over frequencies and steps, weighted by how much the picture repeats at
        the step; and the logarithm of the weight that had something to say in the block.
    """
    nearness, weight = (np.zeros(len(coefficients), np.float32) for _ in range(2))
    size = np.abs(coefficients)
    for step in _STEPS:
        told = (size >= _LEAST_OF_STEP * step).astype(np.float32)  # booleans times floats take ten times as long
        waves = np.cos(coefficients * np.float32(2 * np.pi / step)) * told
        periodicity = waves.sum(axis=0) / (told.sum(axis=0) + _CAUTION)
        ours = np.where((periodicity > _CHANCE) & (periodicity < _LAST_SAVE), periodicity, 0).astype(np.float32)
        nearness += waves @ ours
        weight += told @ ours
    return np.asarray(nearness / (weight + 0.5), np.float32), np.log1p(weight)


def _block_edges(luma: Pixels) -> Iterator[Floats]:
    """How much stronger than usual the steps are at the picture's own block edges, and at the best other grid."""
    for axis in (0, 1):
        phases = _edges_by_phase(luma if axis == 0 else np.ascontiguousarray(luma.T))
        logarithm = np.log(phases + _PHASE_FLOOR)
        logarithm -= logarithm.mean(axis=2, keepdims=True)
        # The third difference starting at column 6 of a block straddles its right edge.
        own, others = logarithm[:, :, 6], np.delete(logarithm, 6, axis=2).max(axis=2)
        yield own if axis == 0 else own.T
        yield others if axis == 0 else others.T


def _edges_by_phase(luma: Pixels) -> Floats:
    """Strength of vertical edges by their column modulo 8; [48, 48, 8]."""
    values = luma.astype(np.int16)
    third = values[:, 1:-2] - values[:, 2:-1]
    third *= 3
    third += values[:, 3:] - values[:, :-3]
    np.abs(third, out=third)
    np.minimum(third, _BRIGHTEST_EDGE, out=third)
    whole = third.shape[1] // _SIDE * _SIDE
    strengths = third[:, :whole].reshape(len(third), -1, _SIDE)
    pooled = [
        cv2.resize(strengths[:, :, phase].astype(np.float32), (_PHASE_GRID, _PHASE_GRID), interpolation=cv2.INTER_AREA)
        for phase in range(_SIDE)
    ]
    return np.stack([cv2.GaussianBlur(each, (0, 0), _PHASE_SMOOTHING) for each in pooled], axis=2)
