"""Fresh forgeries from photographs that no detector has seen."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.detection.outside import AUTHENTIC, Cut, make_cuts


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> list[Cut]:
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(data, name)()).resize((640, 480)).save(folder / f"{name}.png")
    return make_cuts(folder, 4)


def test_half_of_each_photographs_cuts_are_edited(cuts: list[Cut]) -> None:
    for photograph in (0, 1):
        edited = [cut.kind != AUTHENTIC for cut in cuts if cut.photograph == photograph]
        assert edited == [False, True, False, True]


def test_masks_mark_edits_and_nothing_else(cuts: list[Cut]) -> None:
    for cut in cuts:
        assert cut.mask.shape == (cut.picture.height, cut.picture.width)
        assert cut.mask.any() == (cut.kind != AUTHENTIC)
        assert set(np.unique(cut.mask)) <= {0, 255}
