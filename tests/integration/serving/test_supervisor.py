"""The supervisor over real processes: real bundles, real TensorFlow, real sockets."""

import base64
import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from PIL import Image

from forgery.bundle import Bundle, BundleInfo, seal
from forgery.errors import InvalidConfig
from forgery.rollout.local import LocalService
from forgery.stores import publish
from serving.sdk import GRPCInferenceServiceStub, pb
from serving.sockets import LOOPBACK, listen
from serving.supervisor import run

pytestmark = pytest.mark.slow
RECIPE, OTHER_RECIPE = "ela1_q90_gain15_32_bilinear", "ela1_q75_gain20_48_box"
SCRIPT = """
import sys
from pathlib import Path
from serving.supervisor import run
sys.exit(run(Path(sys.argv[1]), 0, 0, on_ready=lambda http, grpc: print(http, grpc, flush=True)))
"""


class Service:
    """A supervisor process on a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = LocalService(folder)
        self._process: subprocess.Popen[str] | None = None
        self.url = self.grpc = ""

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def start(self) -> "Service":
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(self.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url, self.grpc = self._process.stdout.readline().split()
        return self

    def ask_for(self, uri: str) -> None:
        self.service.swap(self.service.read(), uri)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "status.json").read_text())
        return found

    def wait_for(self, state: str, timeout_s: float = 120) -> dict[str, Any]:
        generation = self.service.read().generation
        return wait_until(
            lambda: (s := self.status())["state"] == state and s["generation"] == generation and s, timeout_s
        )

    def infer(self, jpeg: bytes, client: httpx.Client) -> httpx.Response:
        return client.post(f"{self.url}/v1/detect?outputs=model_version,ela", content=jpeg)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def wait_until(condition: Callable[[], Any], timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, not started."""
    service = Service(tmp_path / "service")
    yield service
    if service._process is not None and service.process.poll() is None:
        service.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, uris: dict[str, str]) -> Iterator[Service]:
    """A service shared by tests that leave it running, with whichever model."""
    service = Service(tmp_path_factory.mktemp("running") / "service")
    service.ask_for(uris[RECIPE])
    yield service.start()
    assert service.stop() == 0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"file://{tmp_path_factory.mktemp('store')}"


@pytest.fixture(scope="module")
def uris(make_bundle: Callable[..., Bundle], store: str) -> dict[str, str]:
    """Two models that want different evidence, published."""
    return {recipe: publish(make_bundle(recipe=recipe), store) for recipe in (RECIPE, OTHER_RECIPE)}


def digest(uri: str) -> str:
    return uri.rsplit("/", 1)[1]


def side_of_ela(result: dict[str, Any]) -> int:
    return Image.open(io.BytesIO(base64.b64decode(result["ela"]))).width


class Load:
    """Asks some twenty times a second, over REST and gRPC, and keeps every answer."""

    def __init__(self, service: Service, jpeg: bytes) -> None:
        self.failures: list[str] = []
        self.results: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=ask, args=(service, jpeg)) for ask in (self._rest, self._grpc)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _rest(self, service: Service, jpeg: bytes) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._stop.wait(0.1):
                answer = service.infer(jpeg, client)
                if answer.status_code == 200:
                    self.results.extend(answer.json()["results"])
                else:
                    self.failures.append(answer.text)

    def _grpc(self, service: Service, jpeg: bytes) -> None:
        tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(jpeg)
        with grpc.insecure_channel(service.grpc.removeprefix("grpc://")) as channel:
            stub = GRPCInferenceServiceStub(channel)
            while not self._stop.wait(0.1):
                try:
                    stub.ModelInfer(pb.ModelInferRequest(model_name="forgery", inputs=[tensor]), timeout=60)
                except grpc.RpcError as error:
                    self.failures.append(error.details())


