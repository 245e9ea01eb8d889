"""What the servers need of the library's heavy parts, so that they can be built and tested without them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Scorer(Protocol):
    """`forgery.engine.Engine`, as the predictor uses it."""

    def predict(self, maps: NDArray[np.uint8], outputs: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """`probability_forged` [n] and `activation_map` [n, h, w] for evidence [n, H, W, C]."""
