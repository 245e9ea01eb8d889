"""The two evidences of the blocks recipe: what stands out within a picture, and what repeats in it."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from forgery.errors import InvalidConfig
from forgery.recipes import evidence, parse_recipe
from forgery.recipes.blocks import BlocksRecipe
from forgery.recipes.selfmatch import Link, self_matches

RECIPE = BlocksRecipe()
SMALL = BlocksRecipe(cells=16, matches=False)
LEVELS, MEAN_LUMA = slice(0, 63), 63  # channels
AT_75, REQUANTISED_AT_75, OWN_STEPS = 1, 20, 56
COPIED_FROM, COPIED_TO, SIDE = (60, 90), (150, 250), 80  # row, column; pixels


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((384, 256), Image.Resampling.LANCZOS)


def jpeg(picture: Image.Image, quality: int) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()


def copied(picture: Image.Image, turn: float = 0.0, side: int = SIDE) -> Image.Image:
    """The picture with a square of it pasted elsewhere."""
    row, column = COPIED_FROM
    square = picture.crop((column, row, column + SIDE, row + SIDE)).resize((side, side), Image.Resampling.BICUBIC)
    pasted = picture.copy()
    mask = Image.new("L", square.size, 255).rotate(turn)
    pasted.paste(square.rotate(turn, Image.Resampling.BICUBIC), (COPIED_TO[1], COPIED_TO[0]), mask)
    return pasted


def agreement_in_pixels(picture: Image.Image) -> NDArray[np.float32]:
    found = self_matches(np.asarray(picture.convert("L"))).agreement
    return np.asarray(Image.fromarray(found).resize(picture.size, Image.Resampling.BOX))


def test_a_copy_is_linked_to_where_it_came_from(photograph: Image.Image) -> None:
    links = self_matches(np.asarray(copied(photograph).convert("L"))).links
    assert links
    ends = {tuple(int(each) for each in end) for link in links for end in _corners(link, photograph.size)}
    near = [np.abs(np.array(end) - place).max() < SIDE / 4 for place in (COPIED_FROM, COPIED_TO) for end in ends]
    assert any(near[: len(ends)])
    assert any(near[len(ends) :])
    assert self_matches(np.asarray(photograph.convert("L"))).links == []


def _corners(link: Link, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Row and column of the upper left corner of both ends, in pixels."""
    return [tuple((end * size).min(axis=0)[::-1]) for end in (link.here, link.there)]


@given(st.integers(8, 256), st.booleans(), st.booleans(), st.booleans())
def test_name_stands_for_the_recipe(cells: int, matches: bool, upright: bool, content: bool) -> None:
    recipe = BlocksRecipe(cells, matches, upright, content)
    assert parse_recipe(recipe.name) == recipe
    assert recipe.name.isidentifier()


@pytest.mark.parametrize("name", ["blocks2", "blocks2_7", "blocks2_999", "blocks2_48_luma", "blocks2_q75_48"])
def test_refuses_names_that_stand_for_nothing(name: str) -> None:
    with pytest.raises(InvalidConfig, match="cells"):
        parse_recipe(name)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (2000, 3), (3, 2000), (47, 49), (640, 480)])
def test_any_size_gives_the_shape(size: tuple[int, int]) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    found = RECIPE.compute(Image.fromarray(grain))
    assert found.dtype == np.uint8
    assert found.shape == RECIPE.shape == (48, 48, 66)


def test_same_picture_gives_the_same_bytes_from_memory_and_from_png(photograph: Image.Image) -> None:
    encoded = io.BytesIO()
    photograph.save(encoded, "PNG")
    first = RECIPE.compute(photograph)
    assert np.array_equal(first, RECIPE.compute(photograph))
    assert np.array_equal(first, evidence(encoded.getvalue(), RECIPE))


