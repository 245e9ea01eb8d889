"""What every kind of recipe offers."""

import hashlib
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Evidence = NDArray[np.uint8]


class Recipe(ABC):
    """A frozen value that holds everything that can change a pixel of the evidence.

    A subclass is a frozen dataclass whose defaults are its recommended settings. Its `name` is identifier-safe
    (`[a-z0-9_]+`) and names the model's input tensor, so a model can be fed by no other recipe.
    """

    prefix: ClassVar[str]
    # Whether its cells are worth a verdict each: training then keeps the masks of forged pictures beside the maps.
    dense: ClassVar[bool] = False
    # Levels by which single values may differ between processors, which add floats in another order.
    tolerance: ClassVar[int] = 0
    upright: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """The canonical text form; equal recipes have equal names."""

    @property
    def summarised(self) -> tuple[int, ...]:
        """Channels whose maximum and mean speak of the whole picture; a dense network's verdict reads them too."""
        return ()

    @property
    def content_channels(self) -> range:
        """Channels of what is shown instead of how it was saved; a dense network judges without them besides."""
        return range(0)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of the evidence."""

    @classmethod
    @abstractmethod
    def parse(cls, name: str) -> Self:
        """The recipe with that name; raises InvalidConfig and shows the accepted form."""

    @abstractmethod
    def compute(self, picture: Image.Image) -> Evidence:
        """Evidence of a decoded RGB picture: uint8, shape `self.shape`, the same bytes on every call."""

    @property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of the name's SHA-256."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]
