"""What a picture is, and why the model said so: small PNGs and a few facts, made only on request."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.picture import Limits, decode, read_header
from forgery.recipes import Evidence, Recipe

# Long side of the pictures sent back: enough to see a region, small in an answer.
SIDE_PX = 512
_SOFTWARE_TAG = 0x0131
_ORIENTATION_TAG = 0x0112
_TEXT_LENGTH = 200
# Activation where the map speaks neither way (`forgery.engine`).
_NEUTRAL = 0.5
_TINT = (255, 64, 0)
_STRONGEST_TINT = 0.75
# Luminance table of ITU-T T.81, annex K.1, in natural order: what libjpeg scales by its quality setting.
# fmt: off
_LUMINANCE = np.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
], dtype=np.int64)
# fmt: on


@dataclass(frozen=True)
class Subject:
    """One scored picture."""

    encoded: bytes
    recipe: Recipe
    evidence: Evidence
    activation: NDArray[np.float32] | None
    limits: Limits


def ela(subject: Subject) -> bytes:
    """The evidence as a PNG to look at: three channels as colours, others side by side in grey."""
    height, width, channels = subject.evidence.shape
    if channels == 3:
        return _png(Image.fromarray(subject.evidence))
    panels = subject.evidence.transpose(0, 2, 1).reshape(height, channels * width)
    return _png(Image.fromarray(panels))


def heatmap(subject: Subject) -> bytes:
    """The picture, at most `SIDE_PX` long, tinted where the model found signs of forgery.

    Raises:
        ValueError: The subject has no activation map.
    """
    if subject.activation is None:
        raise ValueError("an activation map is needed")
    picture = decode(subject.encoded, subject.limits, upright=subject.recipe.upright)
    picture.thumbnail((SIDE_PX, SIDE_PX))
    strength = np.clip((subject.activation - _NEUTRAL) / (1 - _NEUTRAL), 0, 1) * _STRONGEST_TINT * 255
    mask = Image.fromarray(strength.astype(np.uint8)).resize(picture.size, Image.Resampling.BILINEAR)
    picture.paste(_TINT, (0, 0), mask)
    return _png(picture)


def spectrum(subject: Subject) -> bytes:
    """Log magnitude of the Fourier transform of the picture's centre, at full resolution, low frequencies inside.

    Resampling shows as peaks off the axes; shrinking the picture first would make its own.
    """
    picture = decode(subject.encoded, subject.limits).convert("L")
    width, height = (min(side, SIDE_PX) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    centre = np.asarray(picture.crop((left, top, left + width, top + height)), np.float32)
    window = np.outer(np.hanning(height), np.hanning(width))
    magnitude = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2((centre - centre.mean()) * window))))
    scaled = magnitude * (255 / max(float(magnitude.max()), 1e-6))
    return _png(Image.fromarray(scaled.astype(np.uint8)))


def image_info(subject: Subject) -> bytes:
    """JSON: `format`, `width`, `height`, `bytes`, and where known `software`, `orientation`, `jpeg_quality`."""
    header = read_header(subject.encoded, subject.limits)
    with Image.open(io.BytesIO(subject.encoded)) as image:
        facts: dict[str, Any] = {
            "format": header.format,
            "width": header.width,
            "height": header.height,
            "bytes": len(subject.encoded),
            **_exif_facts(image),
            "jpeg_quality": jpeg_quality(getattr(image, "quantization", None)),
        }
    return json.dumps(facts).encode()


def jpeg_quality(tables: dict[int, list[int]] | None) -> int | None:
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


def _exif_facts(image: Image.Image) -> dict[str, Any]:
    try:
        exif = image.getexif()
        software, orientation = exif.get(_SOFTWARE_TAG), exif.get(_ORIENTATION_TAG)
    except Exception:  # EXIF is a file format of its own, and hostile ones break its reader in many ways
        software = orientation = None
    return {
        "software": str(software)[:_TEXT_LENGTH] if software else None,
        "orientation": orientation if isinstance(orientation, int) else None,
    }


def _png(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()


MAKERS: dict[str, Callable[[Subject], bytes]] = {
    "ela": ela,
    "heatmap": heatmap,
    "spectrum": spectrum,
    "image_info": image_info,
}
