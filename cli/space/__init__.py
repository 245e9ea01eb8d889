"""A folder for a Space of the Hugging Face Hub: the page for people, and the model behind it, in one container.

<folder>/
  README.md          the Space's settings: built with docker, since the Hub's own way of running Streamlit is deprecated
  Dockerfile         installs requirements.txt and runs app.py
  app.py             starts the two servers and the page
  models/<digest>/   the bundle as it was sealed
  examples/          pictures to try
  forgery/ serving/ ui/   the code of all three
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx

from cli.endpoint import score
from forgery.bundle import Bundle
from forgery.engine import PROBABILITY
from forgery.errors import ExportFailed, ForgeryError
from forgery.exports.extra import need
from forgery.exports.proof import Proof
from forgery.exports.travelling import MODULES, REQUIREMENTS, copy_library, copy_package, engine_of, pinned_deeply
from forgery.golden import TOLERANCE, read_golden
from serving.sockets import LOOPBACK, free_ports

# Beyond what scoring needs: what the servers and the page import.
LIBRARY = (*(name for name in MODULES if name != "scoring"), "feedback", "golden", "s3")
PACKAGES = ("recipes",)
LOGGED = ("__init__", "payloads", "reference")
DISTRIBUTIONS = (
    *REQUIREMENTS,
    "kserve",
    "prometheus-client",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "streamlit",
    "httpx",
    "jinja2",
    "minio",
)
_FILES = ("app.py", "Dockerfile")
_START_TIMEOUT_S = 300.0


def write(bundle: Bundle, folder: Path, name: str) -> Proof:
    """Fill the folder, start it as the container would, and have its endpoint score the golden picture."""
    need("a Space", "streamlit", "kserve", "jinja2", "yaml")
    shutil.copytree(bundle.path, folder / "models" / bundle.digest)
    _copy_code(folder)
    for file in _FILES:
        shutil.copyfile(Path(__file__).with_name(file), folder / file)
    engine, requirement = engine_of(bundle)
    (folder / "requirements.txt").write_text(pinned_deeply(*DISTRIBUTIONS) + requirement)
    _make_examples(folder / "examples")
    (folder / "README.md").write_text(_readme(bundle, name))
    return _prove(bundle, folder, engine)


def _copy_code(folder: Path) -> None:
    copy_library(folder, LIBRARY, PACKAGES)
    import forgery.monitoring

    source, target = Path(forgery.monitoring.__file__).parent, folder / "forgery" / "monitoring"
    target.mkdir()
    for name in LOGGED:
        shutil.copyfile(source / f"{name}.py", target / f"{name}.py")
    for package in ("serving", "ui"):
        spec = find_spec(package)
        assert spec is not None  # noqa: S101 -- part of this distribution
        copy_package(
            Path(spec.submodule_search_locations[0]) if spec.submodule_search_locations else folder, folder / package
        )


def _make_examples(folder: Path) -> None:
    """Pictures to try, where the photographs that they are made from are installed."""
    from ui.examples import make_examples

    if find_spec("skimage") and find_spec("sklearn"):
        with tempfile.TemporaryDirectory() as scratch:
            shutil.copytree(make_examples(Path(scratch) / "examples"), folder)


def _readme(bundle: Bundle, name: str) -> str:
    import yaml

    from forgery.reports import render

    settings = {
        "title": name,
        "emoji": "🔎",
        "colorFrom": "green",
        "colorTo": "blue",
        "sdk": "docker",
        "app_port": 7860,
        "short_description": "Was this picture edited? Verdict, evidence, limits.",
        "tags": ["image-forensics", "image-forgery-detection"],
    }
    metadata = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False).strip()
    return render("space.md.j2", metadata=metadata, name=name, digest=bundle.digest)


def _prove(bundle: Bundle, folder: Path, engine: str) -> Proof:
    golden = read_golden(bundle)
    with _running(folder) as url:
        try:
            found = float(score(url, "golden", golden.picture)["probability_forged"])
        except ForgeryError as error:
            raise ExportFailed(f"the Space's endpoint refuses the golden picture: {error}") from error
    difference = abs(found - golden.expected.probability_forged)
    # Written so that NaN fails too.
    if not difference <= TOLERANCE:
        raise ExportFailed(
            f"the Space's endpoint is off by {difference:.1e} on the golden picture: nothing was written"
        )
    return Proof(runtime=f"the Space, started with {engine},", maps=1, largest_difference={PROBABILITY: difference})


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    """The Space as its container starts it, page and all; the address of its endpoint."""
    page, rest, grpc, behind, behind_grpc = map(str, free_ports(5))
    command = [sys.executable, "app.py", "--port", page, "--address", LOOPBACK]
    command += ["--endpoint-ports", rest, grpc, "--predictor-ports", behind, behind_grpc]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FORGERY_")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            if not _answers(f"http://{LOOPBACK}:{page}/_stcore/health", process):
                log.seek(0)
                lines = [line for line in log.read().splitlines() if line.strip()] or ["nothing"]
                raise ExportFailed(f"the exported Space does not start; its last line: {lines[-1]}")
            yield f"http://{LOOPBACK}:{rest}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _answers(url: str, process: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).is_success:
                return True
        except httpx.TransportError:
            time.sleep(0.2)
    return False
