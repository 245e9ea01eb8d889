"""`forgery status`: one screen, each part from its own place."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.home import Home
from cli.kubeflow.connection import Address
from cli.overview import gather
from cli.overview_view import print_overview
from cli.past_runs import read_past_runs
from forgery.bundle import Bundle
from forgery.monitoring.drift import Drift
from forgery.rollout.port import Revision
from forgery.rollout.service import open_service
from forgery.stores import publish
from forgery.tracking import open_run, register_version, set_champion
from forgery.tracking.lookups import read_champion

NOWHERE = Address()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow: making one takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    assert read_champion(f"sqlite:///{path}") is None
    return path


@pytest.fixture
def home(tmp_path: Path, database: Path) -> Home:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    shutil.copy(database, home.path / "mlflow.db")
    return home


@pytest.fixture
def served(home: Home, make_light_bundle: Callable[[str], Bundle]) -> Bundle:
    """A bundle in service as revision 1, and champion in MLflow."""
    bundle, places = make_light_bundle("first"), home.places()
    service = open_service(places["service"])
    uri = publish(bundle, places["bundles"])
    service.swap(service.read(), uri)
    service.record(revision(bundle, uri, "serving"))
    register_version(places["tracking"], bundle, uri, "run-1")
    set_champion(places["tracking"], bundle.digest)
    return bundle


def revision(bundle: Bundle, uri: str, outcome: Any, message: str = "") -> Revision:
    return Revision(
        number=0,
        storage_uri=uri,
        model_version=bundle.digest,
        f1=0.812,
        run_id="run-1",
        created_at=datetime(2026, 3, 1, 12, tzinfo=UTC).isoformat(),
        reason="deploy",
        outcome=outcome,
        message=message,
    )


@pytest.fixture
def endpoint() -> Iterator[Callable[[list[str], bool], str]]:
    """Starts an endpoint that answers with these versions."""
    servers: list[ThreadingHTTPServer] = []

    def start(versions: list[str], ready: bool = True) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = 200 if ready or not self.path.endswith("/ready") else 503
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps({"models": ["forgery"], "versions": versions}).encode())

            def log_message(self, format: str, *arguments: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def states(found: dict[str, Any]) -> dict[str, str]:
    return {name: section.state for name, section in found.items()}


def test_a_service_in_order(
    home: Home, served: Bundle, endpoint: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run(home.places()["tracking"], "watch", {"kind": "monitoring", "bundle_digest": served.digest}) as run:
        run.log_metrics(Drift(False, "no shift in 300 pictures", 300).scalars)
        run.set_tags({"drift": "no shift in 300 pictures"})
    found = gather(home, None, endpoint([served.digest]), None, NOWHERE)
    assert states(found) == {
        "service": "ok",
        "health": "ok",
        "champion": "ok",
        "drift": "ok",
        "runs": "unknown",
        "schedules": "unknown",
    }
    assert found["service"].values()["number"] == 1
    print_overview(found)
    screen = capsys.readouterr().out
    for part in ("revision 1 (deploy, 2026-03-01 12:00 UTC), F1 0.812", "version 1 in MLflow", "no shift in 300"):
        assert part in screen
    assert len(screen.splitlines()) <= 24


def test_before_the_first_model_nothing_is_wrong(home: Home) -> None:
    assert set(states(gather(home, None, None, None, NOWHERE)).values()) == {"unknown"}


def test_an_endpoint_with_another_model_or_without_one_is_told(
    home: Home, served: Bundle, endpoint: Callable[..., str]
) -> None:
    other = gather(home, None, endpoint(["another"]), None, NOWHERE)["health"]
    assert (other.state, "another model" in other.said) == ("attention", True)
    unready = gather(home, None, endpoint([], False), None, NOWHERE)["health"]
    assert (unready.state, "not ready" in unready.said) == ("attention", True)
    away = gather(home, None, "http://127.0.0.1:9", None, NOWHERE)["health"]
    assert (away.state, "nothing answers" in away.said) == ("attention", True)


def test_a_rollout_that_failed_since_is_told(home: Home, served: Bundle, make_light_bundle: Any) -> None:
    service = open_service(home.places()["service"])
    service.record(revision(make_light_bundle("second"), "file:///elsewhere/second", "failed", "it crashed"))
    section = gather(home, None, None, None, NOWHERE)["service"]
    assert (section.state, section.said) == ("attention", "revision 2 did not come into service: it crashed")
    assert section.facts["number"] == 1


def test_a_champion_that_is_not_in_service_is_told(home: Home, served: Bundle, make_light_bundle: Any) -> None:
    second, places = make_light_bundle("second"), home.places()
    register_version(places["tracking"], second, "file:///x", "run-2")
    set_champion(places["tracking"], second.digest)
    section = gather(home, None, None, None, NOWHERE)["champion"]
    assert (section.state, "not the model in service" in section.said) == ("attention", True)


def test_drift_of_the_model_before_is_no_news(home: Home, served: Bundle) -> None:
    with open_run(home.places()["tracking"], "watch", {"kind": "monitoring", "bundle_digest": "before"}) as run:
        run.log_metrics(Drift(True, "shifted: score", 300).scalars)
        run.set_tags({"drift": "shifted: score"})
    section = gather(home, None, None, None, NOWHERE)["drift"]
    assert (section.state, section.said.startswith("of an earlier model: shifted: score")) == ("unknown", True)


def test_a_place_that_does_not_answer_spoils_its_own_part_alone(home: Home, served: Bundle) -> None:
    found = gather(home, None, None, "http://127.0.0.1:9", NOWHERE)
    assert (found["champion"].state, found["drift"].state, found["service"].state) == ("attention", "attention", "ok")


def test_runs_are_told_by_their_last_word(tmp_path: Path) -> None:
    def put(name: str, pipeline: str, file: str, text: str) -> None:
        path = tmp_path / name / (f"forgery-{pipeline}-2026" if pipeline else "") / file
        path.parent.mkdir(parents=True)
        path.write_text(text)

    put("20260301-120000-000001", "training", "decide/verdict", "## Held back: no better\n\nmore")
    put("20260301-130000-000001", "monitoring", "check-drift/drift", '{"reason": "no shift"}')
    put("20260301-140000-000001", "", "failure.txt", "train failed: no pictures\n")
    put("20260301-150000-000001", "training", "ingest/x", "")
    (tmp_path / "notes").mkdir()
    found = [(run.name, run.state, run.said) for run in read_past_runs(tmp_path, 9)]
    assert found[1:] == [
        ("run", "failed", "train failed: no pictures"),
        ("monitoring", "succeeded", "no shift"),
        ("training", "succeeded", "Held back: no better"),
    ]
    assert found[0][:2] == ("training", "unfinished")
    assert len(read_past_runs(tmp_path, 2)) == 2
