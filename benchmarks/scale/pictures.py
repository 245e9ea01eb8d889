"""Generated pictures, tiny ones by the hundred thousand."""

import io
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

TINY: Final = (96, 64)
_PER_FOLDER: Final = 5000


def write_pictures(folder: Path, count: int, size: tuple[int, int] = TINY) -> None:
    """Extend the folder to `count` labelled JPEGs; equal counts give equal files, and those there are kept.

    A forged picture has a patch of another noise, so that a network has something to learn.
    """
    for number in range(count):
        label = ("authentic", "forged")[number % 2]
        path = folder / label / f"{number // _PER_FOLDER:03d}" / f"{number:07d}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_encoded(number, size))


def _encoded(number: int, size: tuple[int, int]) -> bytes:
    random = np.random.default_rng(number)
    width, height = size
    coarse = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    if number % 2:
        noise = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        picture.paste(
            Image.fromarray(noise), (int(random.integers(0, width - 24)), int(random.integers(0, height - 24)))
        )
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=85 + number // 2 % 10)
    return encoded.getvalue()
