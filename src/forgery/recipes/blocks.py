"""Evidences on one grid of cells: what stands out within the picture, what repeats in it, and what it shows.

The picture is divided into as many cells whatever its size, and everything is measured at native resolution before it
is pooled. Each measure is standardised within the picture, so what the whole file went through (how often it was
saved, by what program) falls out, and only what sets one place apart from the others is left.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgery.errors import InvalidConfig
from forgery.recipes.base import Evidence, Recipe
from forgery.recipes.content import CHANNELS, content_features
from forgery.recipes.errorlevels import error_levels
from forgery.recipes.grain import grain_levels
from forgery.recipes.quantisation import quantisation_levels, quantisation_parts
from forgery.recipes.selfmatch import self_matches

Floats = NDArray[np.float32]

_NAME = re.compile(r"blocks2_(\d{1,3})(_content)?(_nomatch)?(_upright)?")
# Error levels, requantisation and grain; parts of coefficients and block edges.
_LEVELS, _PARTS = 53, 10
# Smaller pictures are continued by their border: two of the grids need a whole block.
_LEAST_SIDE_PX = 16
# Mean of differences in grey levels below which rounding decides.
_FLOOR = 0.05
# Codes 0..255 hold +-4 standard deviations.
_CODES_PER_DEVIATION = 32.0


@dataclass(frozen=True)
class BlocksRecipe(Recipe):
    """Compression, grain and self-matches, pooled into cells.

    Channels, in order: the levels of `errorlevels`, `quantisation` and `grain`, each as the logarithm of the cell's
    mean, and the parts of `quantisation`, all of them standardised within the picture, 128 + 32 deviations. Then mean
    luma; with `content` the features of `forgery.recipes.content`, standardised likewise; and without `nomatch` the
    agreement and support of self-matches (`forgery.recipes.selfmatch`).

    Attributes:
        cells: Cells along each side, 8-256, whatever the picture's shape.
        matches: Look for repeated regions.
        upright: Apply the EXIF orientation first.
        content: What the picture shows too; needs the package of its weights.
    """

    prefix: ClassVar[str] = "blocks2"
    dense: ClassVar[bool] = True
    tolerance: ClassVar[int] = 1

    cells: int = 48
    matches: bool = True
    upright: bool = False
    content: bool = False

    def __post_init__(self) -> None:
        """Reject values without meaning; InvalidConfig says what is accepted."""
        if not 8 <= self.cells <= 256:
            raise InvalidConfig(f"cells are 8 to 256 along a side; got {self.cells}")

    @property
    def name(self) -> str:
        """E.g. `blocks2_48`."""
        parts = "_content" * self.content, "_nomatch" * (not self.matches), "_upright" * self.upright
        return f"{self.prefix}_{self.cells}{''.join(parts)}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells, cells, channels."""
        return self.cells, self.cells, _LEVELS + _PARTS + 1 + CHANNELS * self.content + 2 * self.matches

    @property
    def summarised(self) -> tuple[int, ...]:
        """Those of self-matches."""
        channels = self.shape[2]
        return (channels - 2, channels - 1) if self.matches else ()

    @property
    def content_channels(self) -> range:
        """Those between mean luma and self-matches, if `content`."""
        first = _LEVELS + _PARTS + 1
        return range(first, first + CHANNELS * self.content)

    @classmethod
    def parse(cls, name: str) -> Self:
        """The recipe named so; InvalidConfig shows the accepted form."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise InvalidConfig(
                f"recipe {name!r} is not of the form blocks2_<cells>[_content][_nomatch][_upright], e.g. blocks2_48"
            )
        cells, content, nomatch, upright = match.groups()
        return cls(int(cells), matches=not nomatch, upright=bool(upright), content=bool(content))

    def compute(self, picture: Image.Image) -> Evidence:
        """Maps of all channels, uint8 [cells, cells, channels]."""
        ycc = _extended(np.asarray(picture.convert("YCbCr")))
        luma = np.ascontiguousarray(ycc[:, :, 0])
        # Pooled by `map`, which holds none of the large arrays while the next is made.
        levels, parts = map(self._pooled, _levels(ycc, luma)), map(self._pooled, quantisation_parts(luma))
        channels = [_standardised(np.log(level + _FLOOR)) for level in levels]
        channels += [_standardised(part) for part in parts]
        channels.append(self._pooled(luma))
        if self.content:
            features = content_features(np.asarray(picture.convert("RGB")))
            channels += [_standardised(self._resized(each)) for each in features]
        if self.matches:
            found = self_matches(luma[: picture.height, : picture.width])
            channels += [255 * self._pooled(found.agreement), 255 * self._pooled(found.support)]
        return np.stack(channels, axis=2).clip(0, 255).round().astype(np.uint8)

    def _pooled(self, values: NDArray[np.uint8] | NDArray[np.uint16] | Floats) -> Floats:
        """Means over the cells, exact also where cells end within pixels."""
        # Down first and then across takes a quarter of the time of both at once, which moreover would sample instead of
        # average where one side has fewer pixels than cells.
        rows = cv2.resize(
            values.astype(np.float32, copy=False), (values.shape[1], self.cells), interpolation=cv2.INTER_AREA
        )
        return np.asarray(cv2.resize(rows, (self.cells, self.cells), interpolation=cv2.INTER_AREA), np.float32)

    def _resized(self, feature: Floats) -> Floats:
        """Means over the cells, or where cells are finer what lies between: borders of areas would look like edges."""
        if len(feature) >= self.cells:
            return self._pooled(feature)
        return np.asarray(cv2.resize(feature, (self.cells, self.cells), interpolation=cv2.INTER_LINEAR), np.float32)


def _levels(
    ycc: NDArray[np.uint8], luma: NDArray[np.uint8]
) -> Iterator[NDArray[np.uint8] | NDArray[np.uint16] | Floats]:
    yield from error_levels(ycc, luma)
    yield from quantisation_levels(luma)
    yield from grain_levels(ycc, luma)


def _extended(ycc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    below, right = (max(0, _LEAST_SIDE_PX - side) for side in ycc.shape[:2])
    return np.pad(ycc, ((0, below), (0, right), (0, 0)), mode="edge") if below or right else ycc


def _standardised(values: Floats) -> Floats:
    deviation = float(values.std())
    # A flat picture has no deviation: nothing stands out.
    codes = (values - values.mean()) / max(deviation, 1e-3) * _CODES_PER_DEVIATION + 128
    return np.asarray(codes, np.float32)
