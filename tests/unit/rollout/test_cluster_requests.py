"""Requests to the Kubernetes API against a small HTTP server that misbehaves as told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kubernetes import client

from forgery.errors import ServiceUnavailable
from forgery.rollout.cluster import Cluster, Refused, connect_cluster


class Handler(BaseHTTPRequestHandler):
    """Answers with the statuses in `script`, then 200 with what it was sent."""

    script: list[int]
    seen: list[tuple[str, str, str]]

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.seen.append((self.command, self.path, self.headers.get("Content-Type", "")))
        status = self.script.pop(0) if self.script else 200
        answer = {"message": f"status {status}", "body": body}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Handler.script, Handler.seen = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def open_cluster(port: int, patience_s: float = 10) -> Cluster:
    settings = client.Configuration(host=f"http://127.0.0.1:{port}")
    settings.retries = False
    return Cluster(client.ApiClient(settings), patience_s)


def test_an_api_server_that_is_away_for_a_while_is_waited_for(server: ThreadingHTTPServer) -> None:
    Handler.script = [503, 500]
    answer = open_cluster(server.server_port).request("GET", "/api", query={"labelSelector": "a=b"})
    assert answer["message"] == "status 200"
    assert [path for _, path, _ in Handler.seen] == ["/api?labelSelector=a%3Db"] * 3


def test_a_patch_is_a_json_patch(server: ThreadingHTTPServer) -> None:
    operations = [{"op": "test", "path": "/a", "value": None}]
    answer = open_cluster(server.server_port).request("PATCH", "/api", operations)
    assert Handler.seen[0][2] == "application/json-patch+json"
    assert json.loads(answer["body"]) == operations


def test_a_definite_no_is_not_repeated(server: ThreadingHTTPServer) -> None:
    Handler.script = [422]
    with pytest.raises(Refused, match="status 422") as refused:
        open_cluster(server.server_port).request("PATCH", "/api", [])
    assert refused.value.status == 422
    assert len(Handler.seen) == 1


@pytest.mark.parametrize(("status", "message"), [(403, "lacks a right"), (401, "does not accept this account")])
def test_missing_rights_are_said(server: ThreadingHTTPServer, status: int, message: str) -> None:
    Handler.script = [status]
    with pytest.raises(ServiceUnavailable, match=message):
        open_cluster(server.server_port).request("GET", "/api")


def test_an_api_server_that_stays_away_is_said(server: ThreadingHTTPServer) -> None:
    Handler.script = [503] * 50
    with pytest.raises(ServiceUnavailable, match=r"has not answered for 1 s \(503"):
        open_cluster(server.server_port, patience_s=1).request("GET", "/api")


def test_no_server_at_all_is_said(server: ThreadingHTTPServer) -> None:
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(ServiceUnavailable, match="has not answered"):
        open_cluster(port, patience_s=1).request("GET", "/api")


def test_without_a_cluster_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "absent"))
    with pytest.raises(ServiceUnavailable, match="set KUBECONFIG"):
        connect_cluster()
