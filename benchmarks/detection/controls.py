"""The control crops of the protocol: those of evaluation, at a place that depends on the picture alone."""

import numpy as np
from PIL import Image

from benchmarks.detection.pictures import SEED
from forgery.evaluation import controls


def control_crop(picture: Image.Image, mask: bytes | None, index: int) -> Image.Image | None:
    """`forgery.evaluation.controls.control_crop`; `index` is the picture's and seeds the place."""
    return controls.control_crop(picture, mask, np.random.default_rng([SEED, index, 1]))
