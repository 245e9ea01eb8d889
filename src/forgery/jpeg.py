"""What a JPEG's quantisation tables say of how it was saved."""

from collections.abc import Mapping, Sequence

import numpy as np

# Luminance table of ITU-T T.81, annex K.1, in natural order: what libjpeg scales by its quality setting.
# fmt: off
_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
], dtype=np.int64)
# fmt: on


def jpeg_quality(tables: Mapping[int, Sequence[int]] | None) -> int | None:
    """The libjpeg quality whose luminance table is nearest to the file's, 1-100; None for other formats.

    Cameras and some editors have tables of their own; for those it is an estimate of strength, not a setting.
    """
    if not tables or len(tables.get(0, ())) != _LUMINANCE.size:
        return None
    found = np.asarray(tables[0], np.int64)
    qualities = np.arange(1, 101)
    # libjpeg's jpeg_quality_scaling, in per cent.
    scales = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    candidates = np.clip((_LUMINANCE * scales[:, None] + 50) // 100, 1, 255)
    return int(qualities[np.abs(candidates - found).sum(axis=1).argmin()])
