"""What a file says of its own history: metadata, quantisation tables, the manner it was saved in."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from PIL import ExifTags, Image, JpegImagePlugin

Weight = Literal["notable", "plain"]

_EDITORS = re.compile(
    r"photoshop|lightroom|gimp|affinity|snapseed|picsart|canva|pixelmator|facetune|paint|capture one|darktable|"
    r"luminar|photopea|pixlr|fotor|meitu|remini|firefly|midjourney|stable diffusion|dall",
    re.IGNORECASE,
)
_TEXT_LENGTH = 120
# Below it most of what an edit leaves in the high frequencies is quantised away.
_WEAK_QUALITY = 70
# A map of error levels needs some dozens of 8 x 8 blocks a side to show a region.
_SMALL_PX = 200
_SUBSAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing of the file.

    Attributes:
        title: What was found.
        text: What it means, and what it does not.
        weight: `notable` where a person should look twice.
    """

    title: str
    text: str
    weight: Weight = "plain"


@dataclass(frozen=True)
class Traits:
    """What is read from a file's headers; None and False where it says nothing.

    Attributes:
        format: By content, e.g. `JPEG`.
        camera: Maker and model.
        taken: When the picture was taken, as the camera wrote it.
        changed: When the file was last changed, as software wrote it.
        has_place: It carries GPS coordinates.
        standard_tables: Its quantisation tables are libjpeg's of some quality; None for formats without.
        subsampling: Of the colour channels, e.g. `4:2:0`.
        progressive: The JPEG is stored in several scans.
        has_history: It carries the editing history of an Adobe program.
        has_credentials: It carries Content Credentials (C2PA).
    """

    format: str
    camera: str | None = None
    taken: str | None = None
    changed: str | None = None
    has_place: bool = False
    standard_tables: bool | None = None
    subsampling: str | None = None
    progressive: bool = False
    has_history: bool = False
    has_credentials: bool = False


def read_traits(encoded: bytes) -> Traits:
    """Read a file's headers; only for files that the endpoint accepted."""
    with Image.open(io.BytesIO(encoded)) as image:
        format_name = {"MPO": "JPEG"}.get(image.format or "", image.format or "unknown")
        tables = getattr(image, "quantization", None)
        return Traits(
            format=format_name,
            **_exif(image),
            standard_tables=_are_standard(tables) if tables else None,
            subsampling=_subsampling(image) if tables else None,
            progressive=bool(image.info.get("progressive")),
            has_history=b"xmpMM:History" in encoded,
            has_credentials=b"jumb" in encoded and b"c2pa" in encoded,
        )


def _exif(image: Image.Image) -> dict[str, Any]:
    try:
        exif = image.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        maker, model = (_text(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
        taken, changed = _text(inner.get(ExifTags.Base.DateTimeOriginal)), _text(exif.get(ExifTags.Base.DateTime))
    except Exception:  # EXIF is a file format of its own, and broken ones break its reader in many ways
        return {}
    camera = model if model and maker and model.startswith(maker) else " ".join(filter(None, (maker, model)))
    has_place = bool({ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude} <= place.keys())
    return {"camera": camera or None, "taken": taken, "changed": changed, "has_place": has_place}


def _text(value: object) -> str | None:
    text = "".join(each for each in str(value or "") if each.isprintable()).strip()[:_TEXT_LENGTH]
    return text or None


def _are_standard(tables: Mapping[int, list[int]]) -> bool:
    """Whether libjpeg would write these tables at some quality, which is asked of libjpeg itself."""
    found = [list(tables[index]) for index in sorted(tables)]
    return any(known[: len(found)] == found for known in _libjpeg_tables())


@cache
def _libjpeg_tables() -> tuple[list[list[int]], ...]:
    return tuple(_tables_of(quality) for quality in range(1, 101))


def _tables_of(quality: int) -> list[list[int]]:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8)).save(encoded, "JPEG", quality=quality)
    with Image.open(encoded) as image:
        tables = getattr(image, "quantization", {})
        return [list(tables[index]) for index in sorted(tables)]


def _subsampling(image: Image.Image) -> str | None:
    return _SUBSAMPLINGS.get(JpegImagePlugin.get_sampling(image))


def findings(info: Mapping[str, Any], traits: Traits) -> list[Finding]:
    """What to tell of a file, notable things first.

    Args:
        info: The endpoint's `image_info`; keys may be missing.
        traits: Read from the same file.
    """
    found = [*_of_software(info, traits), *_of_saving(info, traits), *_of_camera(info, traits)]
    return sorted(found, key=lambda finding: finding.weight != "notable")


def _of_software(info: Mapping[str, Any], traits: Traits) -> Iterator[Finding]:
    software = _text(info.get("software"))
    if software and _EDITORS.search(software):
        text = "An editor wrote this file. Cropping or turning is enough for that; what was done, the tag does not say."
        yield Finding(f"Saved by {software}", text, "notable")
    elif software:
        yield Finding(f"Software tag: {software}", "Cameras and phones write one too.")
    if traits.has_history:
        text = "It lists the steps of an Adobe program. Anybody can alter or remove such a list."
        yield Finding("Carries an editing history", text, "notable")
    if traits.has_credentials:
        text = "Signed provenance (C2PA) is in the file. This page does not verify it; a C2PA tool can."
        yield Finding("Carries Content Credentials", text)


def _of_saving(info: Mapping[str, Any], traits: Traits) -> Iterator[Finding]:
    if traits.standard_tables is None:
        text = "Error levels compare how parts were compressed; a format without loss may hide or have lost that."
        yield Finding(f"{traits.format}, not JPEG", text, "notable")
    else:
        yield _of_tables(info.get("jpeg_quality"), traits)
    sides = [int(side) for side in (info.get("width"), info.get("height")) if side]
    if sides and min(sides) < _SMALL_PX:
        text = "There is little to go by: a thumbnail has lost most traces. Look for a larger original."
        yield Finding(f"Only {min(sides)} pixels on its shorter side", text, "notable")


def _of_tables(quality: object, traits: Traits) -> Finding:
    about = f"quality {quality}" if isinstance(quality, int) else "unknown quality"
    if isinstance(quality, int) and quality < _WEAK_QUALITY:
        text = "Saved with heavy compression: small traces of editing may be gone, and blocks look like evidence."
        return Finding(f"Strong compression, about {about}", text, "notable")
    if traits.standard_tables:
        text = "The tables of libjpeg, which most software uses; a camera would rather have its own."
        return Finding(f"Standard quantisation tables, {about}", text)
    text = "Tables of its own, as cameras, phones and Adobe programs have; the quality is an estimate."
    return Finding(f"Own quantisation tables, about {about}", text)


def _of_camera(info: Mapping[str, Any], traits: Traits) -> Iterator[Finding]:
    if traits.camera:
        when = f", {traits.taken}" if traits.taken else ""
        yield Finding(f"Camera: {traits.camera}{when}", "As the file says; anybody can write these fields.")
    else:
        text = "Usual for files from messengers, websites and screenshots. Editing can remove it, and so can sharing."
        yield Finding("No camera data", text)
    if traits.taken and traits.changed and traits.taken != traits.changed:
        text = "Software wrote the file anew later than the camera; turning the picture is enough."
        yield Finding(f"Changed after it was taken: {traits.changed}", text, "notable")
    orientation = info.get("orientation")
    if isinstance(orientation, int) and orientation > 1:
        yield Finding(
            "Stored turned", "The file asks to be shown turned or mirrored; the picture here follows the maps."
        )
    if traits.has_place:
        yield Finding("Holds a place", "GPS coordinates are in the file: think of that before sharing it.", "notable")
