"""Pictures to look at, made from files that the endpoint accepted; none of them goes to the model."""

import base64
import io

import numpy as np
from PIL import ExifTags, Image, ImageOps

from forgery.picture import Limits, decode
from forgery.recipes.ela import error_level

# Enough for a large screen, small enough for a phone's connection.
VIEW_PX = 1280
_THUMBNAIL_PX = 96
# Its limits are the endpoint's, which has accepted the file before it comes here.
_ACCEPTED = Limits(max_bytes=2**31, max_pixels=2**28)
_QUALITY = 85
# Of the logarithms of two aspect ratios; rounding to whole pixels moves them less.
_SAME_ASPECT = 0.05


def view(encoded: bytes, upright: bool) -> Image.Image:
    """The picture for the screen, at most `VIEW_PX` long, RGB.

    Args:
        encoded: An accepted file.
        upright: Apply the EXIF orientation, as people expect; beside a map lie as `is_upright` says of the map.
    """
    return _fitted(_decoded(encoded, upright))


def is_upright(encoded: bytes, like: bytes) -> bool:
    """Whether `like`, a PNG that the endpoint made from the file, had its EXIF orientation applied.

    That is the recipe's choice, which the page does not know. False where there is nothing to turn.
    """
    if not _asks_to_be_turned(encoded):
        return False
    stored, upright = _decoded(encoded, upright=False), _decoded(encoded, upright=True)
    if stored.size == upright.size and _distance(stored, upright) == 0:
        return False
    with Image.open(io.BytesIO(like)) as opened:
        shown = opened.convert("RGB")
    aspects = [abs(np.log(each.width / each.height * shown.height / shown.width)) for each in (stored, upright)]
    if abs(aspects[0] - aspects[1]) > _SAME_ASPECT:
        return bool(aspects[1] < aspects[0])
    return _distance(upright, shown) < _distance(stored, shown)


def _asks_to_be_turned(encoded: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)
    except Exception:  # EXIF is a file format of its own, and broken ones break its reader in many ways
        return False


def _decoded(encoded: bytes, upright: bool) -> Image.Image:
    return decode(encoded, _ACCEPTED, upright=upright and _asks_to_be_turned(encoded))


def _distance(left: Image.Image, right: Image.Image) -> float:
    small = [np.asarray(each.convert("L").resize((32, 32)), np.float32) for each in (left, right)]
    return float(np.abs(small[0] - small[1]).mean())


def closer_look(encoded: bytes, quality: int, gain: int, upright: bool = False) -> Image.Image:
    """Error levels at full resolution, amplified, then shrunk for the screen; for people alone.

    Args:
        encoded: An accepted file.
        quality: JPEG quality of the copy, 1-100.
        gain: Factor on the difference, 1-255.
        upright: Apply the EXIF orientation first.
    """
    difference = error_level(_decoded(encoded, upright), quality)
    amplified = difference.point([min(255, level * gain) for level in range(256)] * 3)
    return _fitted(amplified)


def channels(ela: bytes) -> list[Image.Image]:
    """The endpoint's ELA picture as square maps: one in colour, or one in grey per channel of the recipe."""
    with Image.open(io.BytesIO(ela)) as opened:
        picture = opened.convert(opened.mode)
    if picture.mode == "RGB" or picture.width <= picture.height:
        return [picture]
    side = picture.height
    return [picture.crop((left, 0, left + side, side)) for left in range(0, picture.width, side)]


def stretched(evidence: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A map of the model's size laid over the picture; every value of it stays as it is."""
    return evidence.convert("RGB").resize(size, Image.Resampling.NEAREST)


def thumbnail(encoded: bytes) -> str:
    """A small data URI for tables."""
    picture = ImageOps.fit(_decoded(encoded, upright=True), (_THUMBNAIL_PX, _THUMBNAIL_PX))
    return data_uri(picture)


def data_uri(picture: Image.Image | bytes) -> str:
    """A picture for the address of an `img`: PNG files as they are, others as JPEG."""
    if isinstance(picture, bytes):
        return _uri("image/png", picture)
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY)
    return _uri("image/jpeg", encoded.getvalue())


def lossless_uri(picture: Image.Image) -> str:
    """A map for the address of an `img`, with every value kept."""
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return _uri("image/png", encoded.getvalue())


def _uri(kind: str, encoded: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(encoded).decode('ascii')}"


def _fitted(picture: Image.Image) -> Image.Image:
    fitted = picture.copy()
    fitted.thumbnail((VIEW_PX, VIEW_PX))
    return fitted
