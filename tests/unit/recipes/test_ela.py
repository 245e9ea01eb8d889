"""Error levels: golden arrays, properties, names."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from forgery.errors import InvalidConfig
from forgery.evidence import decode_map, encode_map
from forgery.recipes import evidence, parse_recipe
from forgery.recipes.ela import ElaRecipe, error_level

GOLDEN = Path(__file__).parents[2] / "data" / "golden"
GOLDEN_RECIPES = (
    "ela1_q90_gain15_32_bilinear",
    "ela1_q90_stretch_32_bilinear",
    "ela1_q75_q95_gain20_luma_24_box",
    "ela1_q90_gain15_16_pooled",
)

RANDOM = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)

recipes = st.builds(
    ElaRecipe,
    qualities=st.lists(st.integers(1, 100), min_size=1, max_size=3).map(tuple),
    gain=st.none() | st.integers(1, 255),
    size_px=st.integers(16, 64),
    resample=st.sampled_from(["bilinear", "box", "pooled"]),
    luma=st.booleans(),
    upright=st.booleans(),
    sharpened=st.just(10) | st.integers(1, 99),
)


def golden_picture() -> bytes:
    """Waves, an edge and a flat patch, by integer arithmetic alone: the same pixels on every machine."""
    y, x = np.mgrid[0:96, 0:128]
    pixels = np.stack([(x * y // 7) % 256, (x * 3 + y * 5) % 256, (x * x // 31 + y) % 256], axis=2)
    pixels[30:70, 40:90] = (200, 60, 20)
    pixels[50:60, 10:120] //= 3
    encoded = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def saved(pixels: np.ndarray, format: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(encoded, format, **options)
    return encoded.getvalue()


@pytest.mark.parametrize("name", GOLDEN_RECIPES)
def test_no_pixel_has_moved_since_the_golden_arrays_were_made(name: str) -> None:
    assert np.array_equal(evidence(golden_picture(), parse_recipe(name)), np.load(GOLDEN / f"{name}.npy"))


def test_an_error_level_is_the_difference_to_the_copy_saved_again() -> None:
    picture = Image.open(io.BytesIO(golden_picture())).convert("RGB")
    copy = io.BytesIO()
    picture.save(copy, "JPEG", quality=90)
    expected = np.abs(np.asarray(picture).astype(int) - np.asarray(Image.open(copy)).astype(int))
    assert np.array_equal(np.asarray(error_level(picture, 90)), expected)


def test_sharpening_comes_after_amplification_and_before_the_resize() -> None:
    picture = Image.open(io.BytesIO(golden_picture())).convert("RGB").resize((64, 64))
    plain, sharp = ElaRecipe(size_px=64).compute(picture), ElaRecipe(size_px=64, sharpened=15).compute(picture)
    expected = ImageEnhance.Sharpness(Image.fromarray(plain)).enhance(1.5)
    assert np.array_equal(sharp, np.asarray(expected))
    assert not np.array_equal(sharp, plain)


def test_gain_multiplies_and_stops_at_white() -> None:
    picture = Image.open(io.BytesIO(golden_picture())).convert("RGB").resize((64, 64))
    levels = np.asarray(error_level(picture, 80)).astype(int)
    amplified = ElaRecipe(qualities=(80,), gain=12, size_px=64).compute(picture)
    assert np.array_equal(amplified, np.minimum(levels * 12, 255))


def test_stretch_brings_the_largest_difference_to_white() -> None:
    picture = Image.open(io.BytesIO(golden_picture())).convert("RGB").resize((64, 64))
    assert ElaRecipe(qualities=(95,), gain=None, size_px=64).compute(picture).max() == 255


def test_luma_is_the_largest_of_the_three_differences() -> None:
    picture = Image.open(io.BytesIO(golden_picture())).convert("RGB").resize((64, 64))
    colour = ElaRecipe(size_px=64).compute(picture)
    assert np.array_equal(ElaRecipe(size_px=64, luma=True).compute(picture)[:, :, 0], colour.max(axis=2))


def test_pooling_leaves_small_pictures_as_bilinear_does_and_large_ones_nearly() -> None:
    small, large = RANDOM, np.random.default_rng(2).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    bilinear, pooled = ElaRecipe(size_px=32), ElaRecipe(size_px=32, resample="pooled")
    assert np.array_equal(evidence(saved(small), bilinear), evidence(saved(small), pooled))
    difference = evidence(saved(large), bilinear).astype(int) - evidence(saved(large), pooled)
    assert 0 < np.abs(difference).mean() < 5


@given(recipes, st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_a_flat_grey_picture_has_no_error_level(recipe: ElaRecipe, level: int) -> None:
    # From quality 90 up the first coefficient, eight times the level, is rounded by at most 1.5: no level moves.
    qualities = tuple(max(quality, 90) for quality in recipe.qualities)
    flat = saved(np.full((40, 56, 3), level, np.uint8))
    assert not evidence(flat, ElaRecipe(qualities, recipe.gain, recipe.size_px, recipe.resample, recipe.luma)).any()


@given(recipes, st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=40, deadline=None)
def test_maps_have_the_recipes_shape_and_are_the_same_every_time(
    recipe: ElaRecipe, seed: int, height: int, width: int
) -> None:
    picture = saved(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))
    first = evidence(picture, recipe)
    assert first.shape == recipe.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, evidence(picture, recipe))


@given(recipes, st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_map_handed_on_as_png_is_the_map_in_memory(recipe: ElaRecipe, seed: int) -> None:
    original = np.random.default_rng(seed).integers(0, 256, recipe.shape, dtype=np.uint8)
    restored = decode_map(encode_map(original), recipe.shape)
    assert np.array_equal(restored, original)
    assert restored.dtype == np.uint8


@given(recipes)
def test_a_name_stands_for_one_recipe_and_fits_an_identifier(recipe: ElaRecipe) -> None:
    assert parse_recipe(recipe.name) == recipe
    assert recipe.name.isidentifier()
    assert recipe.name == recipe.name.lower()


@pytest.mark.parametrize(
    ("mode", "format"), [("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("CMYK", "TIFF"), ("L", "JPEG"), ("1", "BMP")]
)
def test_every_mode_gives_the_map_of_its_rgb_pixels(mode: str, format: str) -> None:
    encoded = saved(RANDOM, format, mode)
    rgb = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    assert np.array_equal(evidence(encoded, ElaRecipe(size_px=32)), evidence(saved(rgb), ElaRecipe(size_px=32)))


def test_sixteen_bits_give_the_map_of_their_high_bytes() -> None:
    grey = np.random.default_rng(1).integers(0, 65536, (40, 56), dtype=np.uint16)
    encoded = io.BytesIO()
    Image.fromarray(grey).save(encoded, "PNG")
    high = np.stack([(grey >> 8).astype(np.uint8)] * 3, axis=2)
    assert np.array_equal(
        evidence(encoded.getvalue(), ElaRecipe(size_px=32)), evidence(saved(high), ElaRecipe(size_px=32))
    )


def test_orientation_is_part_of_the_recipe() -> None:
    rotated = Image.Exif()
    rotated[0x0112] = 6
    encoded = saved(RANDOM, exif=rotated)
    stored, upright = ElaRecipe(size_px=32), ElaRecipe(size_px=32, upright=True)
    assert np.array_equal(evidence(encoded, stored), evidence(saved(RANDOM), stored))
    assert np.array_equal(evidence(encoded, upright), evidence(saved(np.rot90(RANDOM, -1)), stored))
    assert stored.name != upright.name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ela1",
        "ela2_q90_gain15_224_bilinear",
        "ela1_q90_gain15_224_cubic",
        "ela1_q0_gain15_224_bilinear",
        "ela1_q101_gain15_224_bilinear",
        "ela1_q90_gain0_224_bilinear",
        "ela1_q90_gain256_224_bilinear",
        "ela1_q90_gain15_8_bilinear",
        "ela1_q090_gain15_224_bilinear",
        "ela1_q90_gain15_224_bilinear_extra",
    ],
)
def test_a_name_that_is_none_is_refused_with_one_that_is(name: str) -> None:
    with pytest.raises(InvalidConfig, match="ela1_q90_gain15_224_bilinear"):
        parse_recipe(name)
