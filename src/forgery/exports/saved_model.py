"""TensorFlow's SavedModel, as it lies in the bundle: for TensorFlow Serving, or `tf.saved_model.load`."""

import shutil
from pathlib import Path

from forgery.bundle import SAVED_MODEL, Bundle
from forgery.engine import ServedModel
from forgery.exports.proof import Proof, prove


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Fill `folder` with `saved_model.pb` and what belongs to it."""
    shutil.copytree(bundle.path / SAVED_MODEL, folder, dirs_exist_ok=True)
    return prove(bundle, runtime(), ServedModel(folder, bundle.recipe).run)


def runtime() -> str:
    """TensorFlow and its version, whichever of its builds is installed."""
    import tensorflow as tf

    return f"TensorFlow {tf.__version__}"
