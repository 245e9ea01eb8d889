"""Pictures that show the same: equal pixels, or nearly, whatever their files look like."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Copies saved again or resized differ in so many of the 64 bits at most, nearly always; unrelated ones in about 32.
NEAR_BITS: Final = 3
# Any two hashes within 3 bits agree in at least one of 4 parts (pigeonhole): only those are compared.
_BANDS: Final = 4
_BAND_BITS: Final = 64 // _BANDS
# A part that so many share tells nothing (skies, blank walls); beyond it a hash is compared with its neighbours only.
_MOST_PER_BAND: Final = 2000
# A hash with fewer bits set (or clear) is that of a nearly flat picture, where the sign of a difference is noise.
_LEAST_DETAIL: Final = 6


def difference_hash(picture: Image.Image) -> int:
    """64 bits: for an 8x8 grid, whether brightness falls to the right (N. Krawetz's dHash).

    Survives saving again, resizing and slight changes of brightness.
    """
    small = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (small[:, :-1] > small[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: Sequence[int] | NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs of pictures whose hashes differ in at most `NEAR_BITS` bits.

    Args:
        hashes: One per picture, from `difference_hash`.

    Returns:
        Indices [pairs, 2], the smaller first, in order, each pair once. Nearly flat pictures are left out.
    """
    values = np.asarray(hashes, dtype=np.uint64)
    detail = np.bitwise_count(values)
    kept = np.flatnonzero((detail >= _LEAST_DETAIL) & (detail <= 64 - _LEAST_DETAIL))
    found = [pairs for band in range(_BANDS) for pairs in _pairs_of_band(values[kept], band)]
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    pairs = np.sort(kept[np.concatenate(found)], axis=1)
    # One number a pair: numpy sorts those a hundred times as fast as rows.
    numbers = np.unique(pairs[:, 0] * len(values) + pairs[:, 1])
    return np.stack(np.divmod(numbers, len(values)), axis=1)


def _pairs_of_band(values: NDArray[np.uint64], band: int) -> Iterator[NDArray[np.int64]]:
    part = ((values >> np.uint64(band * _BAND_BITS)) & np.uint64((1 << _BAND_BITS) - 1)).astype(np.int64)
    # By the whole hash within a part, so that neighbours are the likeliest pairs.
    order = np.lexsort((values, part))
    edges = np.flatnonzero(np.diff(part[order], prepend=-1, append=-1))
    for start, stop in pairwise(edges):
        members = order[start:stop]
        for index in range(len(members) - 1):
            others = members[index + 1 : index + _MOST_PER_BAND]
            near = others[np.bitwise_count(values[others] ^ values[members[index]]) <= NEAR_BITS]
            if len(near):
                yield np.stack([np.full(len(near), members[index]), near], axis=1)
