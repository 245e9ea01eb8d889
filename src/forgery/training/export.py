"""From a trained network to a draft bundle: what serving needs, sealed later with the metrics of the test split.

<draft>/
  draft.json     BundleInfo without metrics
  saved_model/   one uint8 input named by the recipe; `probability_forged` [n], `activation_map` [n, h, w]
  model.tflite   the same model for LiteRT, where it converts and answers alike
  model.keras    the network before calibration
  golden/        see `forgery.golden`
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from forgery.bundle import GOLDEN, KERAS_FILE, SAVED_MODEL, Bundle, BundleInfo, Lineage
from forgery.decision import DecisionRule
from forgery.engine import ACTIVATION_MAP, PROBABILITY, SIGNATURE, ServedModel
from forgery.errors import BundleError
from forgery.golden import golden_picture, write_golden
from forgery.recipes import Evidence, Recipe, evidence
from forgery.training.lite import write_lite_model
from forgery.training.saved_names import name_plainly

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

DRAFT_FILE = "draft.json"
LOGIT_MAP = "logit_map"  # name of the layer that the logit is pooled from


def export_draft(
    network: "keras.Model",
    out: Path,
    recipe: Recipe,
    temperature: float,
    decision: DecisionRule,
    backbone: str,
    lineage: Lineage,
    maps: Iterable[Evidence] = (),
) -> None:
    """Write a draft bundle into `out`, which must be empty or missing.

    Args:
        network: uint8 [n, H, W, C] to logits [n, 1], by `forgery.training.backbones.build_network`.
        out: Filled in place; the caller moves it to where it is looked for.
        recipe: Names the input and gives its shape.
        temperature: > 0; logits are divided by it inside the SavedModel.
        decision: Threshold and band on the calibrated probability.
        backbone: Name of the network, for the bundle's description.
        lineage: Where it comes from.
        maps: Batches uint8 [n, H, W, C] on which the LiteRT model must answer alike, besides the golden picture.
    """
    out.mkdir(parents=True, exist_ok=True)
    _save_network(network, out / KERAS_FILE)
    _save_served(network, out / SAVED_MODEL, recipe, temperature)
    # Reading back what was written proves the file, not the object in memory.
    write_golden(out / GOLDEN, recipe, ServedModel(out / SAVED_MODEL, recipe).run)
    golden = evidence(golden_picture(), recipe)[None]
    info = BundleInfo(
        recipe=recipe.name,
        backbone=backbone,
        temperature=temperature,
        decision=decision,
        lineage=lineage,
        no_lite_model=write_lite_model(out, out / SAVED_MODEL, recipe, chain([golden], maps)),
    )
    (out / DRAFT_FILE).write_text(info.model_dump_json(indent=2) + "\n")


def read_draft(folder: Path) -> Bundle:
    """A draft as a bundle with the digest `draft`, for `Engine` and `check_golden` before it is sealed.

    Raises:
        BundleError: It is no draft.
    """
    try:
        info = BundleInfo.model_validate_json((folder / DRAFT_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"{folder} is no draft bundle: {type(error).__name__} on {DRAFT_FILE}") from error
    return Bundle(folder, "draft", info)


def _save_served(network: "keras.Model", folder: Path, recipe: Recipe, temperature: float) -> None:
    """Save the calibrated network as a graph of constants, which `tf.saved_model.load` reads without Keras."""
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(folder), signatures={SIGNATURE: _served(network, recipe, temperature)})
    # Optional and the one file that differs from save to save (it holds a random id).
    (folder / "fingerprint.pb").unlink(missing_ok=True)
    name_plainly(folder / "saved_model.pb")


def _served(network: "keras.Model", recipe: Recipe, temperature: float) -> "tf.types.experimental.ConcreteFunction":
    """The concrete function from uint8 maps to both outputs, batch norm and all weights folded in.

    Against the same function over variables, MobileNetV2 loads in two thirds and answers in three quarters of the time.
    """
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from forgery.training.dense import logit_map

    both = keras.Model(network.input, [network.output, logit_map(network)])
    spec = tf.TensorSpec((None, *recipe.shape), tf.uint8, name=recipe.name)

    def calibrated(maps: "tf.Tensor") -> "dict[str, tf.Tensor]":
        logits, cells = both(maps, training=False)
        return {
            ACTIVATION_MAP: tf.sigmoid(cells[..., 0] / temperature),
            PROBABILITY: tf.sigmoid(logits[:, 0] / temperature),
        }

    function = tf.function(calibrated, input_signature=[spec]).get_concrete_function()
    constants = convert_variables_to_constants_v2(function)

    def served(maps: "tf.Tensor") -> "dict[str, tf.Tensor]":
        # Freezing flattens the outputs, in the sorted order of their names.
        return dict(zip(sorted(function.structured_outputs), constants(maps), strict=True))

    return tf.function(served, input_signature=[spec]).get_concrete_function()


def _save_network(network: "keras.Model", path: Path) -> None:
    """Save `model.keras` without dates and memory addresses, so that equal networks give equal bytes."""
    dated = path.with_name(f"dated-{path.name}")
    network.save(dated)
    with zipfile.ZipFile(dated) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            normal = _NORMALISERS.get(name, bytes)
            target.writestr(zipfile.ZipInfo(name), normal(source.read(name)))
    dated.unlink()


def _without_date(metadata: bytes) -> bytes:
    return json.dumps(json.loads(metadata) | {"date_saved": ""}, sort_keys=True).encode()


def _without_addresses(config: bytes) -> bytes:
    """Number shared objects by first appearance; Keras numbers them by where they lie in memory."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'("shared_object_id": )(\d+)',
        lambda found: found[1] + str(numbers.setdefault(found[2], len(numbers))).encode(),
        config,
    )


_NORMALISERS: dict[str, Callable[[bytes], bytes]] = {"metadata.json": _without_date, "config.json": _without_addresses}
