"""The predictor's choice of what runs the model."""

import pytest

from forgery.errors import InvalidConfig
from serving.predictor import known_engine


def test_an_unknown_engine_is_told_with_the_known_ones() -> None:
    assert known_engine("litert") == "litert"
    with pytest.raises(InvalidConfig, match="known are tensorflow, litert, auto"):
        known_engine("onnx")
