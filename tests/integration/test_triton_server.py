"""The exported repository on a Triton server, where one is at hand.

`nvidia-pytriton` brings the server with its Python backend, not the one for ONNX: that one is stood in for. Like this:

    uv venv triton && uv pip install --python triton/bin/python nvidia-pytriton onnxruntime
    FORGERY_TRITON=triton pytest tests/integration/test_triton_server.py
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from forgery.bundle import Bundle
from forgery.engine import OUTPUTS, Engine
from forgery.exports import export_bundle
from forgery.exports.proof import probes
from serving.sockets import LOOPBACK, free_ports

TRITON = os.environ.get("FORGERY_TRITON", "")
START_TIMEOUT_S = 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TRITON, reason="FORGERY_TRITON names no environment with nvidia-pytriton and onnxruntime"),
]


@pytest.fixture(scope="module")
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle(seed=5)


@pytest.fixture(scope="module")
def url(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on the exported repository, unchanged."""
    folder = tmp_path_factory.mktemp("triton")
    export_bundle(bundle, "triton", folder / "repository", "detector")
    environment = Path(TRITON).absolute()
    (packages,) = environment.glob("lib/python3.*/site-packages")
    server = packages / "pytriton" / "tritonserver"
    backends(server, packages, folder / "backends")
    (port,) = free_ports(1)
    command = [server / "bin" / "tritonserver", f"--model-repository={folder / 'repository'}"]
    command += [f"--backend-directory={folder / 'backends'}", f"--http-address={LOOPBACK}", f"--http-port={port}"]
    command += ["--allow-grpc=false", "--allow-metrics=false"]
    variables = {
        **os.environ,
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(packages),
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            await_ready(f"http://{LOOPBACK}:{port}/v2/models/detector/ready", process, folder / "log")
            yield f"http://{LOOPBACK}:{port}/v2/models/detector"
        finally:
            process.terminate()
            process.wait()


def backends(server: Path, packages: Path, target: Path) -> None:
    """The server's own Python backend, and on it the stand-in for the one of ONNX."""
    shutil.copytree(server / "backends" / "python", target / "python")
    version = packages.parent.name.removeprefix("python")
    shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", target / "python")
    (target / "onnxruntime").mkdir()
    shutil.copy(Path(__file__).with_name("triton_onnx_backend.py"), target / "onnxruntime" / "model.py")


def await_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError(f"Triton did not start:\n{log.read_text()[-3000:]}")


def test_triton_declares_what_the_predictor_declares(url: str, bundle: Bundle) -> None:
    told = httpx.get(url).json()
    height, width = Engine(bundle).activation_shape
    assert told["platform"] == "onnxruntime_onnx"
    assert told["inputs"] == [{"name": bundle.recipe.name, "datatype": "UINT8", "shape": [-1, *bundle.recipe.shape]}]
    assert told["outputs"] == [
        {"name": "probability_forged", "datatype": "FP32", "shape": [-1]},
        {"name": "activation_map", "datatype": "FP32", "shape": [-1, height, width]},
    ]


def test_triton_gives_the_bundles_answers(url: str, bundle: Bundle) -> None:
    maps = probes(bundle)
    tensor = {"name": bundle.recipe.name, "datatype": "UINT8", "shape": maps.shape, "data": maps.ravel().tolist()}
    answer = httpx.post(f"{url}/infer", json={"inputs": [tensor]}, timeout=60).json()
    found: dict[str, Any] = {each["name"]: each for each in answer["outputs"]}
    expected = Engine(bundle).predict(maps, OUTPUTS)
    for name in OUTPUTS:
        assert found[name]["shape"] == list(expected[name].shape)
        assert found[name]["data"] == pytest.approx(expected[name].ravel().tolist(), abs=1e-5)
