"""What the detection protocol measures on: views with one history, crops without a forged pixel, fresh forgeries."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.detection.controls import control_crop
from benchmarks.detection.forging import forge
from benchmarks.detection.measure import at_common_threshold, within_picture
from benchmarks.detection.report import BEGIN, END, system_result
from benchmarks.detection.systems import DEFAULT, SYSTEMS
from benchmarks.detection.views import HARMONISED, RAW, SHARED, Saves, last_saves
from benchmarks.page import with_tables
from forgery.config import RunConfig
from forgery.histories import MATCHED


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((192, 128), Image.Resampling.LANCZOS)


def png(mask: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(mask).save(encoded, "PNG")
    return encoded.getvalue()


def test_the_default_of_the_protocol_is_what_ships() -> None:
    shipped, config = SYSTEMS[DEFAULT], RunConfig()
    assert (shipped.recipe, shipped.options) == (config.recipe, config.training)
    assert system_result(shipped, [], {}).trained_on == config.variants


def test_saves_come_from_other_folds_alone() -> None:
    saves = Saves()
    for fold in range(5):
        saves.by_fold[fold].append(f"fold {fold}")  # type: ignore[arg-type]  # any object will do
    assert saves.outside(2) == ["fold 0", "fold 1", "fold 3", "fold 4"]


def test_views_end_in_the_same_saves(photograph: Image.Image) -> None:
    assert last_saves(RAW, photograph) is photograph
    assert np.array_equal(last_saves(HARMONISED, photograph), last_saves(MATCHED, photograph))
    assert last_saves(SHARED, photograph).size == (96, 64)


@pytest.mark.parametrize("seed", range(5))
def test_a_control_crop_holds_no_forged_pixel(seed: int) -> None:
    mask = np.zeros((128, 192), np.uint8)
    mask[40:90, 20:100] = 255
    # The picture is its own mask, so a forged pixel would show in the crop.
    crop = control_crop(Image.fromarray(mask).convert("RGB"), png(mask), seed)
    assert crop is not None
    assert crop.size == (77, 51)
    assert not np.asarray(crop).any()


def test_no_control_crop_where_the_mask_leaves_no_room(photograph: Image.Image) -> None:
    mask = np.zeros((128, 192), np.uint8)
    mask[::30, ::30] = 255
    assert control_crop(photograph, png(mask), 0) is None


def test_forgeries_differ_inside_their_masks_alone(photograph: Image.Image) -> None:
    host = np.asarray(photograph)
    donor = np.asarray(Image.fromarray(data.chelsea()))
    kinds = set()
    for seed in range(40):
        edited, mask, kind = forge(host, donor, np.random.default_rng(seed))
        kinds.add(kind)
        assert edited.shape == host.shape
        assert edited.dtype == mask.dtype == np.uint8
        changed = np.abs(edited.astype(int) - host).max(axis=2) > 0
        assert 0.001 < mask.mean() < 0.6
        # Edges are blurred by up to 2.5 px, of which four deviations can be seen.
        near = np.asarray(Image.fromarray(mask * 255).resize((192, 128))) > 0
        for _ in range(11):
            near = near | np.roll(near, 1, 0) | np.roll(near, -1, 0) | np.roll(near, 1, 1) | np.roll(near, -1, 1)
        assert not (changed & ~near).any()
        assert changed[mask > 0].mean() > 0.1
    assert kinds == {"splice", "copy-move", "inpainting", "retouching"}


def test_the_same_seed_forges_the_same(photograph: Image.Image) -> None:
    host = np.asarray(photograph)
    first, second = (forge(host, host[::-1], np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[2] == second[2]


def test_a_map_of_the_mask_is_perfect_within_its_picture() -> None:
    mask = np.zeros((96, 144), np.uint8)
    mask[24:60, 30:90] = 255
    activation = (mask[::2, ::3] / 255).astype(np.float32)
    assert within_picture(activation, mask) == pytest.approx(1, abs=0.01)
    assert within_picture(1 - activation, mask) == pytest.approx(0, abs=0.01)
    assert np.isnan(within_picture(activation, np.zeros_like(mask)))


def test_the_threshold_becomes_one_half() -> None:
    found = at_common_threshold(np.array([0.2, 0.7, 0.71, 0.9], np.float32), 0.7)
    assert found[0] < 0.5
    assert found[1] == pytest.approx(0.5)
    assert 0.5 < found[2] < found[3] < 1


def test_tables_replace_what_stood_between_their_comments() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_tables(page, "new\n", BEGIN, END) == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="needs the lines"):
        with_tables("# Title\n", "new", BEGIN, END)