def test_nothing_stands_out_of_a_flat_picture() -> None:
    found = RECIPE.compute(Image.new("RGB", (200, 100), (90, 90, 90)))
    assert (found[:, :, LEVELS] == 128).all()
    assert (found[:, :, MEAN_LUMA] == 90).all()
    assert (found[:, :, MEAN_LUMA + 1 :] == 0).all()


def test_standardised_whatever_the_picture_went_through(photograph: Image.Image) -> None:
    for quality in (60, 95):
        channels = evidence(jpeg(photograph, quality), SMALL)[:, :, LEVELS].astype(float)
        # Values beyond four deviations are cut; flat places have many near the lower end.
        assert channels.mean(axis=(0, 1)) == pytest.approx(128, abs=2)
        assert channels.std(axis=(0, 1)) == pytest.approx(32, abs=10)


@pytest.mark.parametrize("channel", [AT_75, REQUANTISED_AT_75])
def test_a_pasted_region_of_another_quality_stands_out(photograph: Image.Image, channel: int) -> None:
    host = Image.open(io.BytesIO(jpeg(photograph, 75))).convert("RGB")
    host.paste(photograph.crop((160, 64, 288, 192)), (160, 64))
    recipe = BlocksRecipe(matches=False)
    before, after = (recipe.compute(each)[:, :, channel].astype(float) for each in (photograph, host))
    inside = np.zeros((48, 48), bool)
    inside[13:35, 21:35] = True
    gain = (after - before)[inside].mean() - (after - before)[~inside].mean()
    assert gain > 16  # half a standard deviation


def test_a_pasted_region_lies_off_the_steps_the_rest_repeats_at(photograph: Image.Image) -> None:
    host = Image.open(io.BytesIO(jpeg(photograph, 80))).convert("RGB")
    host.paste(photograph.crop((163, 67, 291, 195)), (160, 64))
    again = Image.open(io.BytesIO(jpeg(host, 92))).convert("RGB")
    nearness = BlocksRecipe(matches=False).compute(again)[:, :, OWN_STEPS].astype(float)
    inside = np.zeros((48, 48), bool)
    inside[13:35, 21:35] = True
    assert nearness[inside].mean() < nearness[~inside].mean() - 16


@pytest.mark.parametrize(("turn", "side"), [(0, SIDE), (30, SIDE), (0, 100)])
def test_both_ends_of_a_copy_are_found(photograph: Image.Image, turn: float, side: int) -> None:
    found = agreement_in_pixels(copied(photograph, turn, side))
    centres = [
        (COPIED_FROM[0] + SIDE // 2, COPIED_FROM[1] + SIDE // 2),
        (COPIED_TO[0] + side // 2, COPIED_TO[1] + side // 2),
    ]
    for row, column in centres:
        assert found[row - 10 : row + 10, column - 10 : column + 10].mean() > 0.7
    elsewhere = np.ones_like(found, bool)
    for row, column in centres:
        elsewhere[max(0, row - 70) : row + 70, max(0, column - 70) : column + 70] = False
    assert found[elsewhere].mean() < 0.05


def test_a_copy_survives_recompression(photograph: Image.Image) -> None:
    saved = Image.open(io.BytesIO(jpeg(copied(photograph), 75))).convert("RGB")
    found = agreement_in_pixels(saved)
    assert found[COPIED_TO[0] + 20 : COPIED_TO[0] + 60, COPIED_TO[1] + 20 : COPIED_TO[1] + 60].mean() > 0.7


def test_a_photograph_without_copies_matches_nothing(photograph: Image.Image) -> None:
    assert agreement_in_pixels(photograph).max() == 0


def test_cells_of_a_strip_are_means_though_it_has_fewer_rows_than_cells() -> None:
    columns = np.random.default_rng(0).integers(0, 256, 1200, dtype=np.uint8)
    strip = Image.fromarray(np.tile(columns, (24, 1)))
    luma = BlocksRecipe(matches=False).compute(strip)[:, :, MEAN_LUMA]
    assert luma == pytest.approx(np.tile(columns.reshape(48, 25).mean(axis=1), (48, 1)), abs=0.51)
