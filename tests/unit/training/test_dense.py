"""The dense network: a verdict for every cell, the picture's from the strongest, learnt from masks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from forgery.config import TrainingOptions
from forgery.errors import InvalidConfig
from forgery.recipes.blocks import BlocksRecipe
from forgery.training.backbones import build_network
from forgery.training.dense import MADE, UNKNOWN, PeakPooling, cell_loss, logit_map, members
from forgery.training.fit import fit, plan_phases, seed_everything
from forgery.training.learner import Learner
from forgery.training.setup import class_weights
from forgery.training.workers import alone

RECIPE = BlocksRecipe(cells=16, matches=False)
CONTENT = BlocksRecipe(cells=16, content=True)


def peaked(cells: int) -> np.ndarray:
    """A map of -8 with so many cells of 4."""
    flat = np.full(16 * 16, -8, np.float32)
    flat[:cells] = 4
    return flat.reshape(1, 16, 16, 1)


def test_few_strong_cells_decide_and_their_number_counts() -> None:
    pooling = PeakPooling()
    none, few, many = (float(pooling(peaked(cells))[0, 0]) for cells in (0, 5, 50))
    assert none < -4
    assert few == pytest.approx(4 + np.log(5 / 20), abs=0.01)
    assert many - few == pytest.approx(np.log(10), abs=0.01)


def test_cells_of_unknown_truth_cost_nothing() -> None:
    logits = tf.constant(peaked(5))
    wrong = 1 - (logits.numpy() > 0).astype(np.float32)
    assert float(cell_loss(tf.constant(wrong), logits)) > 2
    assert float(cell_loss(tf.fill(logits.shape, UNKNOWN), logits)) == 0


def test_sides_that_cannot_be_halved_twice_are_refused() -> None:
    with pytest.raises(InvalidConfig, match="multiples of 4"):
        build_network("blocks", BlocksRecipe(cells=50))


def answers(network: keras.Model, maps: np.ndarray) -> list[np.ndarray]:
    """Logit, map, then both of each member."""
    outputs = [network.output, logit_map(network), *(each for member in members(network) for each in member)]
    return [each.numpy() for each in keras.Model(network.input, outputs)(maps, training=False)]


def test_of_two_members_one_does_not_see_the_content_and_the_mean_is_the_answer() -> None:
    seed_everything(0)
    network = build_network("blocks", CONTENT)
    maps = np.random.default_rng(0).integers(0, 256, (2, *CONTENT.shape), np.uint8)
    other = maps.copy()
    other[..., CONTENT.content_channels] = 255 - other[..., CONTENT.content_channels]
    logit, cells, plain, plain_cells, content, content_cells = answers(network, maps)
    np.testing.assert_allclose(logit, (plain + content) / 2, atol=1e-5)
    np.testing.assert_allclose(cells, (plain_cells + content_cells) / 2, atol=1e-5)
    _, _, same, same_cells, changed, changed_cells = answers(network, other)
    np.testing.assert_array_equal(plain_cells, same_cells)
    np.testing.assert_array_equal(plain, same)
    assert np.abs(content_cells - changed_cells).max() > 1e-3
    assert np.abs(content - changed).max() > 1e-3


@pytest.mark.parametrize("layer", ["logit_content_correction", "logit_map_content"])
def test_a_member_learns_by_its_own_loss_whatever_the_other_answers(layer: str) -> None:
    learnt = []
    for bias in (0, 5):
        seed_everything(0)
        network = build_network("blocks", CONTENT)
        network.get_layer(layer).bias.assign([bias])
        maps = np.random.default_rng(0).integers(0, 256, (4, *CONTENT.shape), np.uint8)
        truth = {"logit": tf.constant([[0.0], [1], [0], [1]]), "logit_map": tf.zeros((4, 16, 16, 1))}
        before = answers(network, maps)
        learner = Learner(network, True, None, alone())
        learner.begin(1e-3)
        learner.learn([(maps, truth)], 1e-3, lambda: None)
        after = answers(network, maps)
        assert all(np.abs(was - now).max() > 1e-4 for was, now in zip(before, after, strict=True))
        learnt.append(after[2:4])
    np.testing.assert_allclose(learnt[0][0], learnt[1][0], atol=1e-6)
    np.testing.assert_allclose(learnt[0][1], learnt[1][1], atol=1e-6)


def learning_layers(recipe: BlocksRecipe, label: float) -> set[str]:
    """The layers at the ends of members whose weights one step on a batch of that label moves."""
    seed_everything(0)
    network = build_network("blocks", recipe)
    ends = [layer for layer in network.layers if layer.name.startswith("logit") and layer.trainable_variables]
    before = {layer.name: [variable.numpy() for variable in layer.trainable_variables] for layer in ends}
    learner = Learner(network, True, None, alone())
    learner.begin(1e-3)
    maps = np.random.default_rng(0).integers(0, 256, (4, *recipe.shape), np.uint8)
    truth = {"logit": tf.fill((4, 1), label), "logit_map": tf.ones((4, 16, 16, 1))}
    learner.learn([(maps, truth)], 1e-3, lambda: None)
    figures = learner.end_epoch()
    assert figures["loss"] > 0
    return {
        layer.name
        for layer in ends
        for was, variable in zip(before[layer.name], layer.trainable_variables, strict=True)
        if np.abs(was - variable.numpy()).max() > 0
    }


def test_forgeries_made_for_training_teach_the_member_with_content_alone() -> None:
    both, made = learning_layers(CONTENT, 1.0), learning_layers(CONTENT, MADE)
    assert {"logit_map_plain", "logit_map_content"} <= both
    assert made == {name for name in both if "content" in name}
    assert learning_layers(RECIPE, MADE) == set()
    assert learning_layers(RECIPE, 1.0) >= {"logit_map"}


def test_forgeries_made_for_training_count_as_forged() -> None:
    network = build_network("blocks", RECIPE)
    figures = []
    for label in (1.0, MADE):
        learner = Learner(network, True, {0: 0.5, 1: 2.0}, alone())
        learner.begin(1e-3)
        maps = np.random.default_rng(0).integers(0, 256, (2, *RECIPE.shape), np.uint8)
        labels = tf.constant([[0.0], [label]])
        figures.append(learner.evaluate([(maps, {"logit": labels, "logit_map": tf.zeros((2, 16, 16, 1))})]))
    assert figures[0] == figures[1]
    assert class_weights(np.array([0, 1, 0, MADE])) == {0: 1.0, 1: 1.0}


def examples(pictures: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Noise; in every other picture a square that stands out and is masked, except that one mask is not known."""
    random = np.random.default_rng(seed)
    labels = (np.arange(pictures) % 2).astype(np.float32)
    maps = random.integers(96, 160, (pictures, *RECIPE.shape), np.uint8)
    masks = np.zeros((pictures, 16, 16, 1), np.float32)
    for index in np.flatnonzero(labels):
        top, left = random.integers(0, 11, 2)
        maps[index, top : top + 5, left : left + 5] += 70
        masks[index, top : top + 5, left : left + 5] = 1
    masks[1] = UNKNOWN
    return maps, {"logit": labels[:, None], "logit_map": masks}


@pytest.mark.slow
def test_learns_where_from_masks_and_keeps_it_when_saved(tmp_path) -> None:
    seed_everything(0)
    options = TrainingOptions(epochs=6, batch_size=16, learning_rate=3e-3)
    network = build_network("blocks", RECIPE)
    training, validation = (
        tf.data.Dataset.from_tensor_slices(examples(count, seed)).batch(16) for count, seed in ((192, 0), (32, 1))
    )
    fitted = fit(network, training, validation, plan_phases(options, False, False), options, {0: 0.9, 1: 1.1})
    assert {"accuracy", "auc", "val_accuracy", "val_auc", "val_loss"} <= set(fitted.history)
    assert max(fitted.history["val_auc"]) > 0.95
    network.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    maps, truth = examples(8, 2)
    logits, cells = keras.Model(read.input, [read.output, logit_map(read)])(maps, training=False)
    np.testing.assert_allclose(logits, network(maps, training=False), atol=1e-4)
    assert logits.shape == (8, 1)
    inside = truth["logit_map"] == 1
    assert cells.numpy()[inside].mean() > cells.numpy()[~inside].mean() + 2
