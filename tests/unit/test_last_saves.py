"""What happens to a picture after its edit."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from forgery.last_saves import LastSave

DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.fromarray(data.coffee()).resize((96, 64))


def after(last_save: LastSave, picture: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(last_save.file(picture)))


def test_no_save_hands_on_the_same_pixels(picture: Image.Image) -> None:
    assert np.array_equal(after(LastSave(quality=None), picture), picture)


@pytest.mark.parametrize(
    ("last_save", "size"), [(LastSave((3, 5)), (93, 59)), (LastSave(scale=1.5), (144, 96)), (LastSave(), (96, 64))]
)
def test_a_picture_is_cut_then_resized_then_saved(
    picture: Image.Image, last_save: LastSave, size: tuple[int, int]
) -> None:
    handed_on = after(last_save, picture)
    assert (handed_on.format, handed_on.size) == ("JPEG", size)


def test_what_is_cut_lies_left_and_above(picture: Image.Image) -> None:
    left = after(LastSave((3, 5), quality=None), picture)
    assert np.array_equal(left, np.asarray(picture)[5:, 3:])


def test_the_same_picture_draws_the_same_and_others_draw_all_there_is() -> None:
    drawn = [LastSave.drawn(digest, (320, 160)) for digest in DIGESTS]
    assert drawn == [LastSave.drawn(digest, (320, 160)) for digest in DIGESTS]
    assert {each.quality is None for each in drawn} == {each.scale == 1 for each in drawn} == {True, False}
    assert {each.subsampling for each in drawn} == {0, 2}
    cuts = [each.cut_px for each in drawn]
    assert max(left for left, _ in cuts) <= 20
    assert max(above for _, above in cuts) <= 10
    assert sum(cut == (0, 0) for cut in cuts) > len(cuts) / 3
    assert any(left % 8 for left, _ in cuts)


def test_a_tiny_picture_stays_one() -> None:
    for digest in DIGESTS[:20]:
        assert min(after(LastSave.drawn(digest, (1, 1)), Image.new("RGB", (1, 1))).size) == 1
