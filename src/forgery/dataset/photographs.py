"""The photographs that scikit-image, scikit-learn and matplotlib ship, cut into regions that do not overlap."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.errors import SourceError

# Regions are about so wide and high before they are enlarged; smaller ones show too little, larger ones are too few.
_REGION_PX: Final = 240
# Only from these the corners are cut off, which are black.
_CENTRE_PX: Final[Mapping[str, int]] = {"retina": 1000}


@dataclass(frozen=True)
class Region:
    """A part of one photograph; `name` is the photograph with row and column."""

    photograph: str
    name: str
    pixels: Image.Image


def _skimage(name: str) -> Callable[[], Any]:
    return lambda: getattr(importlib.import_module("skimage.data"), name)()


def _sklearn(name: str) -> Callable[[], Any]:
    return lambda: importlib.import_module("sklearn.datasets").load_sample_image(name)


def _grace_hopper() -> Image.Image:
    path = importlib.import_module("matplotlib.cbook").get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(path) as image:
        return image.convert("RGB")


# Of the stereo pair one half: both show the same scene.
_PHOTOGRAPHS: Final[Mapping[str, Callable[[], Any]]] = {
    "astronaut": _skimage("astronaut"),
    "brick": _skimage("brick"),
    "camera": _skimage("camera"),
    "chelsea": _skimage("chelsea"),
    "china": _sklearn("china.jpg"),
    "coffee": _skimage("coffee"),
    "flower": _sklearn("flower.jpg"),
    "grace_hopper": _grace_hopper,
    "grass": _skimage("grass"),
    "gravel": _skimage("gravel"),
    "hubble": _skimage("hubble_deep_field"),
    "ihc": _skimage("immunohistochemistry"),
    "moon": _skimage("moon"),
    "motorcycle": lambda: importlib.import_module("skimage.data").stereo_motorcycle()[0],
    "retina": _skimage("retina"),
    "rocket": _skimage("rocket"),
}


def regions() -> list[Region]:
    """Every region of every photograph, in a fixed order.

    Raises:
        SourceError: A package that ships some of them is not installed.
    """
    found = []
    for name, load in _PHOTOGRAPHS.items():
        try:
            pixels = np.asarray(load())
        except ImportError as error:
            raise SourceError(
                f"demo: pictures are cut from photographs that {error.name} ships; pip install 'forgery[cli]' has them"
            ) from error
        found += _cut(name, pixels)
    return found


def _cut(name: str, pixels: NDArray[np.uint8]) -> list[Region]:
    picture = Image.fromarray(pixels).convert("RGB")
    if side := _CENTRE_PX.get(name):
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    columns, rows = (max(1, round(length / _REGION_PX)) for length in picture.size)
    width, height = picture.width // columns, picture.height // rows
    return [
        Region(
            name,
            f"{name}-{row}-{column}",
            picture.crop((column * width, row * height, (column + 1) * width, (row + 1) * height)),
        )
        for row in range(rows)
        for column in range(columns)
    ]
