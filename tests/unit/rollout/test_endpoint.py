"""Asking the endpoint which model answers, against a small HTTP server in the transformer's place."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client
from PIL import Image

from forgery.errors import ServiceUnavailable
from forgery.rollout.cluster import Cluster
from forgery.rollout.endpoint import open_endpoint, probe


class Transformer(BaseHTTPRequestHandler):
    status: int
    answer: object
    paths: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.paths.append(self.path)
        content = json.dumps(self.answer).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Transformer.status, Transformer.answer, Transformer.paths = 200, {"model_version": "digest"}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Transformer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def cluster(server: str) -> Cluster:
    settings = client.Configuration(host=server)
    settings.retries = False
    return Cluster(client.ApiClient(settings))


@pytest.fixture(params=["directly", "by the API server"])
def way(request: pytest.FixtureRequest, server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if request.param == "directly":
        monkeypatch.setenv("FORGERY_ENDPOINT", server + "/")
    return str(request.param)


def test_the_version_that_answers_is_told(way: str, cluster: Cluster) -> None:
    assert open_endpoint(cluster, "ns", "forgery")() == "digest"
    prefix = "" if way == "directly" else "/api/v1/namespaces/ns/services/forgery-transformer:80/proxy"
    assert Transformer.paths == [f"{prefix}/v2/models/forgery/infer"]


@pytest.mark.parametrize(
    ("status", "answer"), [(503, {}), (500, {}), (404, {}), (200, {}), (200, {"model_version": ""})]
)
def test_whatever_else_it_answers_is_said_at_once(way: str, cluster: Cluster, status: int, answer: object) -> None:
    Transformer.status, Transformer.answer = status, answer
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        open_endpoint(cluster, "ns", "forgery")()
    assert len(Transformer.paths) == 1


def test_the_probe_is_a_picture() -> None:
    (tensor,) = probe()["inputs"]
    image = Image.open(io.BytesIO(base64.b64decode(tensor["data"][0])))
    assert (image.format, image.mode) == ("JPEG", "RGB")
