"""A dense network for evidence in cells: a verdict for every cell, and the picture's read from the strongest of them.

An edit covers a small part of a picture, so the mean over its map would drown it. The picture's logit is the log of
the mean of the exponentials of the cells' logits, up to a learned scale and offset: a few strong cells decide, and
how many they are still counts. A few units correct it by what the recipe says of the picture as a whole.

Where a recipe holds what the picture shows, there are two members, one that reads it and one that does not; each learns
by a loss of its own, and what is served is the mean of their logits. One network with all channels learns the training
pictures by heart, and half of what it gains on strongly saved pictures it loses on others (docs/detection.md).
"""

import math

import keras
from keras import layers, ops

from forgery.recipes import Recipe
from forgery.training.export import LOGIT_MAP

LOGIT = "logit"

# Names of the layers with the logit and the map of two members: without content, and with it.
_MEMBERS = (("logit_plain", "logit_map_plain"), ("logit_content", "logit_map_content"))

# Of layers that stay so when the rest of a network is trained in half precision.
EXACT = "float32"

# Widths of the three resolutions; wide enough for CASIA v1 alone, small enough for minutes on one core.
_FILTERS = (32, 32, 64)
# Keras's .99 needs hundreds of steps to forget its start; an epoch has some thirty.
_NORM_MOMENTUM = 0.9
# Inside a mask a cell weighs more: edits cover a tenth of a picture, and authentic pictures have no such cell.
_INSIDE_WEIGHT = 3.0
# Of the cells' loss against that of the picture's verdict.
CELLS_LOSS_WEIGHT = 3.0
_VERDICT_UNITS, _VERDICT_DROPOUT = 16, 0.1
# Part of the content channels that an example goes without in training.
_CONTENT_DROPOUT = 0.3
UNKNOWN = -1.0  # in masks: nobody knows whether the cell was edited
# Label of a forgery made for training (`forgery.pasting`). The member without content learns nothing from it: it cannot
# see what belongs where, and copies that do not match themselves would teach it to trust matches less.
MADE = 2.0
# The offset below makes so many cells with logit 0 one picture with logit 0.
_CELLS_OF_AN_EDIT = 20.0


@keras.saving.register_keras_serializable("forgery")
class PeakPooling(layers.Layer):  # type: ignore[misc]  # Keras carries no types
    """Logits of a map [n, h, w, 1] to one logit a picture [n, 1]: `scale * log(sum(exp(map)) / 20) + offset`."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Two weights, started at 1 and 0."""
        self._scale = self.add_weight(name="scale", initializer="ones")
        self._offset = self.add_weight(name="offset", initializer="zeros")

    def call(self, logit_map: keras.KerasTensor) -> keras.KerasTensor:
        """The picture's logit."""
        peak = ops.logsumexp(logit_map, axis=(1, 2)) - math.log(_CELLS_OF_AN_EDIT)
        return self._scale * peak + self._offset


def cell_features(recipe: Recipe, weights: str | None) -> keras.Model:
    """Float [n, h, w, c] to features [n, h, w, 32], of two members [n, h, w, 64], first those without content.

    Height and width must be multiples of 4.
    """
    del weights  # there are none to have
    inputs, content = keras.Input(recipe.shape), recipe.content_channels
    if not content:
        return keras.Model(inputs, _u_net(inputs))
    before, after = inputs[..., : content.start], inputs[..., content.stop :]
    shown = layers.SpatialDropout2D(_CONTENT_DROPOUT)(inputs[..., content.start : content.stop])
    members = [_u_net(layers.Concatenate()(read)) for read in ([before, after], [before, shown, after])]
    return keras.Model(inputs, layers.Concatenate()(members))


