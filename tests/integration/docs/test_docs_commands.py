"""The tutorial and the how-to guides: what can run here is run as it stands, the rest is parsed."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # the module beside this one

from docs_commands import DOCS, blocks, files, script

from cli.__main__ import app
from cli.home import Home
from forgery.config import RunConfig
from forgery.exports import FORMATS
from forgery.rollout.port import Revision
from forgery.rollout.service import open_service
from forgery.stores import publish
from serving.sockets import free_ports

PAGES = ["tutorial.md", *sorted(f"how-to/{path.name}" for path in (DOCS / "how-to").glob("*.md"))]
# Minutes in the tutorial; the same steps on what a test has time for.
QUICK = {
    "recipe": "ela1_q90_gain15_32_bilinear",
    "backbone": "cnn",
    "variants": [],
    "training": {"epochs": 2},
    "data": {"min_class_pictures": 5},
    "rule": {
        "views": ["raw"],
        "floor": 0.0,
        "min_balanced_accuracy": 0.0,
        "max_control": 1.0,
        "sample_pictures": 8,
        "robustness_pictures": 0,
    },
}
# A minute on a quiet machine; two trainings, two servers and five more processes on a busy one.
LIMIT_S = 840


def run(text: str, folder: Path, **environment: str) -> str:
    """Run a script as a person at a prompt would, but stop at the first failure."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", "-c", f"set -euo pipefail\n{text}"],
        cwd=folder,
        env={**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output[-6000:]
    return output


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 20)
def test_the_tutorial_goes_from_nothing_to_a_model_and_back(tmp_path: Path) -> None:
    http, grpc = free_ports(2)
    text = script("tutorial.md").replace("127.0.0.1:8080", f"127.0.0.1:{http}").replace("pictures 120", "pictures 60")
    text = text.replace("forgery serve", f"forgery serve --http-port {http} --grpc-port {grpc}")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(QUICK))
    output = run(text, tmp_path)
    history = open_service(f"local:{tmp_path / '.forgery' / 'service'}").history()
    assert [revision.reason for revision in history] == ["deploy", "deploy", "rollback"]
    assert history[2].model_version == history[0].model_version != history[1].model_version
    assert "fewer than 200" in output
    assert "learnt from" in output


def a_deployment(uri: str, version: str) -> Revision:
    return Revision(
        number=0,
        storage_uri=uri,
        model_version=version,
        f1=0.8,
        run_id="",
        created_at="2026-03-01T12:00:00+00:00",
        reason="deploy",
        outcome="serving",
    )


@pytest.mark.slow
def test_a_rollback_at_night(tmp_path: Path, make_bundle: Callable[..., Any]) -> None:
    home = Home(tmp_path / "home")
    service = open_service(home.places()["service"])
    for bias in (-4.0, 4.0, 2.0):
        bundle = make_bundle(bias=bias)
        uri = publish(bundle, home.places()["bundles"])
        service.swap(service.read(), uri)
        service.record(a_deployment(uri, bundle.digest))
    run(script("how-to/rollback.md"), tmp_path, FORGERY_HOME=str(home.path))
    history = service.history()
    assert [revision.model_version for revision in history[3:]] == [
        make_bundle(bias=4.0).digest,
        make_bundle(bias=-4.0).digest,
    ]


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 20)
def test_the_model_in_service_goes_elsewhere(tmp_path: Path, make_bundle: Callable[..., Any]) -> None:
    home = Home(tmp_path / "home")
    bundle = make_bundle(bias=2.0)
    service = open_service(home.places()["service"])
    service.swap(service.read(), publish(bundle, home.places()["bundles"]))
    shutil.copyfile(bundle.path / "golden" / "picture.jpg", tmp_path / "photo.jpg")
    output = run(script("how-to/export.md"), tmp_path, FORGERY_HOME=str(home.path))
    expected = json.loads((bundle.path / "golden" / "golden.json").read_text())["probability_forged"]
    found = float(re.findall(r"^(\S+) threshold", output, re.MULTILINE)[0])
    scored = json.loads(re.findall(r'^{"file".*}$', output, re.MULTILINE)[0])
    assert found == pytest.approx(expected, abs=1e-5)
    assert scored["probability_forged"] == pytest.approx(expected, abs=1e-5)
    receipts = [json.loads(path.read_text()) for path in (tmp_path / "exported").glob("*/export.json")]
    assert {each["format"] for each in receipts} == set(FORMATS) - {"saved_model"} | {"space"}
    assert {each["bundle"] for each in receipts} == {bundle.digest}


def test_the_page_on_exports_tells_of_every_format() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "how-to" / "export.md").read_text(), re.MULTILINE))
    assert told == {*FORMATS, "space"}


@pytest.mark.slow
def test_own_pictures_are_described(tmp_path: Path) -> None:
    run("forgery data make photos --pictures 60", tmp_path)
    run(script("how-to/own-data.md"), tmp_path)
    assert "<html" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_a_demo_needs_no_network(tmp_path: Path) -> None:
    """With every way out leading to a port where nobody listens."""
    nowhere = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), nowhere)
    run(script("how-to/air-gapped.md"), tmp_path, **proxies)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists_with_its_options(page: str) -> None:
    lines = [line for block in blocks(page) for line in block.code.splitlines() if line.startswith("forgery ")]
    assert lines
    for line in lines:
        plain = re.sub(r'"\$\([^)]*\)"', "FILE", line).split(" > ")[0].split(" | ")[0]
        words = shlex.split(plain)
        command: Any = typer.main.get_command(app)
        arguments = words[1:]
        while hasattr(command, "commands"):
            command, arguments = command.commands[arguments[0]], arguments[1:]
        command.make_context(words[0], arguments).close()


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_shows_are_accepted(page: str) -> None:
    for text in files(page).values():
        RunConfig.read(yaml.safe_load(text))


def test_every_make_target_that_a_page_names_is_there() -> None:
    makefile = (DOCS.parent / "Makefile").read_text()
    for page in PAGES:
        for line in (line for block in blocks(page) for line in block.code.splitlines() if line.startswith("make ")):
            assert f"\n{line.split()[1]}:" in makefile, line
