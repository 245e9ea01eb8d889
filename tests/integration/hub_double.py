"""A Hub on this machine: what the real client asks of the real one, answered from memory."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_ofthetests"
# Larger files go through the large file storage, as on the Hub.
REGULAR_BYTES = 10_000


@dataclass
class Repository:
    """One repository: its address, what it was made with, files by path."""

    url: str
    made_with: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0


@dataclass
class Hub:
    """Repositories by `kind/owner/name`, blobs by SHA-256."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub that listens on a free port of the loopback address while the block runs."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid credentials"}, 401)
        path = self.path.split("?")[0]
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return self._answer({"warnings": [], "errors": []})
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        repository, verb = self._asked_for(path)
        return self._preupload(json.loads(body)) if verb == "preupload" else self._commit(repository, body)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.blobs[hashlib.sha256(content).hexdigest()] = content
        self._answer({})

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if "/tree/" not in path:
            return self._answer({"error": "Invalid credentials"}, 401)
        repository, _ = self._asked_for(path)
        return self._answer([{"type": "file", "path": name, "size": 1, "oid": "0"} for name in repository.files])

    def _asked_for(self, path: str) -> tuple[Repository, str]:
        kind, owner, name, verb = path.removeprefix("/api/").split("/")[:4]
        return self.hub.repositories[f"{kind.removesuffix('s')}/{owner}/{name}"], verb

    def _create(self, asked: dict[str, Any]) -> None:
        kind, owner = asked.get("type") or "model", asked.get("organization") or "me"
        key = f"{kind}/{owner}/{asked['name']}"
        url = f"{self.hub.url}/{'spaces/' if kind == 'space' else ''}{owner}/{asked['name']}"
        if key in self.hub.repositories:
            return self._answer({"error": "You already created this repo", "url": url}, 409)
        self.hub.repositories[key] = Repository(url, asked)
        return self._answer({"url": url, "name": f"{owner}/{asked['name']}"})

    def _preupload(self, asked: dict[str, Any]) -> None:
        files = [
            {
                "path": each["path"],
                "uploadMode": "regular" if each["size"] < REGULAR_BYTES else "lfs",
                "shouldIgnore": False,
            }
            for each in asked["files"]
        ]
        self._answer({"files": files})

    def _batch(self, asked: dict[str, Any]) -> None:
        href = f"{self.hub.url}/blobs"
        objects = [{**each, "actions": {"upload": {"href": href, "header": {}}}} for each in asked["objects"]]
        self._answer({"transfer": "basic", "objects": objects})

    def _commit(self, repository: Repository, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
        repository.commits += 1
        self._answer({"success": True, "commitOid": "1" * 40, "commitUrl": f"{repository.url}/commit/{'1' * 40}"})

    def _answer(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
