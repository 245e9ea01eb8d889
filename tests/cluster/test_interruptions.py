"""The deploying process dies, the API server goes away, the service is deleted: never half."""

import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from forgery.bundle import Bundle
from forgery.rollout.port import Revision
from forgery.rollout.transaction import deploy, undo

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

DRIVER = Path(__file__).with_name("deploy_and_die.py")
Put = Callable[..., Revision]


@pytest.fixture(scope="module")
def bundles(make_bundle: Callable[..., Bundle]) -> dict[str, Bundle]:
    return {"a": make_bundle(bias=0.0, seed=0), "c": make_bundle(bias=2.0, seed=2)}


@pytest.mark.parametrize("moment", ["before swap", "after swap", "after wait_served", "after record"])
def test_a_deploy_killed_and_repeated_ends_in_one_revision(
    place: Any, put: Put, bundles: dict[str, Bundle], moment: str
) -> None:
    put(bundles["a"], f"a {moment}")
    service = place.service()
    state, before = service.read(), service.history()

    def attempt(when: str) -> subprocess.CompletedProcess[str]:
        arguments = [place.namespace, str(bundles["c"].path), place.bundles, state.storage_uri, str(state.generation)]
        command = [sys.executable, str(DRIVER), *arguments, f"c {moment}", when]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert attempt(moment).returncode == -signal.SIGKILL
    assert service.read().storage_uri in (state.storage_uri, f"{place.bundles}/{bundles['c'].digest}")
    done = attempt("never")
    assert done.returncode == 0, done.stderr
    added = service.history()[len(before) :]
    assert [(entry.run_id, entry.outcome) for entry in added] == [(f"c {moment}", "serving")]
    assert service.read().storage_uri == added[0].storage_uri


class Wire(socketserver.ThreadingTCPServer):
    """Passes connections on to the API server, until it is cut."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, target: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.target = target
        self.cut = threading.Event()
        self.open: list[socket.socket] = []

    def away(self, seconds: float) -> None:
        """Cut all connections and accept none for so long."""
        self.cut.set()
        for end in self.open:
            end.close()
        self.open.clear()
        time.sleep(seconds)
        self.cut.clear()


class _Pass(socketserver.BaseRequestHandler):
    server: Wire

    def handle(self) -> None:
        if self.server.cut.is_set():
            return
        with socket.create_connection(self.server.target) as far:
            self.server.open += [self.request, far]
            back = threading.Thread(target=_copy, args=(far, self.request), daemon=True)
            back.start()
            _copy(self.request, far)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while content := source.recv(65536):
            target.sendall(content)
    except OSError:
        pass
    finally:
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to the API server of this process, which can be cut."""
    settings = yaml.safe_load(
        subprocess.run(
            ["kubectl", "config", "view", "--raw", "--minify", "--flatten"], check=True, capture_output=True, text=True
        ).stdout
    )
    endpoint = settings["clusters"][0]["cluster"]
    host, _, port = endpoint["server"].removeprefix("https://").partition(":")
    wire = Wire((host, int(port or 443)))
    threading.Thread(target=wire.serve_forever, daemon=True).start()
    endpoint |= {"server": f"https://127.0.0.1:{wire.server_address[1]}", "tls-server-name": host}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    yield wire
    wire.shutdown()
    wire.server_close()


def test_an_api_server_away_for_30_s_delays_a_deploy_and_a_rollback(
    place: Any, put: Put, bundles: dict[str, Bundle], wire: Wire, tmp_path: Path
) -> None:
    first = put(bundles["a"], "before")
    service = place.service()
    number = len(service.history())
    for act in ("deploy", "undo"):
        cutting = threading.Timer(3, wire.away, [30])
        cutting.start()
        begin = time.monotonic()
        if act == "deploy":
            revision = deploy(service, bundles["c"], place.bundles, service.read(), 0.9, "away", lambda _: None, 180)
        else:
            revision = undo(service, None, lambda _: None, tmp_path, 180, "away-undo")
        cutting.join()
        number += 1
        assert len(service.history()) == number
        assert service.read().storage_uri == revision.storage_uri
        assert time.monotonic() - begin > 30
    assert revision.storage_uri == first.storage_uri


def test_deleting_the_service_leaves_nothing_behind(place: Any, put: Put, bundles: dict[str, Bundle]) -> None:
    put(bundles["a"], "last")
    assert place.service().history()
    command = ["kubectl", "--namespace", place.namespace]
    subprocess.run([*command, "delete", "inferenceservice", "forgery", "--timeout=120s"], check=True, env=os.environ)
    deadline = time.monotonic() + 90
    kinds = "controllerrevisions,deployments,services,pods"
    while time.monotonic() < deadline:
        left = place.get(kinds, "-l", "serving.kserve.io/inferenceservice=forgery")["items"]
        if not left:
            return
        time.sleep(1)
    pytest.fail(f"left behind: {[item['metadata']['name'] for item in left]}")
