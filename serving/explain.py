"""What a picture is, and why the model said so: small PNGs and a few facts, made only on request."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.jpeg import jpeg_quality
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
