"""What the page tells of a file's headers."""

from collections.abc import Callable
from typing import Any

import pytest
from PIL import ExifTags, Image

from ui.findings import Finding, Traits, findings, read_traits

Encode = Callable[..., bytes]
JPEG = Traits("JPEG", standard_tables=True)


def exif(**tags: Any) -> Image.Exif:
    made = Image.Exif()
    inner = {name: value for name, value in tags.items() if name == "DateTimeOriginal"}
    for name, value in tags.items():
        if name not in (*inner, "place"):
            made[getattr(ExifTags.Base, name)] = value
    made.get_ifd(ExifTags.IFD.Exif).update({getattr(ExifTags.Base, name): value for name, value in inner.items()})
    if "place" in tags:
        made.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (48.0, 1.0, 2.0), 3: "E", 4: (2.0, 3.0, 4.0)})
    return made


def titles(found: list[Finding], weight: str | None = None) -> str:
    return " | ".join(each.title for each in found if weight in (None, each.weight))


@pytest.mark.parametrize("quality", [30, 75, 100])
def test_libjpegs_tables_are_known_at_any_quality(picture: Image.Image, encode: Encode, quality: int) -> None:
    assert read_traits(encode(picture, quality=quality)).standard_tables is True
    assert read_traits(encode(picture.convert("L"), quality=quality)).standard_tables is True


def test_tables_of_ones_own_are_told_from_libjpegs(picture: Image.Image, encode: Encode) -> None:
    traits = read_traits(encode(picture, qtables=[[7] * 64, [9] * 64]))
    assert traits.standard_tables is False
    assert "Own quantisation tables, about quality 88" in titles(findings({"jpeg_quality": 88}, traits))


def test_camera_times_and_place_are_read(picture: Image.Image, encode: Encode) -> None:
    tags = exif(Make="Canon", Model="Canon R5", DateTime="2026:02:02", DateTimeOriginal="2026:01:01", place=True)
    traits = read_traits(encode(picture, exif=tags))
    assert (traits.camera, traits.taken, traits.changed, traits.has_place) == (
        "Canon R5",
        "2026:01:01",
        "2026:02:02",
        True,
    )
    told = titles(findings({}, traits), "notable")
    assert "Changed after it was taken" in told
    assert "Holds a place" in told


@pytest.mark.parametrize(
    ("info", "traits", "title"),
    [
        ({"software": "Adobe Photoshop 26.1"}, JPEG, "Saved by Adobe Photoshop 26.1"),
        ({"jpeg_quality": 50}, JPEG, "Strong compression, about quality 50"),
        ({"width": 3000, "height": 120}, JPEG, "Only 120 pixels on its shorter side"),
        ({}, Traits("PNG"), "PNG, not JPEG"),
        ({}, Traits("JPEG", standard_tables=False, has_history=True), "Carries an editing history"),
    ],
)
def test_what_deserves_a_second_look_comes_first(info: dict[str, Any], traits: Traits, title: str) -> None:
    found = findings(info, traits)
    assert title in titles(found, "notable")
    weights = [each.weight for each in found]
    assert weights == sorted(weights)


def test_a_cameras_software_tag_is_no_suspicion() -> None:
    assert titles(findings({"software": "HDR+ 1.0"}, JPEG), "notable") == ""


def test_control_characters_of_a_file_reach_nobody() -> None:
    told = titles(findings({"software": "GIMP\n\x1b[31m<b>"}, JPEG))
    assert "\n" not in told
    assert "\x1b" not in told


def test_broken_exif_is_no_obstacle(picture: Image.Image, encode: Encode) -> None:
    assert read_traits(encode(picture, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")).camera is None
