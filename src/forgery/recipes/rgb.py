"""The picture itself, resized: for data whose forgeries show in what is depicted, such as generated faces."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.recipes.base import Evidence, Recipe

_NAME = re.compile(r"rgb1_(\d{1,4})(_upright)?")


@dataclass(frozen=True)
class RgbRecipe(Recipe):
    """Red, green and blue, stretched to a square. Resizing removes most of what compression and cameras left.

    Attributes:
        size_px: Height and width, 16-1024.
        upright: Apply the EXIF orientation first.
    """

    prefix: ClassVar[str] = "rgb1"

    size_px: int = 224
    upright: bool = True

    def __post_init__(self) -> None:
        """Reject values without meaning; InvalidConfig says what is accepted."""
        if not 16 <= self.size_px <= 1024:
            raise InvalidConfig(f"size is 16 to 1024 pixels, e.g. rgb1_224_upright; got {self.size_px}")

    @property
    def name(self) -> str:
        """E.g. `rgb1_224_upright`."""
        return f"{self.prefix}_{self.size_px}{'_upright' * self.upright}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, 3."""
        return self.size_px, self.size_px, 3

    @classmethod
    def parse(cls, name: str) -> Self:
        """The recipe named so; InvalidConfig shows the accepted form."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidConfig(f"recipe {name!r} is not of the form rgb1_<size>[_upright], e.g. rgb1_224_upright")
        return cls(int(match[1]), match[2] is not None)

    def compute(self, picture: Image.Image) -> Evidence:
        """The picture, uint8 [size, size, 3]."""
        size = self.size_px, self.size_px
        return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR))
