"""Control crops hold no forged pixel, and are files of their own on the grid of their picture's last save."""

import numpy as np
import pytest
from PIL import Image

from forgery.evaluation.controls import control_crop


def crop(picture: Image.Image, mask: np.ndarray | None, seed: int) -> Image.Image | None:
    return control_crop(picture, None if mask is None else Image.fromarray(mask), np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_a_crop_holds_no_forged_pixel(seed: int) -> None:
    mask = np.zeros((128, 192), np.uint8)
    mask[72:110, 20:60] = 255
    # The picture is its own mask, so a forged pixel would show in the crop.
    found = crop(Image.fromarray(mask).convert("RGB"), mask, seed)
    assert found is not None
    assert found.size == (112, 64)
    assert not np.asarray(found).any()


def test_crops_lie_on_the_grid_of_their_picture_s_blocks() -> None:
    columns, rows = np.meshgrid(np.arange(192), np.arange(128))
    places = Image.fromarray(np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8))
    found = [crop(places, None, seed) for seed in range(400)]
    corners = {each.getpixel((0, 0))[:2] for each in found if each is not None}
    assert corners == {(left, top) for left in range(0, 81, 16) for top in range(0, 65, 16)}


def test_there_is_none_where_the_mask_leaves_no_room() -> None:
    mask = np.zeros((128, 192), np.uint8)
    mask[64, 96] = 255
    assert crop(Image.new("RGB", (192, 128)), mask, 0) is None


def test_there_is_none_of_a_picture_of_a_few_pixels() -> None:
    assert crop(Image.new("RGB", (20, 400)), None, 0) is None
