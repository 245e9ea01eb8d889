"""Both classes of a training set get one file history."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from forgery.histories import Save, matched, read_save, saved

DIGEST = "ab" * 32


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((192, 128), Image.Resampling.LANCZOS)


def file(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return encoded.getvalue()


def save_of(picture: Image.Image, **options: object) -> Save:
    found = read_save(file(picture, **options))
    assert found is not None
    return found


@pytest.mark.parametrize(("quality", "subsampling"), [(63, "4:4:4"), (80, "4:2:2"), (95, "4:2:0")])
def test_a_save_read_from_a_file_is_the_save_it_went_through(
    photograph: Image.Image, quality: int, subsampling: str
) -> None:
    encoded = file(photograph, quality=quality, subsampling=subsampling)
    again = save_of(photograph, quality=quality, subsampling=subsampling).apply(photograph)
    assert np.array_equal(np.asarray(again), np.asarray(Image.open(io.BytesIO(encoded))))


def test_a_file_that_is_no_jpeg_has_no_save(photograph: Image.Image) -> None:
    assert read_save(file(photograph, "PNG")) is None


def test_authentic_pictures_go_through_the_save_of_a_forged_one(photograph: Image.Image) -> None:
    editor = save_of(photograph, quality=60, subsampling="4:4:4")
    encoded = file(photograph, "PNG")
    authentic = Image.open(io.BytesIO(matched(encoded, DIGEST, "authentic", [editor])))
    forged = Image.open(io.BytesIO(matched(encoded, DIGEST, "forged", [editor])))
    last = {"quality": 90, "subsampling": "4:2:0"}
    assert np.array_equal(np.asarray(authentic), np.asarray(saved(editor.apply(photograph), **last)))
    assert np.array_equal(np.asarray(forged), np.asarray(saved(photograph, **last)))
    assert authentic.quantization == forged.quantization


def test_the_save_is_drawn_by_the_picture(photograph: Image.Image) -> None:
    saves = [save_of(photograph, quality=quality) for quality in (30, 50, 70, 85)]
    encoded = file(photograph, quality=95)
    copies = [matched(encoded, f"{index:064x}", "authentic", saves) for index in range(16)]
    assert len(set(copies)) == 4
    assert copies[3] == matched(encoded, f"{3:064x}", "authentic", saves)


def test_without_saves_both_classes_get_the_last_one(photograph: Image.Image) -> None:
    encoded = file(photograph, "PNG")
    assert matched(encoded, DIGEST, "authentic", []) == matched(encoded, DIGEST, "forged", [])


def test_orientation_stays_for_recipes_that_apply_it(photograph: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    copy = matched(file(photograph, quality=90, exif=exif), DIGEST, "forged", [])
    assert Image.open(io.BytesIO(copy)).getexif()[0x0112] == 6
