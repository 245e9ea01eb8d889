import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from forgery.errors import InvalidConfig, StorageError
from forgery.recipes import parse_recipe
from forgery.training.backbones import build_network, has_frozen_norm
from forgery.training.weights import find_weights, start_network

RECIPE = parse_recipe("ela1_q90_gain15_32_bilinear")
FILE = "network.weights.h5"


@pytest.fixture(scope="module")
def extractor() -> keras.Model:
    keras.utils.set_random_seed(1)
    return build_network("cnn", RECIPE).get_layer("backbone")


@pytest.fixture(scope="module")
def folder(extractor: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    extractor.save_weights(folder / FILE)
    extractor.save(folder / "network.keras")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "forgery" / "weights"


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def assert_loaded(network: keras.Model, extractor: keras.Model) -> None:
    for ours, theirs in zip(network.get_layer("backbone").get_weights(), extractor.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("form", ["{}/network.weights.h5", "file://{}/network.weights.h5", "{}/network.keras"])
def test_weights_come_from_files(folder: Path, extractor: keras.Model, form: str) -> None:
    network = start_network("cnn", form.format(folder), RECIPE, 0.0)
    assert_loaded(network, extractor)
    assert not has_frozen_norm(network)


def test_a_pretrained_backbone_keeps_its_norm(tmp_path: Path) -> None:
    theirs = build_network("mobilenet_v2", RECIPE).get_layer("backbone")
    theirs.save_weights(tmp_path / FILE)
    network = start_network("mobilenet_v2", str(tmp_path / FILE), RECIPE, 0.0)
    assert_loaded(network, theirs)
    assert has_frozen_norm(network)


def test_weights_come_from_a_bundles_network(tmp_path: Path, extractor: keras.Model) -> None:
    network = build_network("cnn", RECIPE)
    network.get_layer("backbone").set_weights(extractor.get_weights())
    network.save(tmp_path / "model.keras")
    assert_loaded(start_network("cnn", str(tmp_path / "model.keras"), RECIPE, 0.0), extractor)


def test_weights_come_from_an_installed_package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_weights"
    (package / "files").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "files" / FILE).write_bytes((folder / FILE).read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_weights(f"package:some_weights/files/{FILE}") == package / "files" / FILE
    with pytest.raises(InvalidConfig, match="no package missing_weights is installed"):
        find_weights("package:missing_weights/a.h5")
    with pytest.raises(InvalidConfig, match="package:NAME/FILE"):
        find_weights("package:some_weights")


def test_a_download_is_kept(server: str, folder: Path, cache: Path) -> None:
    found = find_weights(f"{server}/{FILE}")
    assert found.parent == cache
    assert found.read_bytes() == (folder / FILE).read_bytes()
    written = found.stat().st_mtime_ns
    assert find_weights(f"{server}/{FILE}").stat().st_mtime_ns == written


def test_a_failed_download_says_so_and_keeps_nothing(server: str, cache: Path) -> None:
    with pytest.raises(StorageError, match="the server answers 404"):
        find_weights(f"{server}/missing.h5")
    with pytest.raises(StorageError, match=r"cannot be downloaded \(ConnectError\)"):
        find_weights("http://127.0.0.1:1/missing.h5")
    assert list(cache.iterdir()) == []


def test_weights_of_another_network_are_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="no weights of backbone mobilenet_v2 without top for maps 32x32x3") as bad:
        start_network("mobilenet_v2", str(folder / FILE), RECIPE, 0.0)
    assert "\n" not in str(bad.value)
    wide = parse_recipe("ela1_q95_q90_gain15_32_bilinear")
    for name in (FILE, "network.keras"):
        with pytest.raises(InvalidConfig, match="32x32x6"):
            start_network("cnn", str(folder / name), wide, 0.0)
    (tmp_path / "text.weights.h5").write_text("no weights at all")
    with pytest.raises(InvalidConfig, match=r"text\.weights\.h5 holds no weights"):
        start_network("cnn", str(tmp_path / "text.weights.h5"), RECIPE, 0.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [("/nowhere/a.h5", "there are no weights at /nowhere/a.h5"), ("/etc/hostname", "of no known kind")],
)
def test_what_is_no_weights_file_is_refused_with_the_ways_out(weights: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        find_weights(weights)


def test_imagenet_offline_names_the_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A proxy nobody listens on stands in for a machine without internet.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(StorageError, match=r"ImageNet weights of mobilenet_v2 cannot be downloaded.*package:NAME/FILE"):
        start_network("mobilenet_v2", "imagenet", RECIPE, 0.0)
    with pytest.raises(InvalidConfig, match="no ImageNet weights for backbone cnn"):
        start_network("cnn", "imagenet", RECIPE, 0.0)


def test_random_weights_leave_the_norm_free() -> None:
    assert not has_frozen_norm(start_network("mobilenet_v2", "", RECIPE, 0.0))
