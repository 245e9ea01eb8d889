"""Hostile files by the number: every format, broken in every way that a seed chooses."""

import io
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

_WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ("JPEG", "RGB", {"quality": 80}),
    ("JPEG", "CMYK", {"quality": 90, "progressive": True}),
    ("JPEG", "L", {"quality": 60, "exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {}),
    ("PNG", "1", {}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {"quality": 70}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "F", {}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("GIF", "P", {}),
    ("PPM", "RGB", {}),
]


@cache
def whole_files() -> tuple[bytes, ...]:
    """One small valid file of each kind."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    picture, files = Image.fromarray(pixels), []
    for format_name, mode, options in _WAYS:
        grey = picture.convert("L")
        converted = Image.fromarray(np.asarray(grey, np.uint16) * 257) if mode == "I;16" else picture.convert(mode)
        encoded = io.BytesIO()
        converted.save(encoded, format_name, **options)
        files.append(encoded.getvalue())
    return tuple(files)


def hostile_file(seed: int) -> bytes:
    """The same file for the same seed."""
    random = np.random.default_rng(seed)
    files = whole_files()
    file = bytearray(files[int(random.integers(len(files)))])
    for _ in range(int(random.integers(1, 5))):
        _break(file, random, files)
    return bytes(file)


def _break(file: bytearray, random: np.random.Generator, files: tuple[bytes, ...]) -> None:
    # Headers decide most, so half of all places are near the start.
    reach = len(file) if random.random() < 0.5 else min(len(file), 64)
    place = int(random.integers(reach + 1)) if reach else 0
    match int(random.integers(7)):
        case 0:
            del file[place:]
        case 1:
            file[place : place + 1] = bytes([int(random.integers(256))])
        case 2:
            file[place : place + 4] = struct.pack("<I", int(random.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])))
        case 3:
            file[place : place + 2] = struct.pack(">H", int(random.choice([0, 1, 0x7FFF, 0xFFFF])))
        case 4:
            del file[place : place + int(random.integers(1, 64))]
        case 5:
            file[place:place] = random.bytes(int(random.integers(1, 64)))
        case _:
            other = files[int(random.integers(len(files)))]
            file[place:] = other[int(random.integers(len(other))) :]


def hostile_files(first: int, count: int) -> Iterator[bytes]:
    """Files of consecutive seeds."""
    return (hostile_file(seed) for seed in range(first, first + count))
