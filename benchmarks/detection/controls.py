"""The control crops of the protocol: those of evaluation, at a place that depends on the picture alone."""

import numpy as np
from PIL import Image

from benchmarks.detection.pictures import SEED
from forgery.evaluation import controls
from forgery.evaluation.maps import read_mask


def control_crop(picture: Image.Image, mask: bytes | None, index: int) -> Image.Image | None:
    """As `forgery.evaluation.controls.control_crop`; `mask` is a PNG, `index` is the picture's and seeds the place."""
    grey = None if mask is None else read_mask(mask)
    return controls.control_crop(picture, grey, np.random.default_rng([SEED, index, 1]))
