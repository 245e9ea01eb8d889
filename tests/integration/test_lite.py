"""The LiteRT model of a bundle: what it answers, when there is none, and that it needs no TensorFlow."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgery.bundle import LITE_MODEL, SAVED_MODEL, SUMS_FILE, Bundle, open_bundle
from forgery.engine import OUTPUTS, Engine, choose_kind
from forgery.errors import BundleError, InvalidConfig
from forgery.golden import check_golden
from forgery.recipes import parse_recipe

BLOCKS = "blocks2_16"


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle()


@pytest.fixture(scope="module")
def maps(bundle: Bundle) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, *bundle.recipe.shape), np.uint8)


def without_lite_model(bundle: Bundle, folder: Path, why: str = "") -> Bundle:
    """The bundle as one that was published before there were LiteRT models."""
    folder.mkdir()
    (folder / SAVED_MODEL).symlink_to(bundle.path / SAVED_MODEL)
    return replace(bundle, path=folder, info=bundle.info.model_copy(update={"no_lite_model": why}))


def test_it_answers_like_the_saved_model(bundle: Bundle, maps: np.ndarray) -> None:
    ours, theirs = Engine(bundle, kind="litert"), Engine(bundle)
    assert (ours.kind, theirs.kind) == ("litert", "tensorflow")
    assert ours.activation_shape == theirs.activation_shape
    found, expected = ours.predict(maps, OUTPUTS), theirs.predict(maps, OUTPUTS)
    for name in OUTPUTS:
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    assert ours.predict(maps[:0], OUTPUTS)["activation_map"].shape == (0, *theirs.activation_shape)


def test_a_dense_network_has_one_too(tmp_path: Path) -> None:
    import keras

    from forgery.bundle import Lineage
    from forgery.decision import DecisionRule
    from forgery.training.backbones import build_network
    from forgery.training.export import export_draft, read_draft

    keras.utils.set_random_seed(0)
    recipe = parse_recipe(BLOCKS)
    rule = DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5)
    lineage = Lineage(dataset_digest="", run_id="", code_version="")
    export_draft(build_network("blocks", recipe), tmp_path / "draft", recipe, 1.5, rule, "blocks", lineage)
    draft = read_draft(tmp_path / "draft")
    assert draft.info.no_lite_model == ""
    engine = Engine(draft, kind="litert")
    assert engine.activation_shape == (16, 16)
    check_golden(draft, engine)


def test_the_golden_request_holds_on_it(bundle: Bundle, make_bundle: Callable[..., Bundle]) -> None:
    check_golden(bundle, Engine(bundle, kind="litert"))
    with pytest.raises(BundleError, match="probability_forged"):
        check_golden(bundle, Engine(make_bundle(seed=1), kind="litert"))


def test_threads_share_one_engine(bundle: Bundle, maps: np.ndarray) -> None:
    engine = Engine(bundle, kind="litert")
    expected = engine.predict(maps)["probability_forged"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda index: engine.predict(maps[index % 5 :]), range(64)))
    for index, answer in enumerate(answers):
        np.testing.assert_array_equal(answer["probability_forged"], expected[index % 5 :])


def test_a_bundle_covers_it_with_its_digest(bundle: Bundle, tmp_path: Path) -> None:
    assert LITE_MODEL in (bundle.path / SUMS_FILE).read_text()
    assert open_bundle(bundle.path).lite_model == bundle.path / LITE_MODEL


def test_auto_takes_what_there_is(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = without_lite_model(bundle, tmp_path / "old")
    assert (choose_kind(bundle, "auto"), choose_kind(old, "auto")) == ("litert", "tensorflow")
    monkeypatch.setattr("forgery.engine.installed", lambda: False)
    assert choose_kind(bundle, "auto") == "tensorflow"
    with pytest.raises(InvalidConfig, match="pip install ai-edge-litert"):
        choose_kind(bundle, "litert")


def test_a_bundle_without_one_says_why(bundle: Bundle, tmp_path: Path) -> None:
    old = without_lite_model(bundle, tmp_path / "old", why="the converter refused the network (ConverterError)")
    with pytest.raises(BundleError, match="the converter refused the network"):
        Engine(old, kind="litert")


@pytest.mark.parametrize("broken", ["torn", "other recipe"])
def test_a_model_that_does_not_fit_is_refused(bundle: Bundle, tmp_path: Path, broken: str) -> None:
    other = without_lite_model(bundle, tmp_path / "broken")
    content = (bundle.path / LITE_MODEL).read_bytes()
    (other.path / LITE_MODEL).write_bytes(content[: len(content) // 2] if broken == "torn" else content)
    if broken == "other recipe":
        other = replace(other, info=other.info.model_copy(update={"recipe": "ela1_q75_gain15_32_bilinear"}))
    with pytest.raises(BundleError, match="LiteRT" if broken == "torn" else "ela1_q75"):
        Engine(other, kind="litert")


def test_a_conversion_that_answers_otherwise_is_not_kept(
    bundle: Bundle, make_bundle: Callable[..., Bundle], maps: np.ndarray, tmp_path: Path, monkeypatch: Any
) -> None:
    from forgery.training import lite

    other = (make_bundle(bias=1.0).path / LITE_MODEL).read_bytes()
    monkeypatch.setattr(lite, "convert", lambda *_: other)
    reason = lite.write_lite_model(tmp_path, bundle.path / SAVED_MODEL, bundle.recipe, [maps])
    assert "more than 1e-04" in reason
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_does_not_convert_leaves_a_reason(
    bundle: Bundle, maps: np.ndarray, tmp_path: Path, monkeypatch: Any
) -> None:
    import tensorflow as tf

    from forgery.training import lite

    def refuse(*_: Any) -> bytes:
        raise tf.errors.UnimplementedError(None, None, "an operation")

    monkeypatch.setattr(lite, "convert", refuse)
    reason = lite.write_lite_model(tmp_path, bundle.path / SAVED_MODEL, bundle.recipe, [maps])
    assert reason == "the converter refused the network (UnimplementedError)"
    assert not (tmp_path / LITE_MODEL).exists()


def test_it_needs_no_tensorflow(bundle: Bundle) -> None:
    script = (
        "import sys; from forgery.bundle import open_bundle; from forgery.engine import Engine; "
        "from forgery.golden import check_golden; bundle = open_bundle(sys.argv[1]); "
        "check_golden(bundle, Engine(bundle, kind='litert')); "
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, bundle.path], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert found.stdout.strip() == "[]"
    assert found.stderr == "", "a server's log is one JSON object a line"
