"""What was forged in one picture, pasted into another."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from PIL.ImageFilter import MaxFilter, MinFilter
from skimage import data

from forgery.last_saves import LastSave
from forgery.pasting import last_save, paste, steps_to_host

DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(200)]
SIZE = (96, 64)


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.new("RGB", SIZE, (255, 0, 0))


@pytest.fixture(scope="module")
def host() -> Image.Image:
    return Image.fromarray(data.coffee()).resize((80, 60))


def marked(box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", SIZE)
    mask.paste(255, box)
    return mask


@pytest.mark.parametrize("digest", DIGESTS[:20])
def test_the_region_lies_where_the_mask_says_and_the_rest_is_the_hosts(
    digest: str, picture: Image.Image, host: Image.Image
) -> None:
    made, mask = (np.asarray(each) for each in paste(digest, picture, marked((20, 10, 60, 40)), host))
    assert made.shape[:2] == mask.shape == (60, 80)
    assert set(np.unique(mask)) == {0, 255}
    near, core = (np.asarray(Image.fromarray(mask).filter(each(15))) for each in (MaxFilter, MinFilter))
    assert (made[near == 0] == np.asarray(host)[near == 0]).all()
    assert (made[core == 255] == (255, 0, 0)).all()
    assert (core == 255).any()
    assert 0.49 * 1200 <= (mask == 255).sum() <= 1.83 * 1200


def test_a_region_larger_than_the_host_is_made_to_fit(picture: Image.Image) -> None:
    for digest in DIGESTS[:20]:
        made, mask = paste(digest, picture, marked((0, 0, *SIZE)), Image.new("RGB", (16, 40)))
        assert made.size == mask.size == (16, 40)
        assert 0 < np.asarray(mask).mean() < 255


def test_it_is_the_same_each_time_and_another_for_others(picture: Image.Image, host: Image.Image) -> None:
    made = [paste(digest, picture, marked((20, 10, 60, 40)), host)[0].tobytes() for digest in DIGESTS[:10]]
    assert made == [paste(digest, picture, marked((20, 10, 60, 40)), host)[0].tobytes() for digest in DIGESTS[:10]]
    assert len(set(made)) == 10


def test_it_lies_about_as_high_up_as_it_was(picture: Image.Image) -> None:
    tops = []
    for digest in DIGESTS:
        _, mask = paste(digest, picture, marked((40, 44, 56, 60)), Image.new("RGB", (200, 200)))
        left, top, right, bottom = mask.getbbox() or (0, 0, 0, 0)
        assert right - left == bottom - top
        tops.append((top + bottom) / 2)
    assert 150 < np.median(tops) < 175  # 52 of 64


def test_an_empty_mask_pastes_nothing(picture: Image.Image, host: Image.Image) -> None:
    made, mask = paste(DIGESTS[0], picture, Image.new("L", SIZE), host)
    assert made.tobytes() == picture.tobytes()
    assert mask.getbbox() is None


def test_half_are_saved_as_all_others_are() -> None:
    drawn = [last_save(digest, (320, 160)) for digest in DIGESTS]
    assert 70 < sum(each == LastSave() for each in drawn) < 130
    assert len(set(drawn)) > 70
    varied = [LastSave.drawn(digest, (320, 160)) for digest in DIGESTS]
    assert sum(one == other for one, other in zip(drawn, varied, strict=True)) < 10


def test_hosts_are_near_and_not_always_the_next() -> None:
    assert {steps_to_host(digest) for digest in DIGESTS} == {1, 2, 3, 4}
