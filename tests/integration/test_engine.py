import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgery.bundle import GOLDEN, SAVED_MODEL, Bundle, open_bundle
from forgery.engine import OUTPUTS, Engine
from forgery.errors import BundleError, InvalidConfig
from forgery.golden import EXPECTED_FILE, PICTURE_FILE, check_golden


@pytest.fixture(scope="module")
def bundle(make_bundle: Any) -> Bundle:
    return make_bundle()


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return Engine(bundle)


@pytest.fixture(scope="module")
def maps(bundle: Bundle) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, *bundle.recipe.shape), np.uint8)


def copy_of(bundle: Bundle, folder: Path) -> Bundle:
    shutil.copytree(bundle.path, folder)
    return replace(bundle, path=folder)


def test_a_batch_is_scored_like_its_parts(engine: Engine, maps: np.ndarray) -> None:
    together = engine.predict(maps, OUTPUTS)
    assert together["probability_forged"].shape == (5,)
    assert together["probability_forged"].dtype == np.float32
    assert together["activation_map"].shape == (5, *engine.activation_shape)
    for index in range(5):
        alone = engine.predict(maps[index : index + 1], OUTPUTS)
        for name in OUTPUTS:
            np.testing.assert_allclose(alone[name][0], together[name][index], atol=1e-6)


def test_the_verdict_is_the_mean_of_the_map(engine: Engine, maps: np.ndarray) -> None:
    answers = engine.predict(maps, OUTPUTS)
    logits = np.log(answers["activation_map"] / (1 - answers["activation_map"])).mean(axis=(1, 2))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), answers["probability_forged"], atol=1e-5)


def test_an_empty_batch_gives_empty_answers(engine: Engine, maps: np.ndarray) -> None:
    answers = engine.predict(maps[:0], OUTPUTS)
    assert answers["probability_forged"].shape == (0,)
    assert answers["activation_map"].shape == (0, *engine.activation_shape)


def test_only_asked_outputs_are_given(engine: Engine, maps: np.ndarray) -> None:
    assert set(engine.predict(maps)) == {"probability_forged"}
    with pytest.raises(InvalidConfig, match="known: probability_forged, activation_map"):
        engine.predict(maps, ("label",))


@pytest.mark.parametrize("wrong", ["float", "one", "size", "channels"])
def test_wrong_maps_are_refused_with_the_expected_shape(engine: Engine, maps: np.ndarray, wrong: str) -> None:
    given = {"float": maps / 255, "one": maps[0], "size": maps[:, :16], "channels": maps[..., :1]}[wrong]
    with pytest.raises(InvalidConfig, match=r"uint8 \[n, 32, 32, 3\]"):
        engine.predict(given)


def test_threads_share_one_engine(engine: Engine, maps: np.ndarray) -> None:
    expected = engine.predict(maps)["probability_forged"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: engine.predict(maps)["probability_forged"], range(64)))
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


def test_bias_moves_every_answer(make_bundle: Any, engine: Engine, maps: np.ndarray) -> None:
    forged = Engine(make_bundle(bias=20.0))
    assert (forged.predict(maps)["probability_forged"] > 0.99).all()
    assert make_bundle(bias=20.0).digest != make_bundle().digest


@pytest.mark.slow
def test_sealing_the_same_network_again_gives_the_same_digest(tmp_path: Path) -> None:
    """Bytes are reproducible from process to process: no dates, no random ids, no memory addresses."""
    script = (
        "import sys; sys.path.insert(0, 'tests'); from pathlib import Path; from conftest import _write_bundle, "
        "TINY_RECIPE; print(_write_bundle(Path(sys.argv[1]), TINY_RECIPE, 0.0, 0, {'f1': 0.8}).digest)"
    )
    commands = [[sys.executable, "-c", script, str(tmp_path / name)] for name in ("first", "second")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    digests = [process.communicate(timeout=120)[0].split()[-1] for process in processes]
    assert digests[0] == digests[1]


def test_another_recipe_than_the_inputs_name_is_refused(bundle: Bundle) -> None:
    info = bundle.info.model_copy(update={"recipe": "ela1_q75_gain15_32_bilinear"})
    with pytest.raises(BundleError, match="ela1_q75"):
        Engine(Bundle(bundle.path, bundle.digest, info))


def test_a_torn_saved_model_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    torn = copy_of(bundle, tmp_path / "torn")
    graph = torn.path / SAVED_MODEL / "saved_model.pb"
    os.truncate(graph, graph.stat().st_size // 2)
    with pytest.raises(BundleError, match="cannot be loaded"):
        Engine(torn)
    graph.unlink()
    with pytest.raises(BundleError, match=r"no saved_model\.pb"):
        Engine(torn)


def test_a_sound_bundle_passes_its_golden_check(bundle: Bundle, engine: Engine) -> None:
    check_golden(open_bundle(bundle.path), engine)


def test_other_weights_fail_the_golden_check(bundle: Bundle, make_bundle: Any) -> None:
    with pytest.raises(BundleError, match="probability_forged"):
        check_golden(bundle, Engine(make_bundle(seed=1)))


def test_evidence_that_drifted_fails_the_golden_check(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    drifted = copy_of(bundle, tmp_path / "drifted")
    picture = drifted.path / GOLDEN / PICTURE_FILE
    encoded = bytearray(picture.read_bytes())
    encoded[len(encoded) // 2] ^= 1
    picture.write_bytes(encoded)
    with pytest.raises(BundleError, match="other evidence"):
        check_golden(drifted, engine)


def test_a_missing_golden_request_is_no_pass(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    bare = copy_of(bundle, tmp_path / "bare")
    (bare.path / GOLDEN / EXPECTED_FILE).unlink()
    with pytest.raises(BundleError, match="no readable golden request"):
        check_golden(bare, engine)


def test_a_golden_request_of_another_recipe_fails(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    other = copy_of(bundle, tmp_path / "other")
    file = other.path / GOLDEN / EXPECTED_FILE
    file.write_text(file.read_text().replace("_q90_", "_q85_"))
    with pytest.raises(BundleError, match="golden request is for ela1_q85"):
        check_golden(other, engine)
