"""Pictures that show the same: equal pixels, or nearly, whatever their files look like."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Copies saved again or resized differ in so many of the 64 bits at most, nearly always; unrelated ones in about 32.
NEAR_BITS: Final = 3
# Any two hashes within 3 bits agree in at least one of 4 parts (pigeonhole): only those are compared.
BANDS: Final = 4
BAND_BITS: Final = 64 // BANDS
# A part that so many share tells nothing (skies, blank walls); beyond it a hash is compared with its neighbours only.
_MOST_PER_BAND: Final = 2000
# A hash with fewer bits set (or clear) is that of a nearly flat picture, where the sign of a difference is noise.
LEAST_DETAIL: Final = 6


def difference_hash(picture: Image.Image) -> int:
    """64 bits: for an 8x8 grid, whether brightness falls to the right (N. Krawetz's dHash).

    Survives saving again, resizing and slight changes of brightness.
    """
    small = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (small[:, :-1] > small[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_of_part(values: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    """Pairs among hashes that share one of `BANDS` parts, if they differ in at most `NEAR_BITS` bits in all.

    Args:
        values: Hashes in order, [n]: neighbours are then the likeliest pairs.

    Yields:
        Positions [pairs, 2] in `values`, the smaller first, of the pairs of one hash.
    """
    for index in range(len(values) - 1):
        others = np.arange(index + 1, min(index + _MOST_PER_BAND, len(values)))
        near = others[np.bitwise_count(values[others] ^ values[index]) <= NEAR_BITS]
        if len(near):
            yield np.stack([np.full(len(near), index), near], axis=1)
