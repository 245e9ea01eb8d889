"""A model repository for Triton Inference Server: the model as ONNX, and a configuration with its signature.

<folder>/                       `tritonserver --model-repository=<folder>`
  <name>/config.pbtxt
  <name>/1/model.onnx

Triton's first dimension is ours: with `max_batch_size: 0` it hands a request's tensors on as they are, so that names,
types and shapes over its API are those of the bundle.
"""

from pathlib import Path

from forgery.bundle import Bundle
from forgery.engine import OUTPUTS
from forgery.exports.extra import need
from forgery.exports.onnx import ONNX_MODEL, convert, open_session, prove_onnx
from forgery.exports.proof import Proof

CONFIG_FILE = "config.pbtxt"
_ANY = -1


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Write the repository with the model as version 1."""
    need("Triton's repository", "tf2onnx", "onnx", "onnxruntime")
    version = folder / name / "1"
    version.mkdir(parents=True)
    convert(bundle, version / ONNX_MODEL)
    (folder / name / CONFIG_FILE).write_text(_config(bundle, version / ONNX_MODEL, name))
    return prove_onnx(bundle, version / ONNX_MODEL)


def _config(bundle: Bundle, model: Path, name: str) -> str:
    """As the file declares its outputs; what it leaves open is any number of pictures."""
    shapes = {each.name: each.shape for each in open_session(model).get_outputs()}
    outputs = [
        _tensor(output, "TYPE_FP32", [size if isinstance(size, int) else _ANY for size in shapes[output]])
        for output in OUTPUTS
    ]
    return "\n".join(
        [
            f'name: "{name}"',
            'platform: "onnxruntime_onnx"',
            "max_batch_size: 0",
            f"input [ {_tensor(bundle.recipe.name, 'TYPE_UINT8', [_ANY, *bundle.recipe.shape])} ]",
            f"output [ {', '.join(outputs)} ]",
            "version_policy: { latest: { num_versions: 1 } }",
            "",
        ]
    )


def _tensor(name: str, kind: str, dims: list[int]) -> str:
    return f'{{ name: "{name}" data_type: {kind} dims: {dims} }}'