def _u_net(inputs: keras.KerasTensor) -> keras.KerasTensor:
    """U-Net of three resolutions (Ronneberger et al. 2015).

    At full resolution it only mixes channels, which keeps it cheap; neighbours meet at half and quarter resolution.
    Its coarsest level sees the whole picture through a global mean, since what stands out depends on all the rest.
    """
    height, width = inputs.shape[1:3]
    fine = _convolved(inputs, _FILTERS[0], size=1)
    middle = _convolved(_convolved(layers.AveragePooling2D(2)(fine), _FILTERS[1]), _FILTERS[1])
    coarse = _convolved(layers.AveragePooling2D(2)(middle), _FILTERS[2])
    coarse = _convolved(coarse, _FILTERS[2], dilation=2)
    whole = layers.GlobalAveragePooling2D(keepdims=True)(coarse)
    whole = layers.UpSampling2D((height // 4, width // 4))(whole)
    coarse = _convolved(layers.Concatenate()([coarse, whole]), _FILTERS[2], size=1)
    middle = _convolved(layers.Concatenate()([middle, _enlarged(coarse)]), _FILTERS[1], size=1)
    middle = _convolved(middle, _FILTERS[1])
    return _convolved(layers.Concatenate()([fine, _enlarged(middle)]), _FILTERS[0], size=1)


def read_out(evidence: keras.KerasTensor, features: keras.KerasTensor, recipe: Recipe) -> keras.KerasTensor:
    """The picture's logit [n, 1], by a layer named `logit`.

    Args:
        evidence: Scaled, [n, h, w, c].
        features: Of `cell_features`, dropped out as they are to be.
        recipe: Of the evidence.
    """
    if not recipe.content_channels:
        return _member(LOGIT, LOGIT_MAP, evidence, features, recipe.summarised)
    halves = features[..., : _FILTERS[0]], features[..., _FILTERS[0] :]
    logits = [_member(*names, evidence, half, recipe.summarised) for names, half in zip(_MEMBERS, halves, strict=True)]
    return layers.Average(name=LOGIT, dtype=EXACT)(logits)


def members(network: keras.Model) -> list[tuple[keras.KerasTensor, keras.KerasTensor]]:
    """Logit [n, 1] and logit map [n, h, w, 1] of each member; of one alone, those of the network."""
    several = _MEMBERS[0][0] in {layer.name for layer in network.layers}
    names = _MEMBERS if several else ((LOGIT, LOGIT_MAP),)
    return [(network.get_layer(logit).output, network.get_layer(cells).output) for logit, cells in names]


def logit_map(network: keras.Model) -> keras.KerasTensor:
    """The network's logit map [n, h, w, 1], the mean of its members'."""
    maps = [cells for _, cells in members(network)]
    return layers.Average(dtype=EXACT)(maps) if len(maps) > 1 else maps[0]


def _member(
    name: str, map_name: str, evidence: keras.KerasTensor, features: keras.KerasTensor, summarised: tuple[int, ...]
) -> keras.KerasTensor:
    """The map's peak, corrected by what is known of the whole; map and logit are layers of these names."""
    cells = layers.Conv2D(1, 1, name=map_name, dtype=EXACT)(features)
    peak = PeakPooling(name=f"{name}_peak", dtype=EXACT)(cells)
    facts = [peak, layers.GlobalMaxPooling2D(dtype=EXACT)(cells)]
    for channel in summarised:
        single = evidence[..., channel : channel + 1]
        facts += [layers.GlobalMaxPooling2D(dtype=EXACT)(single), layers.GlobalAveragePooling2D(dtype=EXACT)(single)]
    joined = layers.Concatenate(dtype=EXACT)(facts)
    units = layers.Dense(_VERDICT_UNITS, activation="relu", name=f"{name}_facts", dtype=EXACT)(joined)
    units = layers.Dropout(_VERDICT_DROPOUT, name=f"{name}_dropout", dtype=EXACT)(units)
    correction = layers.Dense(1, name=f"{name}_correction", dtype=EXACT)(units)
    return layers.Add(name=name, dtype=EXACT)([peak, correction])


def _convolved(features: keras.KerasTensor, filters: int, size: int = 3, dilation: int = 1) -> keras.KerasTensor:
    features = layers.Conv2D(filters, size, padding="same", dilation_rate=dilation, use_bias=False)(features)
    return layers.ReLU()(layers.BatchNormalization(momentum=_NORM_MOMENTUM)(features))


def _enlarged(features: keras.KerasTensor) -> keras.KerasTensor:
    return layers.UpSampling2D(interpolation="bilinear")(features)


def cell_loss(masks: keras.KerasTensor, cells: keras.KerasTensor) -> keras.KerasTensor:
    """Mean cross-entropy over the cells whose truth is known, those inside a mask weighing 3.

    Args:
        masks: Edited part of each cell, 0..1, or `UNKNOWN`; [n, h, w, 1].
        cells: Logits, [n, h, w, 1].

    Returns:
        One loss for the batch.
    """
    masks = ops.cast(masks, cells.dtype)
    weights = ops.cast(masks >= 0, cells.dtype) * ops.where(masks > 0.5, _INSIDE_WEIGHT, 1.0)
    losses = ops.relu(cells) - cells * ops.relu(masks) + ops.softplus(-ops.abs(cells))
    return ops.sum(weights * losses) / (ops.sum(weights) + 1.0)
