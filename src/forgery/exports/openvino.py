"""A model repository for OpenVINO Model Server: the model as IR, and a configuration that keeps 32-bit floats.

<folder>/
  config.json            for `ovms --config_path /models/config.json`, this folder being mounted at /models
  <name>/1/model.xml     the network; model.bin beside it has its weights

Where a processor has them, OpenVINO computes in 16-bit floats unless told otherwise, and the maps move by some 1e-3
to 3e-2; the configuration tells it, and what is proven is the model under that very configuration.
"""

import json
import sys
from pathlib import Path
from typing import Any

from forgery.bundle import SAVED_MODEL, Bundle
from forgery.engine import OUTPUTS
from forgery.errors import ExportFailed
from forgery.exports.extra import named, need
from forgery.exports.proof import Proof, prove
from forgery.recipes import Evidence

CONFIG_FILE = "config.json"
IR_FILE = "model.xml"
MOUNT = "/models"
_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32"}


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Write the repository with the model as version 1."""
    need("OpenVINO", "openvino")
    version = folder / name / "1"
    version.mkdir(parents=True)
    _convert(bundle, version / IR_FILE)
    entry = {"name": name, "base_path": f"{MOUNT}/{name}", "target_device": "CPU", "plugin_config": _SETTINGS}
    (folder / CONFIG_FILE).write_text(json.dumps({"model_config_list": [{"config": entry}]}, indent=2) + "\n")
    return _prove(bundle, folder)


def _convert(bundle: Bundle, path: Path) -> None:
    openvino = _openvino()
    try:
        model = openvino.Core().read_model(str(bundle.path / SAVED_MODEL))
        openvino.save_model(model, str(path), compress_to_fp16=False)
    except RuntimeError as error:
        raise ExportFailed(f"OpenVINO cannot read the network ({error})") from error


def _prove(bundle: Bundle, folder: Path) -> Proof:
    """Load what the configuration names, as the server does, with the settings it gives."""
    openvino = _openvino()
    entry = json.loads((folder / CONFIG_FILE).read_text())["model_config_list"][0]["config"]
    path = folder / Path(entry["base_path"]).relative_to(MOUNT) / "1" / IR_FILE
    model = openvino.Core().compile_model(str(path), entry["target_device"], entry["plugin_config"])

    def run(maps: Evidence) -> dict[str, Any]:
        answers = model({bundle.recipe.name: maps})
        return {name: answers[name] for name in OUTPUTS}

    return prove(bundle, named("OpenVINO", "openvino"), run)


def _openvino() -> Any:  # noqa: ANN401 -- a module without types
    """OpenVINO without its telemetry, which sends what it is used for over the network as soon as it is imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # documented: makes the import fail
    import openvino

    return openvino
