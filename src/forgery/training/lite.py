"""From a SavedModel to a LiteRT model beside it, kept only where both give the same answers."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from forgery.bundle import LITE_MODEL
from forgery.engine import OUTPUTS, PROBABILITY, SIGNATURE, Model, ServedModel
from forgery.errors import ForgeryError
from forgery.lite import LiteModel, installed
from forgery.recipes import Evidence, Recipe

logger = logging.getLogger(__name__)

# Both compute in 32-bit floats, in another order; that moves a probability by some 1e-6.
MOST_DIFFERENCE = 1e-4


def write_lite_model(draft: Path, saved_model: Path, recipe: Recipe, maps: Iterable[Evidence]) -> str:
    """Convert, compare on real maps, and keep `model.tflite` in the draft if it answers alike.

    Args:
        draft: Where the file goes.
        saved_model: What is converted and compared with.
        recipe: Names the input and gives its shape.
        maps: Batches uint8 [n, H, W, C] to compare on.

    Returns:
        Why there is no such file, as one sentence; empty where there is one.
    """
    path = draft / LITE_MODEL
    reason = _made(path, saved_model, recipe, maps)
    if reason:
        path.unlink(missing_ok=True)
        logger.warning("no model for LiteRT: %s", reason)
    return reason


def _made(path: Path, saved_model: Path, recipe: Recipe, maps: Iterable[Evidence]) -> str:
    if not installed():
        return "LiteRT was not installed where the model was trained"
    try:
        path.write_bytes(convert(saved_model, recipe))
    except Exception as error:  # the converter knows many ways to refuse a graph
        logger.info("the converter refused", exc_info=True)
        return f"the converter refused the network ({type(error).__name__})"
    try:
        lite, served = LiteModel(path, recipe, OUTPUTS), ServedModel(saved_model, recipe)
        difference, count = _largest_difference(lite, served, maps)
    except (ForgeryError, RuntimeError, ValueError) as error:
        return f"LiteRT cannot run the network: {error}"
    logger.info("LiteRT model: probabilities differ by at most %.1e over %d maps", difference, count)
    return refusal(difference)


def refusal(difference: float) -> str:
    """Why a model whose probabilities differ by so much is not kept, as one sentence; empty where it is."""
    # Written so that NaN is refused too.
    if not difference <= MOST_DIFFERENCE:
        return f"its probabilities differ by {difference:.1e} from the network's, more than {MOST_DIFFERENCE:.0e}"
    return ""


def convert(saved_model: Path, recipe: Recipe, pictures: int = 1) -> bytes:
    """The served function for so many pictures a call, as a LiteRT model; raises whatever the converter does."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    served = loaded.signatures[SIGNATURE]
    spec = tf.TensorSpec((pictures, *recipe.shape), tf.uint8, name=recipe.name)

    def fixed(maps: tf.Tensor) -> dict[str, tf.Tensor]:
        answers: dict[str, tf.Tensor] = served(**{recipe.name: maps})
        return answers

    function = tf.function(fixed, input_signature=[spec]).get_concrete_function()
    converted: bytes = tf.lite.TFLiteConverter.from_concrete_functions([function], loaded).convert()
    return converted


def _largest_difference(lite: Model, served: Model, maps: Iterable[Evidence]) -> tuple[float, int]:
    largest, count = 0.0, 0
    for batch in maps:
        found = lite.run(batch, OUTPUTS)[PROBABILITY] - served.run(batch, OUTPUTS)[PROBABILITY]
        largest = float(np.maximum(largest, np.abs(found).max()))  # keeps NaN
        count += len(batch)
    return largest, count
