"""Hostile requests by the number: files of every format and protocol bodies, broken in the ways that a seed chooses."""

import base64
import io
import json
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

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


@dataclass(frozen=True)
class Request:
    """One POST."""

    path: str
    body: bytes
    headers: dict[str, str]


def hostile_request(seed: int, model_name: str = "forgery") -> Request:
    """The same request for the same seed: every third a broken v1 or v2 body, the others uploads of broken files."""
    if seed % 3:
        wishes = ("", "?outputs=label,ela,heatmap,self_matches,spectrum,image_info")
        return Request(f"/v1/detect{wishes[seed % 2]}", hostile_file(seed), {})
    random = np.random.default_rng(seed)
    body = _v1_body(seed, random) if seed % 2 else _v2_body(seed, random)
    text = bytearray(json.dumps(_bent(body, random)).encode())
    if random.random() < 0.2:
        _break(text, random, (b"{}", b'[[["', b"\xff\xfe"))
    headers = {"content-type": "application/json"}
    if random.random() < 0.2:
        headers["inference-header-content-length"] = str(
            random.choice([0, 1, len(text) // 2, len(text), 10**15 - 1, -1])
        )
    path = f"/v1/models/{model_name}:predict" if seed % 2 else f"/v2/models/{model_name}/infer"
    return Request(path, bytes(text), headers)


def _v2_body(seed: int, random: np.random.Generator) -> dict[str, Any]:
    files = [_text(seed + index, random) for index in range(int(random.integers(1, 4)))]
    tensor = {"name": "image", "shape": [len(files)], "datatype": "BYTES", "data": files}
    return {"id": str(seed), "inputs": [tensor], "outputs": [{"name": "label"}], "parameters": {}}


def _v1_body(seed: int, random: np.random.Generator) -> dict[str, Any]:
    return {"instances": [{"image": {"b64": _text(seed, random)}}]}


def _text(seed: int, random: np.random.Generator) -> str:
    text = bytearray(base64.b64encode(hostile_file(seed)))
    if random.random() < 0.3:
        _break(text, random, (b"====", b"\n\r\t ", b"-_-_"))
    return text.decode("latin-1")


Json: TypeAlias = Any  # whatever JSON holds, the odd values below included
_ODD: tuple[Json, ...] = (
    *(None, True, -1, 0, 1.5, 2**31, 2**63, 10**40, "", "image", "\u0000", "\ud800", "BYTES", "FP32", "UINT8"),
    *([], {}, [[]], [[[[1]]]], [None], {"b64": 1}, {"name": []}, [1, "a"], {"binary_data_size": -1}, "x" * 300),
)


def _bent(value: Json, random: np.random.Generator) -> Json:
    """The value with, here and there, a part lost, doubled or replaced by something odd."""
    chance = random.random()
    if chance < 0.06:
        return _ODD[int(random.integers(len(_ODD)))]
    if isinstance(value, dict):
        kept = {key: _bent(inner, random) for key, inner in value.items() if random.random() > 0.04}
        return kept | ({str(_ODD[int(random.integers(len(_ODD)))])[:20]: 1} if chance > 0.95 else {})
    if isinstance(value, list):
        bent = [_bent(inner, random) for inner in value]
        return bent + bent if chance > 0.95 else bent
    return value
