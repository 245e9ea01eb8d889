"""The networks: uint8 evidence in, one logit out, pooled from a logit map.

The head is a 1x1 convolution to a map of logits. The picture's logit is that map's mean, or with a dense backbone read
from its peak (`forgery.training.dense`). For a linear head the mean is
the same function as pooling first and one dense unit after, so nothing is lost; but each place's share in the verdict
can be read off exactly, where Grad-CAM would only approximate it (class activation maps: Zhou et al., "Learning Deep
Features for Discriminative Localization", CVPR 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from forgery.errors import InvalidConfig
from forgery.recipes import Recipe
from forgery.training.dense import EXACT, LOGIT, cell_features, read_out
from forgery.training.export import LOGIT_MAP

BACKBONE_LAYER = "backbone"
AUTO = "auto"
_CNN_FILTERS = (16, 32, 64, 96)
# Keras's .99 needs hundreds of steps to forget its start; small data sets have some ten an epoch.
_CNN_NORM_MOMENTUM = 0.9


@dataclass(frozen=True)
class Backbone:
    """One kind of feature extractor.

    Attributes:
        build: Recipe and Keras weights (None or `imagenet`) to a model from float maps to features [n, h, w, f].
        scale: Maps 0..255 to what the network was trained on, as `value * scale + offset`.
        offset: See `scale`.
        min_size_px: Smallest height and width it accepts.
        imagenet: Keras publishes ImageNet weights for it, on three channels.
        dense: Its map is a verdict for each cell, learnt from masks, and its peak is the picture's; the map has the
            evidence's own height and width, which are multiples of 4.
    """

    build: Callable[[Recipe, str | None], keras.Model]
    scale: float
    offset: float
    min_size_px: int
    imagenet: bool = True
    dense: bool = False


def _cnn(recipe: Recipe, weights: str | None) -> keras.Model:
    """Four blocks of convolution, batch norm, ReLU and pooling: about 90,000 weights."""
    del weights  # there are none to have
    inputs = keras.Input(recipe.shape)
    features = inputs
    for filters in _CNN_FILTERS:
        features = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(features)
        features = keras.layers.BatchNormalization(momentum=_CNN_NORM_MOMENTUM)(features)
        features = keras.layers.ReLU()(features)
        features = keras.layers.MaxPooling2D()(features)
    return keras.Model(inputs, features)


def _mobilenet_v2(recipe: Recipe, weights: str | None) -> keras.Model:
    return keras.applications.MobileNetV2(weights=weights, include_top=False, input_shape=_three_channels(recipe))


def _efficientnet(recipe: Recipe, weights: str | None) -> keras.Model:
    """EfficientNetV2-B0, with its own normalisation of 0..255 as its first layers."""
    return keras.applications.EfficientNetV2B0(weights=weights, include_top=False, input_shape=_three_channels(recipe))


def _xception(recipe: Recipe, weights: str | None) -> keras.Model:
    return keras.applications.Xception(weights=weights, include_top=False, input_shape=_three_channels(recipe))


def _three_channels(recipe: Recipe) -> tuple[int, int, int]:
    height, width, _ = recipe.shape
    return height, width, 3


BACKBONES = {
    "cnn": Backbone(_cnn, 1 / 32, 0.0, 16, imagenet=False),
    "mobilenet_v2": Backbone(_mobilenet_v2, 1 / 127.5, -1.0, 32),
    "efficientnet": Backbone(_efficientnet, 1.0, 0.0, 32),
    "xception": Backbone(_xception, 1 / 127.5, -1.0, 71),
    # Undoes the coding of `blocks` recipes: 128 is the picture's mean, 32 a standard deviation.
    "blocks": Backbone(cell_features, 1 / 32, -4.0, 8, imagenet=False, dense=True),
}


def choose_backbone(name: str, recipe: Recipe) -> str:
    """The backbone that `auto` stands for: `blocks` for recipes of cells, `cnn` for others; any other name itself."""
    if name != AUTO:
        return name
    return "blocks" if recipe.dense else "cnn"


def find_backbone(name: str) -> Backbone:
    """The backbone of that name; InvalidConfig lists the known ones."""
    if name not in BACKBONES:
        raise InvalidConfig(f"unknown backbone {name!r}; known: {', '.join(BACKBONES)}")
    return BACKBONES[name]


def build_network(
    name: str, recipe: Recipe, dropout: float = 0.0, keras_weights: str | None = None, frozen_norm: bool = False
) -> keras.Model:
    """Build an uncompiled network with random weights, or with those Keras publishes.

    Args:
        name: One of `BACKBONES`.
        recipe: Gives the input's name and shape [H, W, C]. A pretrained backbone reads three channels; for other
            counts a 1x1 convolution in front of it learns to mix them.
        dropout: Part of the feature channels dropped in training, in [0, 1).
        keras_weights: None or `imagenet`; the latter needs the network or Keras's cache.
        frozen_norm: Batch norm keeps its stored statistics for ever, as pretrained backbones need it on small
            batches and where it was folded into the convolutions; also turns off dropout inside the backbone.

    Returns:
        uint8 [n, H, W, C] to logits [n, 1]; its layer `backbone` is the feature extractor, what the logit is pooled
        from is `forgery.training.dense.logit_map`.

    Raises:
        InvalidConfig: Unknown backbone, or the recipe's maps are too small for it.
    """
    backbone = find_backbone(name)
    _check_size(name, backbone, recipe)
    inputs = keras.Input(recipe.shape, dtype="uint8", name=recipe.name)
    scaled = keras.layers.Rescaling(backbone.scale, backbone.offset, name="scaling", dtype=EXACT)(inputs)
    extractor = _extractor(backbone, recipe, keras_weights)
    if extractor.input_shape[-1] != recipe.shape[-1]:
        scaled = keras.layers.Conv2D(extractor.input_shape[-1], 1, name="channel_adapter")(scaled)
    features = extractor(scaled, training=False) if frozen_norm else extractor(scaled)
    features = keras.layers.SpatialDropout2D(dropout, name="dropout")(features)
    if backbone.dense:
        logit = read_out(scaled, features, recipe)
    else:
        logit_map = keras.layers.Conv2D(1, 1, name=LOGIT_MAP, dtype=EXACT)(features)
        logit = keras.layers.GlobalAveragePooling2D(name=LOGIT, dtype=EXACT)(logit_map)
    network = keras.Model(inputs, logit, name=name)
    if frozen_norm:
        freeze_norm(network)
    return network


def _extractor(backbone: Backbone, recipe: Recipe, keras_weights: str | None) -> keras.Model:
    extractor = backbone.build(recipe, keras_weights)
    extractor.name = BACKBONE_LAYER
    return extractor


def _check_size(name: str, backbone: Backbone, recipe: Recipe) -> None:
    height, width, _ = recipe.shape
    if min(height, width) < backbone.min_size_px:
        raise InvalidConfig(
            f"backbone {name} needs maps of at least {backbone.min_size_px} px, "
            f"{recipe.name} gives {width}x{height}: choose a larger recipe or backbone=cnn"
        )
    if backbone.dense and (height % 4 or width % 4):
        raise InvalidConfig(
            f"backbone {name} needs maps whose sides are multiples of 4, {recipe.name} gives {width}x{height}"
        )


def freeze_norm(network: keras.Model) -> None:
    """Make every batch norm of the backbone keep its statistics, scale and shift."""
    for layer in network.get_layer(BACKBONE_LAYER).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def has_frozen_norm(network: keras.Model) -> bool:
    """Whether the network was built with `frozen_norm`; saved with it in `model.keras`."""
    layers = network.get_layer(BACKBONE_LAYER).layers
    return any(isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable for layer in layers)
