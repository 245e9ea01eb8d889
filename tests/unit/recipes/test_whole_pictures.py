"""The recipes that look at the picture itself and at its spectrum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.recipes import parse_recipe
from forgery.recipes.rgb import RgbRecipe
from forgery.recipes.spectrum import SpectrumRecipe


@given(st.sampled_from([RgbRecipe, SpectrumRecipe]), st.integers(16, 1024), st.booleans())
def test_name_stands_for_the_recipe(kind: type, size_px: int, upright: bool) -> None:
    recipe = kind(size_px, upright)
    assert parse_recipe(recipe.name) == recipe
    assert recipe.name.isidentifier()


@pytest.mark.parametrize("name", ["rgb1", "rgb1_8", "rgb1_224_box", "fft1", "fft1_2000", "fft1_64_luma"])
def test_refuses_names_that_stand_for_nothing(name: str) -> None:
    with pytest.raises(InvalidConfig, match=r"size"):
        parse_recipe(name)


@pytest.mark.parametrize("recipe", [RgbRecipe(32), SpectrumRecipe(32)])
@pytest.mark.parametrize("size", [(1, 1), (5, 300), (32, 32), (640, 480)])
def test_any_size_gives_the_shape(recipe: RgbRecipe | SpectrumRecipe, size: tuple[int, int]) -> None:
    found = recipe.compute(Image.new("RGB", size, (10, 90, 200)))
    assert found.dtype == np.uint8
    assert found.shape == recipe.shape


def test_a_picture_of_the_size_is_handed_on_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(RgbRecipe(32).compute(Image.fromarray(pixels)), pixels)


def test_a_grating_is_a_pair_of_peaks_about_the_middle() -> None:
    waves = 128 + 100 * np.sin(2 * np.pi * np.arange(64) / 8)
    picture = Image.fromarray(np.tile(waves, (64, 1)).astype(np.uint8))
    levels = SpectrumRecipe(64).compute(picture)[:, :, 0].astype(int)
    assert levels[32, 32] > levels[32, 40] > 150  # the mean, then the eighth frequency
    assert levels[32, 40] == pytest.approx(levels[32, 24], abs=2)
    assert levels[40, 32] < levels[32, 40] - 50


def test_white_everywhere_reaches_the_largest_level() -> None:
    assert SpectrumRecipe(64).compute(Image.new("L", (64, 64), 255)).max() == 255
