"""Pictures that the page makes to look at."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ExifTags, Image

from forgery.picture import decode
from forgery.recipes.ela import error_level
from ui.views import VIEW_PX, channels, closer_look, is_upright, stretched, view

Encode = Callable[..., bytes]
TURNED = 6


@pytest.fixture
def turned(picture: Image.Image, encode: Encode) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = TURNED
    return encode(picture, exif=exif, quality=95)


@pytest.mark.parametrize("upright", [True, False])
def test_the_picture_lies_as_the_endpoints_maps_lie(turned: bytes, encode: Encode, upright: bool) -> None:
    like = encode(decode(turned, upright=upright), "PNG")
    assert is_upright(turned, like) is upright
    assert view(turned, is_upright(turned, like)).size == ((240, 320) if upright else (320, 240))


def test_half_a_turn_is_seen_though_the_shape_is_the_same(picture: Image.Image, encode: Encode) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    encoded = encode(picture, exif=exif, quality=95)
    assert is_upright(encoded, encode(decode(encoded, upright=True), "PNG"))
    assert not is_upright(encoded, encode(decode(encoded), "PNG"))


def test_a_closer_look_is_the_recipes_own_error_level_amplified(picture: Image.Image, encode: Encode) -> None:
    encoded = encode(picture, quality=95)
    expected = np.minimum(np.asarray(error_level(decode(encoded), 80)).astype(int) * 12, 255)
    np.testing.assert_array_equal(np.asarray(closer_look(encoded, 80, 12)), expected)


def test_large_pictures_are_shrunk_for_the_screen(encode: Encode) -> None:
    assert max(view(encode(Image.new("RGB", (3000, 400))), upright=False).size) == VIEW_PX


def test_maps_of_many_channels_are_taken_apart(encode: Encode) -> None:
    panels = np.concatenate([np.full((8, 8), value, np.uint8) for value in (10, 20, 30, 40)], axis=1)
    maps = channels(encode(Image.fromarray(panels), "PNG"))
    assert [int(np.asarray(each).mean()) for each in maps] == [10, 20, 30, 40]


def test_a_map_in_colour_is_one(encode: Encode) -> None:
    (found,) = channels(encode(Image.new("RGB", (8, 8), "red"), "PNG"))
    assert stretched(found, (40, 20)).getcolors() == [(800, (255, 0, 0))]


def test_stretching_invents_no_value(encode: Encode) -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    found = np.asarray(stretched(Image.fromarray(values), (50, 30)))
    assert set(np.unique(found)) == set(np.unique(values))


def test_the_page_draws_only_what_can_be_decoded(encode: Encode) -> None:
    with Image.open(io.BytesIO(encode(Image.new("CMYK", (20, 20))))) as image:
        assert image.mode == "CMYK"
    assert view(encode(Image.new("CMYK", (20, 20))), upright=True).mode == "RGB"


def test_broken_exif_leaves_the_picture_as_it_lies(picture: Image.Image, encode: Encode) -> None:
    encoded = encode(picture, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert view(encoded, upright=True).size == picture.size
    assert not is_upright(encoded, encode(picture, "PNG"))
