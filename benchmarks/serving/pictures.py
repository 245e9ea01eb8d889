"""Photographs to send, made from one that a package brings."""

import io

from PIL import Image
from sklearn.datasets import load_sample_image

SIDE_PX = 1024
QUALITY = 92
# What phones take: 12 megapixels.
LARGE_PX = (4000, 3000)


def photograph(size_px: tuple[int, int] = (SIDE_PX, SIDE_PX)) -> bytes:
    """A JPEG of that width and height at quality 92."""
    encoded = io.BytesIO()
    found = Image.fromarray(load_sample_image("china.jpg"))
    found.resize(size_px, Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=QUALITY)
    return encoded.getvalue()
