import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from forgery.evaluation.maps import centre_box, measure_map, plain_ela, read_mask, within_picture
from forgery.evaluation.robustness import DAMAGES, Damage


def corner_mask() -> np.ndarray:
    mask = np.zeros((96, 144), np.uint8)
    mask[:48, :72] = 255
    return mask


def test_a_map_of_the_mask_is_perfect() -> None:
    mask = corner_mask()
    figures = measure_map((mask / 255).astype(np.float32), mask, shown=True)
    assert figures == pytest.approx({"auc": 1, "f1": 1, "iou": 1, "shown_f1": 1, "shown_iou": 1}, abs=0.02)


def test_each_method_marks_as_much_as_the_mask_covers() -> None:
    mask = corner_mask()
    # A quarter in the middle covers a quarter of a quarter in the corner.
    assert measure_map(centre_box(), mask) == pytest.approx({"auc": 0.5, "f1": 0.25, "iou": 1 / 7}, abs=0.1)
    assert "shown_f1" not in measure_map(centre_box(), mask)


def test_a_flat_map_shows_all_or_nothing() -> None:
    mask = corner_mask()
    below, above = (measure_map(np.full((6, 6), level, np.float32), mask, shown=True) for level in (0.4, 0.5))
    assert (below["shown_f1"], below["shown_iou"]) == (0, 0)
    assert (above["shown_f1"], above["shown_iou"]) == (pytest.approx(0.4), pytest.approx(0.25))
    assert below["auc"] == 0.5


def test_a_mask_that_marks_nothing_gives_no_figure() -> None:
    figures = measure_map(centre_box(), np.zeros((96, 144), np.uint8), shown=True)
    assert np.isnan(list(figures.values())).all()
    assert np.isnan(within_picture(centre_box(), np.full((96, 144), 255, np.uint8)))


def test_plain_ela_is_strong_where_a_patch_was_never_saved() -> None:
    random = np.random.default_rng(0)
    saved = io.BytesIO()
    Image.fromarray(data.astronaut()[:256, :384]).save(saved, "JPEG", quality=90)
    picture = Image.open(saved).convert("RGB")
    picture.paste(Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)), (0, 0))
    levels = plain_ela(picture)
    assert levels.shape == (48, 48)
    assert levels[:10, :6].mean() > 3 * levels[20:, 20:].mean()


def test_a_mask_turns_with_its_picture() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    file, mask = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (144, 96)).save(file, "JPEG", exif=turned)
    Image.fromarray(corner_mask()).save(mask, "PNG")
    assert read_mask(mask.getvalue()).size == (144, 96)
    upright = read_mask(mask.getvalue(), file.getvalue())
    assert upright.size == (96, 144)
    assert upright.getpixel((95, 0)) == 255
    assert upright.getpixel((0, 0)) == 0


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_damages_keep_a_picture_and_repeat(damage: Damage) -> None:
    picture = Image.fromarray(data.astronaut()[:64, :96])
    first, second = (damage.apply(picture, np.random.default_rng(1)) for _ in range(2))
    assert first.mode == "RGB"
    side = damage.level / 100 if damage.kind == "resize" else 1
    assert first.size == (round(96 * side), round(64 * side))
    assert np.array_equal(first, second)
    assert first.size != picture.size or not np.array_equal(first, picture)


def test_damages_grow_along_each_curve() -> None:
    picture = Image.fromarray(data.astronaut()[:64, :96])
    for kind in ("jpeg", "blur", "noise"):
        distances = [
            np.abs(np.asarray(each.apply(picture, np.random.default_rng(1)), int) - np.asarray(picture, int)).mean()
            for each in DAMAGES
            if each.kind == kind
        ]
        assert distances == sorted(distances)
