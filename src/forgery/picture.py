"""From the bytes of a file to its pixels: by content, within limits that are checked before decoding."""

import io
import sys
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from forgery.errors import PictureRejected

# The limits below are stricter than Pillow's warning threshold, so its warning says nothing new.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# By default Pillow hands the pixels of each image back to the system, only to ask for as many for the next one. Keeping
# some blocks (16 MB, as far as they are used) makes error levels of a 1024x1024 JPEG a sixth faster; fewer do not.
Image.core.set_blocks_max(6)  # type: ignore[attr-defined]

ACCEPTED_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
# Phones write MPO: a JPEG whose first frame is the picture and whose others are previews or depth.
_FORMAT_ALIASES = {"MPO": "JPEG"}


@dataclass(frozen=True)
class Limits:
    """What one file may be.

    Attributes:
        max_bytes: Largest file, in bytes.
        max_pixels: Largest width x height, read from the header before anything is decoded.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 50_000_000


DEFAULT_LIMITS = Limits()
# For pictures of an image set: ingest held them to the limits of its run, and others here would lose some of them.
UNLIMITED = Limits(max_bytes=sys.maxsize, max_pixels=sys.maxsize)


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded: format by content, size in stored orientation."""

    format: str
    width: int
    height: int
    mode: str


def _open(encoded: bytes, limits: Limits) -> tuple[Image.Image, str]:
    if not encoded:
        raise PictureRejected("empty", "the file is empty")
    if len(encoded) > limits.max_bytes:
        raise PictureRejected(
            "bytes",
            f"the file has {len(encoded)} bytes, more than {limits.max_bytes}",
            f"max_bytes={limits.max_bytes}",
        )
    try:
        image = Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError as error:
        accepted = ", ".join(ACCEPTED_FORMATS)
        raise PictureRejected(
            "unreadable", f"this is no picture that can be read; accepted are {accepted}", accepted
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels("more than 178 million", limits) from error
    except Exception as error:  # codecs raise many kinds (struct.error, SyntaxError, ...) on hostile headers
        raise PictureRejected("unreadable", f"the header cannot be read: {type(error).__name__}") from error
    return image, _FORMAT_ALIASES.get(image.format or "", image.format or "unknown")


def _too_many_pixels(found: str, limits: Limits) -> PictureRejected:
    return PictureRejected(
        "pixels", f"the picture has {found} pixels, more than {limits.max_pixels}", f"max_pixels={limits.max_pixels}"
    )


def _check(image: Image.Image, format_name: str, limits: Limits) -> None:
    if format_name not in ACCEPTED_FORMATS:
        accepted = ", ".join(ACCEPTED_FORMATS)
        raise PictureRejected("format", f"{format_name} is not accepted; accepted are {accepted}", accepted)
    if image.width * image.height > limits.max_pixels:
        raise _too_many_pixels(str(image.width * image.height), limits)
    if image.mode in ("I", "F"):
        # Their range is not in the header: any scale to 8 bits would be a guess from the content.
        raise PictureRejected(
            "format", "32-bit and floating-point pixels are not accepted; save 8 or 16 bits a channel", "8 or 16 bits"
        )
    try:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    except Exception as error:  # counting a TIFF's frames walks its directories, which may be broken
        raise PictureRejected("unreadable", f"the frames cannot be counted: {type(error).__name__}") from error
    if frames != 1:
        raise PictureRejected("animated", f"the file holds {frames} frames; send one picture", "frames=1")


def read_header(encoded: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read format and size without decoding a pixel.

    Raises:
        PictureRejected: The file is not an accepted picture or breaks a limit.
    """
    image, format_name = _open(encoded, limits)
    _check(image, format_name, limits)
    return Header(format_name, image.width, image.height, image.mode)


def decode(encoded: bytes, limits: Limits = DEFAULT_LIMITS, upright: bool = False) -> Image.Image:
    """Decode a file to 8-bit RGB.

    Grey, palette and CMYK are converted; an alpha channel is dropped, not composited, because the stored
    colour is the evidence; 16-bit channels keep their high byte. Stored orientation is kept, since the JPEG grid lies
    in it, unless `upright` asks for the EXIF orientation to be applied.

    Args:
        encoded: The file's bytes, in any of `ACCEPTED_FORMATS`.
        limits: Checked on the header, before decoding.
        upright: Apply the EXIF orientation.

    Returns:
        An image of mode RGB.

    Raises:
        PictureRejected: As `read_header`, and for pixel data that is truncated or corrupt.
    """
    image, format_name = _open(encoded, limits)
    _check(image, format_name, limits)
    try:
        image.load()
        if upright:
            image = ImageOps.exif_transpose(image)
        return _to_rgb(image)
    except PictureRejected:
        raise
    except Exception as error:  # truncated and corrupt data surface as OSError, ValueError, SyntaxError, ...
        raise PictureRejected("truncated", f"the picture is truncated or corrupt ({type(error).__name__})") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling, and it has none for big-endian TIFF.
        high_bytes = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(high_bytes).convert("RGB")
    if image.mode in ("P", "PA"):
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")
