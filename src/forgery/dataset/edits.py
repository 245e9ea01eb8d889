"""The three edits the demo's forged pictures are made by, each with the mask of what it changed."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Mask = NDArray[np.bool_]
# Part of the shorter side that an edit spans: large enough to survive the resize of a 224-pixel map.
_SPAN: Final = (0.4, 0.65)
# Standard deviation in grey levels, of the order of a camera's noise at high ISO.
_GRAIN: Final = 5.0


def splice(picture: Image.Image, donor: Image.Image, random: np.random.Generator) -> tuple[Image.Image, Mask]:
    """Paste a blob of the donor, which was never compressed."""
    blob = _blob(picture.size, random)
    return Image.composite(donor.crop((0, 0, *picture.size)), picture, blob), _marked(blob)


def copy_move(picture: Image.Image, donor: Image.Image, random: np.random.Generator) -> tuple[Image.Image, Mask]:
    """Paste a blob of the picture itself elsewhere, enlarged as an editor would to fit it in."""
    del donor
    scale = random.uniform(1.1, 1.4)
    size = round(picture.width * scale), round(picture.height * scale)
    enlarged = picture.resize(size, Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(1, 120, 0))
    left, top = (int(random.integers(0, large - small + 1)) for large, small in zip(size, picture.size, strict=True))
    # Turned round, so that no blob comes to lie on itself.
    moved = enlarged.crop((left, top, left + picture.width, top + picture.height)).transpose(
        Image.Transpose.FLIP_LEFT_RIGHT
    )
    blob = _blob(picture.size, random)
    return Image.composite(moved, picture, blob), _marked(blob)


def removal(picture: Image.Image, donor: Image.Image, random: np.random.Generator) -> tuple[Image.Image, Mask]:
    """Fill a blob from its surroundings, from the coarsest grid to the finest (push-pull), with grain over it."""
    del donor
    blob = _blob(picture.size, random)
    known = 1 - np.asarray(blob, dtype=np.float64)[..., None] / 255
    filled = _push_pull(np.asarray(picture, dtype=np.float64), np.where(known < 1, 0.0, known))
    # Without grain the fill would show to the eye, which is why editors add it.
    grained = filled + random.normal(0, _GRAIN, (*filled.shape[:2], 1))
    fill = Image.fromarray(np.clip(np.rint(grained), 0, 255).astype(np.uint8))
    return Image.composite(fill, picture, blob), _marked(blob)


def _push_pull(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = values.shape[:2]
    if weights.all() or min(height, width) < 2:
        return values
    even = values[: height // 2 * 2, : width // 2 * 2], weights[: height // 2 * 2, : width // 2 * 2]
    weighted, weight = (_halved(each) for each in (even[0] * even[1], even[1]))
    coarse = _push_pull(weighted / np.maximum(weight, 1e-9), np.where(weight > 0, 1.0, 0.0))
    fine = np.stack([_enlarged(coarse[..., channel], (width, height)) for channel in range(coarse.shape[2])], axis=-1)
    return values * weights + fine * (1 - weights)


def _halved(values: NDArray[np.float64]) -> NDArray[np.float64]:
    halved: NDArray[np.float64] = (values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]) / 4
    return halved


def _enlarged(channel: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    image = Image.fromarray(channel.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR), dtype=np.float64)


def _blob(size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """A soft-edged star-shaped polygon of random outline inside the picture: mode L, 255 inside."""
    span = random.uniform(*_SPAN) * min(size)
    centre = [random.uniform(span / 2, side - span / 2) for side in size]
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radii = span / 2 * random.uniform(0.7, 1.0, len(angles))
    outline = [
        (centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle))
        for angle, radius in zip(angles, radii, strict=True)
    ]
    blob = Image.new("L", size)
    ImageDraw.Draw(blob).polygon(outline, fill=255)
    return blob.filter(ImageFilter.GaussianBlur(1))


def _marked(blob: Image.Image) -> Mask:
    return np.asarray(blob) > 127


EDITS: Final[Mapping[str, Callable[[Image.Image, Image.Image, np.random.Generator], tuple[Image.Image, Mask]]]] = {
    "splice": splice,
    "copy-move": copy_move,
    "removal": removal,
}
