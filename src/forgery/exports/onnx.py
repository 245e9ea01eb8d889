"""ONNX, with the names of the SavedModel: for ONNX Runtime and every server that takes its files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from forgery.bundle import SAVED_MODEL, Bundle
from forgery.engine import OUTPUTS, ServedModel
from forgery.errors import ExportFailed
from forgery.exports.extra import named, need
from forgery.exports.proof import Proof, prove
from forgery.muted import muted
from forgery.recipes import Evidence

if TYPE_CHECKING:
    import onnxruntime

ONNX_MODEL = "model.onnx"
# Of 2022: known to servers of the last years, and newer ones change nothing that these networks use.
_OPSET = 17


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Write `model.onnx` for any number of pictures a call."""
    need("ONNX", "tf2onnx", "onnx", "onnxruntime")
    convert(bundle, folder / ONNX_MODEL)
    return prove_onnx(bundle, folder / ONNX_MODEL)


def convert(bundle: Bundle, path: Path) -> None:
    """Convert the bundle's SavedModel into a checked ONNX file; ExportFailed where that cannot be done."""
    import onnx
    import tensorflow as tf
    import tf2onnx

    recipe = bundle.recipe
    served = ServedModel(bundle.path / SAVED_MODEL, recipe)
    spec = (tf.TensorSpec((None, *recipe.shape), tf.uint8, name=recipe.name),)
    try:
        with muted():
            function = tf.function(served.answers, input_signature=spec)
            model, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=_OPSET)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))
    except Exception as error:  # the converter knows many ways to refuse a graph
        raise ExportFailed(f"tf2onnx refused the network ({type(error).__name__}: {error})") from error


def prove_onnx(bundle: Bundle, path: Path) -> Proof:
    """Ask ONNX Runtime, on the CPU."""
    session = open_session(path)

    def run(maps: Evidence) -> dict[str, Any]:
        return dict(zip(OUTPUTS, session.run(list(OUTPUTS), {bundle.recipe.name: maps}), strict=True))

    return prove(bundle, named("ONNX Runtime", "onnxruntime"), run)


def open_session(path: Path) -> "onnxruntime.InferenceSession":
    """The file, loaded; ExportFailed where ONNX Runtime cannot."""
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # of kinds that its C++ half defines
        raise ExportFailed(f"ONNX Runtime cannot load the exported model ({type(error).__name__})") from error
