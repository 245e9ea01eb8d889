"""What the explanations show."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_image

from forgery.picture import DEFAULT_LIMITS
from forgery.recipes import evidence, parse_recipe
from serving.explain import SIDE_PX, Subject, ela, heatmap, image_info, jpeg_quality, self_matches, spectrum

RECIPE = "ela1_q90_gain15_32_bilinear"


def subject(picture: Image.Image, recipe: str = RECIPE, activation: Any = None, **options: Any) -> Subject:
    encoded = io.BytesIO()
    picture.save(encoded, **{"format": "JPEG", **options})
    found = evidence(encoded.getvalue(), parse_recipe(recipe))
    return Subject(encoded.getvalue(), parse_recipe(recipe), found, activation, DEFAULT_LIMITS)


def pixels(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.effect_noise((700, 500), 60).convert("RGB")


@pytest.mark.parametrize(
    ("recipe", "shape"),
    [
        (RECIPE, (32, 32, 3)),
        ("ela1_q90_gain15_luma_32_box", (32, 32)),
        ("ela1_q75_q90_gain15_luma_32_box", (32, 64)),
    ],
)
def test_evidence_of_any_depth_can_be_looked_at(photo: Image.Image, recipe: str, shape: tuple[int, ...]) -> None:
    one = subject(photo, recipe)
    shown = pixels(ela(one))
    assert shown.shape == shape
    np.testing.assert_array_equal(shown[:, :32], one.evidence if shape[-1] == 3 else one.evidence[:, :, 0])


def test_the_heat_map_tints_only_where_signs_of_forgery_are(photo: Image.Image) -> None:
    activation = np.full((7, 7), 0.5, np.float32)
    activation[:, 4:] = 0.1
    plain = pixels(heatmap(subject(photo, activation=activation)))
    assert max(plain.shape[:2]) == SIDE_PX
    activation[:, :3] = 1.0
    tinted = pixels(heatmap(subject(photo, activation=activation)))
    third = tinted.shape[1] // 3
    np.testing.assert_array_equal(tinted[:, 2 * third :], plain[:, 2 * third :])
    left = tinted[:, : third // 2].astype(int) - plain[:, : third // 2]
    assert left[..., 0].mean() > 40 > 0 > left[..., 2].mean()


def test_the_heat_map_needs_an_activation_map(photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="activation"):
        heatmap(subject(photo))


def test_regions_that_repeat_are_outlined_and_joined() -> None:
    photo = Image.fromarray(load_sample_image("china.jpg"))
    copied = photo.copy()
    copied.paste(photo.crop((400, 180, 500, 280)), (60, 300))
    before, after = (pixels(self_matches(subject(each, quality=95))).astype(int) for each in (photo, copied))
    assert max(after.shape[:2]) == SIDE_PX
    yellow = (np.abs(after - (240, 228, 66)).max(axis=2) < 30) & (np.abs(after - before).max(axis=2) > 40)
    rows, columns = np.nonzero(yellow)
    scale = SIDE_PX / photo.width
    # From one end to the other, and nowhere else.
    assert columns.min() / scale == pytest.approx(60, abs=25)
    assert columns.max() / scale == pytest.approx(500, abs=25)
    assert rows.min() / scale == pytest.approx(180, abs=25)


def test_a_picture_without_repetition_is_shown_as_it_is(photo: Image.Image) -> None:
    one = subject(photo)
    expected = ImageOps.contain(Image.open(io.BytesIO(one.encoded)).convert("RGB"), (SIDE_PX, SIDE_PX))
    np.testing.assert_array_equal(pixels(self_matches(one)), np.asarray(expected))


def test_the_spectrum_shows_a_period_as_two_peaks() -> None:
    columns = np.arange(256)
    wave = np.tile(128 + 90 * np.sin(2 * np.pi * columns / 8), (256, 1)).astype(np.uint8)
    shown = pixels(spectrum(subject(Image.fromarray(wave).convert("RGB"), format="PNG")))
    assert shown.shape == (256, 256)
    row = shown[128].astype(int)
    assert set(np.argsort(row)[-2:]) == {128 - 32, 128 + 32}


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2000, 30)])
def test_any_size_has_all_explanations(size: tuple[int, int]) -> None:
    one = subject(Image.new("RGB", size, "teal"), activation=np.ones((3, 3), np.float32))
    for make in (ela, heatmap, spectrum):
        assert max(pixels(make(one)).shape) <= SIDE_PX
    assert json.loads(image_info(one))["width"] == size[0]


@pytest.mark.parametrize("quality", [1, 5, 30, 49, 50, 51, 75, 90, 92, 95, 99, 100])
def test_the_quality_a_jpeg_was_saved_with_is_found(photo: Image.Image, quality: int) -> None:
    found = json.loads(image_info(subject(photo.crop((0, 0, 64, 64)), quality=quality)))["jpeg_quality"]
    # Two settings can round to one table at the very end of the scale.
    assert found == quality


def test_no_quality_is_claimed_where_there_is_none(photo: Image.Image) -> None:
    assert json.loads(image_info(subject(photo, format="PNG")))["jpeg_quality"] is None
    assert jpeg_quality({0: [1, 2, 3]}) is None
    assert jpeg_quality({}) is None


def test_what_a_file_says_of_itself_is_passed_on_within_bounds(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0131], exif[0x0112] = "Editor " * 100, 6
    facts = json.loads(image_info(subject(photo, exif=exif)))
    assert (facts["format"], facts["width"], facts["height"], facts["orientation"]) == ("JPEG", 700, 500, 6)
    assert facts["software"].startswith("Editor Editor")
    assert len(facts["software"]) <= 200
