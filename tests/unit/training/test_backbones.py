from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from forgery.config import TrainingOptions
from forgery.errors import InvalidConfig
from forgery.recipes import Recipe, parse_recipe
from forgery.training.backbones import BACKBONES, build_network, choose_backbone, has_frozen_norm
from forgery.training.dense import logit_map
from forgery.training.fit import Phase, fit, set_trainable


def recipe(size_px: int, channels: int = 3) -> Recipe:
    qualities = "".join(f"_q{quality}" for quality in (95, 90, 85)[: max(1, channels // 3)])
    return parse_recipe(f"ela1{qualities}_gain15{'_luma' if channels == 1 else ''}_{size_px}_bilinear")


@pytest.mark.parametrize(("name", "channels"), [("cnn", 1), ("cnn", 6), ("mobilenet_v2", 1), ("mobilenet_v2", 3)])
def test_the_logit_is_the_mean_of_the_logit_map(name: str, channels: int) -> None:
    network = build_network(name, recipe(64, channels), dropout=0.5)
    maps = np.random.default_rng(0).integers(0, 256, (2, 64, 64, channels), np.uint8)
    both = keras.Model(network.input, [network.output, network.get_layer("logit_map").output])
    logits, logit_map = (output.numpy() for output in both(maps, training=False))
    assert logits.shape == (2, 1)
    np.testing.assert_allclose(logits[:, 0], logit_map.mean(axis=(1, 2, 3)), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "recipe_name", "chosen"),
    [
        ("auto", "blocks2_48", "blocks"),
        ("auto", "ela1_q90_gain15_64_bilinear", "cnn"),
        ("mobilenet_v2", "blocks2_48", "mobilenet_v2"),
    ],
)
def test_auto_follows_from_the_recipe(name: str, recipe_name: str, chosen: str) -> None:
    assert choose_backbone(name, parse_recipe(recipe_name)) == chosen


def test_unknown_backbones_and_small_maps_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="unknown backbone 'vgg'; known: cnn, mobilenet_v2, efficientnet, xception"):
        build_network("vgg", recipe(64))
    with pytest.raises(InvalidConfig, match="xception needs maps of at least 71 px"):
        build_network("xception", recipe(64))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet", "xception"])
def test_large_backbones_read_uint8_maps(name: str) -> None:
    network = build_network(name, recipe(96, 6), frozen_norm=True)
    maps = np.zeros((1, 96, 96, 6), np.uint8)
    assert np.isfinite(network(maps).numpy()).all()


def test_every_backbone_scales_to_what_it_was_trained_on() -> None:
    ends = {name: (each.offset, 255 * each.scale + each.offset) for name, each in BACKBONES.items()}
    assert ends["mobilenet_v2"] == ends["xception"] == pytest.approx((-1, 1))
    assert ends["efficientnet"] == pytest.approx((0, 255))


@pytest.mark.parametrize(
    ("phase", "learning"),
    [(Phase("head", 1, 1, 0), 0), (Phase("fine-tuning", 1, 1, 9), 3), (Phase("whole", 1, 1, None), 52)],
)
def test_frozen_norm_stays_frozen_in_every_phase(phase: Phase, learning: int) -> None:
    network = build_network("mobilenet_v2", recipe(32), frozen_norm=True)
    set_trainable(network, phase.layers)
    layers = network.get_layer("backbone").layers
    assert not any(layer.trainable for layer in layers if isinstance(layer, keras.layers.BatchNormalization))
    assert sum(bool(layer.trainable_variables) for layer in layers) == learning
    assert network.get_layer("logit_map").trainable


def test_fine_tuning_moves_the_last_layers_and_no_others() -> None:
    network = build_network("cnn", recipe(32), frozen_norm=True)
    maps = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    batches = tf.data.Dataset.from_tensors((maps, np.arange(8)[:, None] % 2))
    layers = network.get_layer("backbone").layers

    def moved(phase: Phase) -> list[int]:
        before = [layer.get_weights() for layer in layers]
        options = TrainingOptions(patience=5)
        fit(network, batches, batches, [phase], options, None)
        return [
            at
            for at, (layer, weights) in enumerate(zip(layers, before, strict=True))
            if any((now != then).any() for now, then in zip(layer.get_weights(), weights, strict=True))
        ]

    kernels = [at for at, layer in enumerate(layers) if isinstance(layer, keras.layers.Conv2D)]
    assert moved(Phase("head", 2, 1e-2, 0)) == []
    assert moved(Phase("fine-tuning", 3, 1e-2, 8)) == kernels[-2:]


def test_training_moves_no_statistic_of_a_frozen_norm() -> None:
    network = build_network("cnn", recipe(32), frozen_norm=True)
    set_trainable(network, None)
    norms = [
        layer for layer in network.get_layer("backbone").layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    before = [norm.get_weights() for norm in norms]
    network.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    network.train_on_batch(np.full((2, 32, 32, 3), 200, np.uint8), np.ones((2, 1)))
    for norm, weights in zip(norms, before, strict=True):
        for now, then in zip(norm.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, then)


def test_whether_the_norm_was_frozen_survives_saving(tmp_path: Any) -> None:
    for frozen in (True, False):
        network = build_network("cnn", recipe(32), frozen_norm=frozen)
        set_trainable(network, None)
        network.save(tmp_path / "model.keras")
        assert has_frozen_norm(keras.saving.load_model(tmp_path / "model.keras")) is frozen


@pytest.mark.parametrize(
    ("name", "named"),
    [("cnn", "ela1_q90_gain15_32_bilinear"), ("blocks", "blocks2_16"), ("blocks", "blocks2_16_content")],
)
def test_in_half_precision_logits_and_weights_stay_exact(name: str, named: str) -> None:
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        network = build_network(name, parse_recipe(named))
    finally:
        keras.config.set_dtype_policy(before)
    layer = network.get_layer("backbone")
    assert layer.output.dtype == "bfloat16"
    assert network.output.dtype == logit_map(network).dtype == "float32"
    assert {weight.dtype for weight in network.weights} == {"float32"}
    exact = build_network(name, parse_recipe(named))
    assert [weight.shape for weight in exact.weights] == [weight.shape for weight in network.weights]