def test_models_change_under_load_without_a_failed_or_mixed_up_request(
    running: Service, uris: dict[str, str], jpeg: bytes
) -> None:
    service, one, other = running, uris[RECIPE], uris[OTHER_RECIPE]
    assert service.wait_for("serving")["modelVersion"] == digest(one)
    with Load(service, jpeg) as load:
        for uri in (other, one):
            service.ask_for(uri)
            assert service.wait_for("serving")["modelVersion"] == digest(uri)
            # From the moment the status says so, nothing else answers.
            seen = len(load.results)
            wait_until(lambda seen=seen: len(load.results) > seen + 10)
            # The one in flight when the status was written may be the last of the old model.
            assert {result["model_version"] for result in load.results[seen + 1 :]} == {digest(uri)}
        results = list(load.results)
    assert load.failures == []
    sides = {digest(one): 32, digest(other): 48}
    assert all(side_of_ela(result) == sides[result["model_version"]] for result in results)


def test_a_bundle_that_does_not_load_leaves_the_old_one_serving(
    running: Service, uris: dict[str, str], tmp_path: Path, jpeg: bytes
) -> None:
    service = running
    service.ask_for(uris[RECIPE])
    service.wait_for("serving")
    with httpx.Client(timeout=30) as client:
        for uri, said in _broken(uris[OTHER_RECIPE], tmp_path).items():
            service.ask_for(uri)
            status = service.wait_for("failed")
            assert said in status["message"]
            assert status["modelVersion"] == digest(uris[RECIPE])
            assert service.infer(jpeg, client).json()["results"][0]["model_version"] == digest(uris[RECIPE])
        service.ask_for(uris[RECIPE])
        assert service.wait_for("serving", timeout_s=5)["message"] == ""


def _broken(uri: str, folder: Path) -> dict[str, str]:
    """URIs that cannot be served, with what must be said of each."""
    lying = folder / "lying" / "bundle"
    shutil.copytree(uri.removeprefix("file://"), lying)
    expected = lying / "golden" / "golden.json"
    golden = json.loads(expected.read_text())
    expected.write_text(json.dumps({**golden, "probability_forged": golden["probability_forged"] / 2 + 0.1}))
    resealed = seal(lying, BundleInfo.model_validate_json((lying / "bundle.json").read_text()))
    lying.rename(lying.with_name(resealed.digest))
    return {
        f"file://{folder}/{'0' * 32}": "there is no bundle",
        f"file://{lying.with_name(resealed.digest)}": "on the golden picture",
    }


def test_what_ends_is_started_again(running: Service, jpeg: bytes) -> None:
    service = running
    service.wait_for("serving")
    for module in ("serving.predictor", "serving.transformer"):
        (victim,) = (child for child in service.children() if module in child.cmdline())
        victim.kill()
        wait_until(lambda gone=victim: not gone.is_running())

        def answered() -> bool:
            with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=30) as client:
                return service.infer(jpeg, client).status_code == 200
            return False

        wait_until(answered)


def test_one_folder_has_one_supervisor(service: Service) -> None:
    service.start()
    second = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(service.folder)], capture_output=True, text=True, timeout=60
    )
    assert second.returncode != 0
    assert "is being served already" in second.stderr
    assert service.status()["state"] == "waiting"
    assert httpx.get(f"{service.url}/v2/health/ready").status_code == 503


def test_nothing_outlives_the_supervisor_even_when_it_is_killed(service: Service, uris: dict[str, str]) -> None:
    service.ask_for(uris[RECIPE])
    service.start()
    children = service.children()
    assert len(children) == 2
    service.process.kill()
    wait_until(lambda: not any(child.is_running() for child in children))


def test_ctrl_c_is_a_clean_end(service: Service) -> None:
    service.start()
    children = service.children()
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(30) == 0
    assert not any(child.is_running() for child in children)


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with listen(LOOPBACK, 0) as taken, pytest.raises(InvalidConfig, match="choose another port"):
        run(tmp_path / "service", taken.getsockname()[1], 0)
    assert not (tmp_path / "service" / "logs").exists()
