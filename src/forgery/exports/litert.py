"""LiteRT, formerly TensorFlow Lite: one file for phones and small servers, one picture a call."""

import shutil
from pathlib import Path

from forgery.bundle import LITE_MODEL, SAVED_MODEL, Bundle
from forgery.engine import OUTPUTS
from forgery.errors import ExportFailed
from forgery.exports.extra import named, need
from forgery.exports.proof import Proof, prove
from forgery.lite import LiteModel
from forgery.muted import muted


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Write `model.tflite`: the bundle's own, or where it has none one made of its SavedModel."""
    need("the format litert", "ai_edge_litert")
    path = folder / LITE_MODEL
    if bundle.lite_model:
        shutil.copyfile(bundle.lite_model, path)
    else:
        path.write_bytes(_converted(bundle))
    model = LiteModel(path, bundle.recipe, OUTPUTS)
    return prove(bundle, named("LiteRT", "ai-edge-litert"), lambda maps: model.run(maps, OUTPUTS))


def _converted(bundle: Bundle) -> bytes:
    from forgery.training.lite import convert

    try:
        with muted():
            return convert(bundle.path / SAVED_MODEL, bundle.recipe)
    except Exception as error:  # the converter knows many ways to refuse a graph
        raise ExportFailed(f"LiteRT's converter refused the network ({type(error).__name__}: {error})") from error
