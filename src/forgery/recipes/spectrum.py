"""The spectrum of a picture's centre: generators that enlarge their pictures leave peaks in it."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.recipes.base import Evidence, Recipe

_NAME = re.compile(r"fft1_(\d{1,4})(_upright)?")


@dataclass(frozen=True)
class SpectrumRecipe(Recipe):
    """Logarithm of the magnitudes of the discrete Fourier transform of luma, the mean in the middle.

    It is taken at native resolution from a square in the picture's middle under a Hann window; smaller pictures are
    mirrored at their border. Levels: 255 is the largest magnitude there can be.

    Attributes:
        size_px: Height and width of the square, 16-1024.
        upright: Apply the EXIF orientation first.
    """

    prefix: ClassVar[str] = "fft1"
    tolerance: ClassVar[int] = 1

    size_px: int = 224
    upright: bool = False

    def __post_init__(self) -> None:
        """Reject values without meaning; InvalidConfig says what is accepted."""
        if not 16 <= self.size_px <= 1024:
            raise InvalidConfig(f"size is 16 to 1024 pixels, e.g. fft1_224; got {self.size_px}")

    @property
    def name(self) -> str:
        """E.g. `fft1_224`."""
        return f"{self.prefix}_{self.size_px}{'_upright' * self.upright}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, 1."""
        return self.size_px, self.size_px, 1

    @classmethod
    def parse(cls, name: str) -> Self:
        """The recipe named so; InvalidConfig shows the accepted form."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidConfig(f"recipe {name!r} is not of the form fft1_<size>[_upright], e.g. fft1_224")
        return cls(int(match[1]), match[2] is not None)

    def compute(self, picture: Image.Image) -> Evidence:
        """The spectrum, uint8 [size, size, 1]."""
        window = np.hanning(self.size_px)
        square = self._middle(np.asarray(picture.convert("L"), np.float64)) * np.outer(window, window)
        magnitudes = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(square))))
        levels = 255 * magnitudes / np.log1p(255 * window.sum() ** 2)
        return np.asarray(levels.round().clip(0, 255), np.uint8)[:, :, None]

    def _middle(self, luma: NDArray[np.float64]) -> NDArray[np.float64]:
        missing = [max(0, self.size_px - side) for side in luma.shape]
        around = [(each // 2, each - each // 2) for each in missing]
        whole = np.pad(luma, around, mode="symmetric")
        top, left = ((side - self.size_px) // 2 for side in whole.shape)
        return whole[top : top + self.size_px, left : left + self.size_px]
