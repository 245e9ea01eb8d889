import numpy as np
import pytest
from PIL import Image
from skimage import data

from forgery.histories import Save, saved
from forgery.views import HARMONISED, MATCHED, RAW, SHARED, VIEWS, in_view


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(data.astronaut()).resize((192, 128), Image.Resampling.LANCZOS)


def test_raw_is_the_picture_itself(photograph: Image.Image) -> None:
    assert in_view(RAW, photograph) is photograph


def test_views_end_in_the_same_saves(photograph: Image.Image) -> None:
    assert np.array_equal(in_view(HARMONISED, photograph), in_view(MATCHED, photograph))
    assert np.array_equal(in_view(HARMONISED, photograph), saved(photograph, quality=90))
    assert in_view(SHARED, photograph).size == (96, 64)


def test_a_first_save_counts_in_matched_alone(photograph: Image.Image) -> None:
    first = Save({0: [40] * 64, 1: [60] * 64}, subsampling=2)
    for view in VIEWS:
        same = np.array_equal(in_view(view, photograph, first), in_view(view, photograph))
        assert same is (view != MATCHED)
    assert np.array_equal(in_view(MATCHED, photograph, first), saved(first.apply(photograph), quality=90))
