"""MLflow as the manifests start it, on a real PostgreSQL; skipped where none is installed."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import yaml

from serving.sockets import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANIFEST = Path(__file__).parents[2] / "manifests/base/tracking/mlflow.yaml"
STARTED_WITHIN_S = 120


def installed(program: str) -> str | None:
    """Debian keeps the server's programs out of PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(debian[-1]) if debian else shutil.which(program)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URI of an empty database."""
    initdb, server = installed("initdb"), installed("postgres")
    if not initdb or not server:
        pytest.skip("PostgreSQL is not installed")
    user = None
    if os.geteuid() == 0:  # it refuses to be run by root
        user = next((entry.pw_name for entry in pwd.getpwall() if entry.pw_name == "postgres"), None)
        if user is None:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    # Of its own: the folders above pytest's are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if user:
        shutil.chown(folder, user)
    data, (port,) = folder / "data", free_ports(1)
    arguments = [initdb, "-D", str(data), "-U", "mlflow", "--auth=trust", "-E", "UTF8"]
    subprocess.run(arguments, check=True, capture_output=True, user=user, cwd=folder)
    options = ["-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
    running = subprocess.Popen([server, *options], user=user, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        until_it_listens(port)
        yield f"postgresql://mlflow@127.0.0.1:{port}/postgres"
    finally:
        running.terminate()
        running.wait(30)
        shutil.rmtree(folder)


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"nothing listens on port {port} after {STARTED_WITHIN_S} s")


@pytest.fixture(scope="module")
def tracking(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An MLflow server with the manifest's arguments but for its places."""
    deployment = next(each for each in yaml.safe_load_all(MANIFEST.read_text()) if each["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    folder, (port,) = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    places = {"--host": "127.0.0.1", "--port": str(port), "--artifacts-destination": str(folder / "artifacts")}
    arguments = [
        f"{key}={places.get(key, value)}" if value else key
        for key, _, value in (argument.partition("=") for argument in container["args"])
    ]
    program = [str(Path(sys.executable).with_name(container["command"][0])), *container["command"][1:]]
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": postgres}
    with (folder / "log").open("w") as log:
        running = subprocess.Popen([*program, *arguments], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        until_it_listens(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(30)


def test_a_run_a_model_and_its_alias_are_kept(tracking: str) -> None:
    from mlflow import MlflowClient

    assert httpx.get(f"{tracking}/health", timeout=60).text == "OK"
    client = MlflowClient(tracking)
    run = client.create_run(client.create_experiment("forgery"))
    client.log_metric(run.info.run_id, "f1", 0.5)
    client.create_registered_model("forgery")
    version = client.create_model_version("forgery", "s3://models/a", run.info.run_id)
    client.set_registered_model_alias("forgery", "champion", version.version)
    assert client.get_model_version_by_alias("forgery", "champion").source == "s3://models/a"
    assert client.get_run(run.info.run_id).data.metrics == {"f1": 0.5}
