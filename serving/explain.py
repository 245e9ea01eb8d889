"""What a picture is, and why the model said so: small PNGs and a few facts, made only on request."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from forgery.jpeg import jpeg_quality
from forgery.picture import Limits, decode, read_header
from forgery.recipes import Evidence, Recipe
from forgery.recipes.selfmatch import self_matches as find_self_matches

# Long side of the pictures sent back: enough to see a region, small in an answer.
SIDE_PX = 512
_SOFTWARE_TAG = 0x0131
_ORIENTATION_TAG = 0x0112
_TEXT_LENGTH = 200
# Activation where the map speaks neither way (`forgery.engine`).
_NEUTRAL = 0.5
_TINT = (255, 64, 0)
_STRONGEST_TINT = 0.75
# Told apart also by eyes that see few colours (Okabe and Ito 2008), each within a black line.
_LINK_COLOURS = ("#f0e442", "#56b4e9", "#e69f00", "#cc79a7", "#009e73")
_LINE_PX, _HALO_PX = 2, 4


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


def self_matches(subject: Subject) -> bytes:
    """The picture, `SIDE_PX` long, with regions that repeat outlined and joined; as it is where none does.

    They are looked for anew, whatever the model reads.
    """
    picture = decode(subject.encoded, subject.limits, upright=subject.recipe.upright)
    links = find_self_matches(np.asarray(picture.convert("YCbCr").getchannel(0))).links
    picture = ImageOps.contain(picture, (SIDE_PX, SIDE_PX))
    draw = ImageDraw.Draw(picture)
    for number, link in enumerate(sorted(links, key=lambda link: -link.matches)):
        ends = [each * picture.size for each in (link.here, link.there)]
        colour = _LINK_COLOURS[number % len(_LINK_COLOURS)]
        for width, line in ((_HALO_PX, "black"), (_LINE_PX, colour)):
            draw.line([tuple(end.mean(axis=0)) for end in ends], line, width)
            for end in ends:
                draw.line([tuple(point) for point in (*end, *end[:1])], line, width, "curve")
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
    "self_matches": self_matches,
    "spectrum": spectrum,
    "image_info": image_info,
}
