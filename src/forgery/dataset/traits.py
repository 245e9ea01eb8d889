"""What can be told of a picture's file without looking at its pixels."""

import io
from typing import Final, NamedTuple

from PIL import Image, JpegImagePlugin

_SUBSAMPLINGS: Final = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_SOFTWARE_TAG: Final = 305
_NONE: Final = "none"


class Traits(NamedTuple):
    """One file's header, as short texts that can be counted.

    `luma_table` and `chroma_table` name a JPEG's quantisation tables by the sum of their 64 steps: 64 at quality
    100, thousands at low ones.
    """

    format: str
    size: str
    mode: str
    luma_table: str = _NONE
    chroma_table: str = _NONE
    subsampling: str = _NONE
    progressive: str = "no"
    software: str = _NONE
    segments: str = _NONE


TITLES: Final = {
    "format": "Format",
    "size": "Width x height",
    "mode": "Colour mode",
    "luma_table": "Luma quantisation table",
    "chroma_table": "Chroma quantisation table",
    "subsampling": "Chroma subsampling",
    "progressive": "Progressive JPEG",
    "software": "Software named in EXIF",
    "segments": "Metadata present",
}


def read_traits(encoded: bytes) -> Traits:
    """The traits of an accepted picture's file; nothing is decoded."""
    with Image.open(io.BytesIO(encoded)) as image:
        traits = Traits(
            format=image.format or "unknown",
            size=f"{image.width}x{image.height}",
            mode=image.mode,
            progressive="yes" if image.info.get("progressive") else "no",
            software=str(image.getexif().get(_SOFTWARE_TAG, _NONE)).strip("\0 ")[:40] or _NONE,
            segments=_segments(image),
        )
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            return traits
        tables = [str(sum(table)) for _, table in sorted(image.quantization.items())]
        return traits._replace(
            luma_table=tables[0] if tables else _NONE,
            chroma_table="+".join(tables[1:]) or _NONE,
            subsampling=_SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image), "other"),
        )


def _segments(image: Image.Image) -> str:
    found = [
        name for name in ("jfif", "adobe", "exif", "icc_profile", "photoshop", "xmp", "comment") if name in image.info
    ]
    return "+".join(found) or _NONE
