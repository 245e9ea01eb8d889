"""A bundle in other formats: what their own readers get of the files, and what is left when that is wrong."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgery import exports
from forgery.bundle import LITE_MODEL, SAVED_MODEL, Bundle
from forgery.engine import OUTPUTS, Engine
from forgery.errors import ExportFailed, InvalidConfig, StorageError
from forgery.exports import RECEIPT_FILE, Receipt, export_bundle

Answers = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle(seed=5)


@pytest.fixture(scope="module")
def maps(bundle: Bundle) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (3, *bundle.recipe.shape), np.uint8)


def by_tensorflow(folder: Path, name: str, maps: np.ndarray) -> Answers:
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    found = model.signatures["serving_default"](**{name: tf.constant(maps)})
    return {key: value.numpy() for key, value in found.items()}


def by_litert(folder: Path, name: str, maps: np.ndarray) -> Answers:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(folder / "model.tflite")).get_signature_runner("serving_default")
    rows = [run(**{name: each[None]}) for each in maps]
    return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}


def by_onnx_runtime(folder: Path, name: str, maps: np.ndarray) -> Answers:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(next(folder.rglob("model.onnx"))), providers=["CPUExecutionProvider"])
    return dict(zip([each.name for each in session.get_outputs()], session.run(None, {name: maps}), strict=True))


def by_openvino(folder: Path, name: str, maps: np.ndarray) -> Answers:
    from openvino import Core

    config = json.loads((folder / "config.json").read_text())["model_config_list"][0]["config"]
    assert config["base_path"] == f"/models/{config['name']}"
    model = Core().compile_model(str(folder / config["name"] / "1" / "model.xml"), "CPU", config["plugin_config"])
    found = model({name: maps})
    return {key: found[key] for key in OUTPUTS}


READERS = {
    "saved_model": by_tensorflow,
    "litert": by_litert,
    "onnx": by_onnx_runtime,
    "triton": by_onnx_runtime,
    "openvino": by_openvino,
}


@pytest.mark.parametrize("to", READERS)
def test_its_own_reader_gets_the_answers_of_the_bundle(
    bundle: Bundle, maps: np.ndarray, tmp_path: Path, to: str
) -> None:
    receipt = export_bundle(bundle, to, tmp_path / "out", "detector")
    found = READERS[to](tmp_path / "out", bundle.recipe.name, maps)
    expected = Engine(bundle).predict(maps, OUTPUTS)
    for name in OUTPUTS:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    assert Receipt.model_validate_json((tmp_path / "out" / RECEIPT_FILE).read_bytes()) == receipt
    assert (receipt.bundle, receipt.input) == (bundle.digest, bundle.recipe.name)
    assert receipt.proof.maps == 8
    assert max(receipt.proof.largest_difference.values()) < 1e-5


def test_triton_declares_the_signature_of_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    export_bundle(bundle, "triton", tmp_path / "out", "detector")
    config = (tmp_path / "out" / "detector" / "config.pbtxt").read_text()
    assert 'name: "detector"' in config
    found = re.findall(r'name: "(\w+)" data_type: (\w+) dims: \[([^\]]*)\]', config)
    height, width = Engine(bundle).activation_shape
    assert found == [
        (bundle.recipe.name, "TYPE_UINT8", "-1, 32, 32, 3"),
        ("probability_forged", "TYPE_FP32", "-1"),
        ("activation_map", "TYPE_FP32", f"-1, {height}, {width}"),
    ]
    assert (tmp_path / "out" / "detector" / "1" / "model.onnx").is_file()


def test_openvino_computes_in_32_bits_and_tells_nobody(bundle: Bundle, tmp_path: Path) -> None:
    export_bundle(bundle, "openvino", tmp_path / "out")
    from openvino import Core, Type

    config = json.loads((tmp_path / "out" / "config.json").read_text())["model_config_list"][0]["config"]
    model = Core().compile_model(str(next((tmp_path / "out").rglob("*.xml"))), "CPU", config["plugin_config"])
    assert model.get_property("INFERENCE_PRECISION_HINT") == Type.f32
    assert sys.modules["openvino_telemetry"] is None


def test_a_model_for_litert_is_made_where_the_bundle_has_none(bundle: Bundle, maps: np.ndarray, tmp_path: Path) -> None:
    shutil.copytree(bundle.path, tmp_path / "old")
    (tmp_path / "old" / LITE_MODEL).unlink()
    export_bundle(replace(bundle, path=tmp_path / "old"), "litert", tmp_path / "out")
    found = by_litert(tmp_path / "out", bundle.recipe.name, maps)
    np.testing.assert_allclose(
        found["probability_forged"], Engine(bundle).predict(maps)["probability_forged"], atol=1e-5
    )


@pytest.mark.parametrize("to", ["litert", "onnx", "triton", "openvino"])
def test_files_that_answer_otherwise_are_not_kept(
    bundle: Bundle, make_bundle: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """As if the converter had lost the weights: the files are those of another model, the promise is this one's."""
    out = tmp_path / "out"
    first = export_bundle(bundle, to, out)
    other = make_bundle(seed=6)
    monkeypatch.setattr(
        f"forgery.exports.{to}.prove" if to != "triton" else "forgery.exports.onnx.prove", against(other)
    )
    with pytest.raises(ExportFailed, match="off by"):
        export_bundle(bundle, to, out)
    assert Receipt.model_validate_json((out / RECEIPT_FILE).read_bytes()) == first
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def against(other: Bundle) -> Callable[..., Any]:
    from forgery.exports.proof import prove

    return lambda bundle, runtime, run: prove(other, runtime, run)


def test_what_a_converter_refuses_is_said_in_one_sentence(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tf2onnx

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise ValueError("Conv7D is not supported")

    monkeypatch.setattr(tf2onnx.convert, "from_function", refuse)
    with pytest.raises(ExportFailed, match=r"tf2onnx refused the network .*Conv7D"):
        export_bundle(bundle, "onnx", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("to", "missing"), [("onnx", "tf2onnx"), ("triton", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_library_is_named_with_the_way_to_it(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, missing: str
) -> None:
    monkeypatch.setattr("forgery.exports.extra.find_spec", lambda name: None if name == missing else object())
    with pytest.raises(InvalidConfig, match=rf"needs {missing}: pip install 'forgery\[export\]', or uv pip"):
        export_bundle(bundle, to, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_other_peoples_folders_and_unknown_formats_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match=r"holds no export\.json"):
        export_bundle(bundle, "saved_model", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InvalidConfig, match=f"'pickle' is unknown; known: {', '.join(exports.FORMATS)}"):
        export_bundle(bundle, "pickle", tmp_path / "out")
    with pytest.raises(InvalidConfig, match="lies in the bundle itself"):
        export_bundle(bundle, "onnx", bundle.path / "exported")
    with pytest.raises(InvalidConfig, match="is not accepted"):
        export_bundle(bundle, "onnx", tmp_path / "out", "../up")


def test_the_saved_model_is_the_bundles_own(bundle: Bundle, tmp_path: Path) -> None:
    export_bundle(bundle, "saved_model", tmp_path / "out")
    name = "saved_model.pb"
    assert (tmp_path / "out" / name).read_bytes() == (bundle.path / SAVED_MODEL / name).read_bytes()
