import logging
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from forgery.errors import InvalidConfig, ServiceUnavailable
from forgery.tracking import open_run, register_version, set_champion
from serving.sockets import free_ports


@dataclass(frozen=True)
class Database:
    uri: str
    run_id: str
    printed: str


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A new sqlite database in a folder that did not exist, made by a first run in a process of its own."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'new' / 'mlflow.db'}"
    script = f"from forgery.tracking import open_run\nwith open_run({uri!r}, 'run-0') as run: print(run.run_id)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return Database(uri, done.stdout.strip(), done.stderr)


@pytest.fixture(scope="module")
def database(created: Database) -> str:
    return created.uri


@pytest.fixture
def client(database: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=database, registry_uri=database)


def test_a_run_keeps_what_it_was_told(database: str, client: Any, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>fine</p>")
    with open_run(database, "run-1", {"dataset_digest": "abc"}) as run:
        run.log_params({f"p{index}": index for index in range(150)} | {"long": "x" * 10_000})
        run.log_curves({"loss": [0.7, 0.5], "val_loss": [0.8, 0.6]})
        run.log_artifact(tmp_path / "report.html")
        run.log_text("hello", "notes/hello.txt")
    kept = client.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "training run-1"
    assert kept.data.tags["dataset_digest"] == "abc"
    assert len(kept.data.params) == 151
    assert [(point.step, point.value) for point in client.get_metric_history(run.run_id, "val_loss")] == [
        (1, 0.8),
        (2, 0.6),
    ]
    folder = Path(database.removeprefix("sqlite:///")).parent / "artifacts" / run.run_id / "artifacts"
    assert (folder / "report.html").read_text() == "<p>fine</p>"
    assert (folder / "notes" / "hello.txt").read_text() == "hello"


def test_later_steps_join_the_run_of_the_first(database: str, client: Any) -> None:
    with open_run(database, "run-2") as first:
        first.log_params({"seed": 1})
    with open_run(database, "run-2") as second:
        assert client.get_run(first.run_id).info.status == "RUNNING"
        second.log_metrics({"f1": 0.9})
    assert second.run_id == first.run_id
    assert client.get_run(first.run_id).data.metrics == {"f1": 0.9}


def test_a_failed_step_marks_the_run(database: str, client: Any) -> None:
    with pytest.raises(ZeroDivisionError), open_run(database, "run-3") as run:
        _ = 1 / 0
    assert client.get_run(run.run_id).info.status == "FAILED"


def test_the_backends_run_is_joined_and_left_open(database: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_run(database, "run-4") as opened:
        pass
    client.update_run(opened.run_id, status="RUNNING")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.run_id)
    with open_run(database, "run-5") as joined:
        joined.log_metrics({"f1": 0.5})
    assert joined.run_id == opened.run_id
    assert client.get_run(opened.run_id).info.status == "RUNNING"


def test_versions_are_registered_once_and_the_alias_moves(database: str, client: Any, make_bundle: Any) -> None:
    first, second = make_bundle(), make_bundle(bias=1.0)
    with open_run(database, "run-6") as run:
        pass
    numbers = [
        register_version(database, bundle, f"s3://models/{bundle.digest}", "run-6") for bundle in (first, second, first)
    ]
    assert numbers[0] == numbers[2] != numbers[1]
    version = client.get_model_version("forgery", numbers[0])
    assert version.source == f"s3://models/{first.digest}"
    assert version.run_id == run.run_id
    assert version.tags["bundle_digest"] == first.digest
    assert version.tags["dataset_digest"] == first.info.lineage.dataset_digest
    for bundle, number in ((first, numbers[0]), (second, numbers[1]), (first, numbers[0])):
        set_champion(database, bundle.digest)
        assert str(client.get_model_version_by_alias("forgery", "champion").version) == number


def test_an_unknown_bundle_cannot_be_champion(database: str) -> None:
    with pytest.raises(InvalidConfig, match="feed"):
        set_champion(database, "feed")


def test_without_tracking_nothing_happens(make_bundle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_run("", "run") as run:
        run.log_params({"a": 1})
        run.log_metrics({"a": 1})
        run.log_artifact(tmp_path)
    assert run.run_id == ""
    assert register_version("", make_bundle(), "uri", "run") is None
    set_champion("", "feed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tracking", ["./mlruns", "file:///tmp/mlruns", "mlflow.example:5000"])
def test_other_kinds_of_place_are_refused(tracking: str) -> None:
    with pytest.raises(InvalidConfig, match="sqlite:///PATH"), open_run(tracking, "run"):
        pass


def test_a_server_that_is_down_costs_seconds_and_no_training(
    caplog: pytest.LogCaptureFixture, make_bundle: Any
) -> None:
    down = f"http://user:secret@127.0.0.1:{free_ports(1)[0]}"
    started = time.monotonic()
    with caplog.at_level(logging.WARNING), open_run(down, "run") as run:
        run.log_metrics({"loss": 1.0})
    assert run.run_id == ""
    with pytest.raises(ServiceUnavailable, match=r"MLflow at http://127\.0\.0\.1") as refused:
        register_version(down, make_bundle(), "uri", "run")
    assert time.monotonic() - started < 30
    warnings = [record.getMessage() for record in caplog.records if record.name == "forgery.tracking.runs"]
    assert len(warnings) == 1
    assert "the run goes on without it" in warnings[0]
    assert "secret" not in warnings[0] + str(refused.value)


def test_tracking_that_fails_midway_is_given_up_once(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), open_run(database, "run-7") as run:
        run.log_artifact(tmp_path / "missing.html")
        run.log_metrics({"loss": 1.0})
    assert [record.getMessage()[:17] for record in caplog.records if record.name == "forgery.tracking.runs"] == [
        "tracking stopped:"
    ]


def test_mlflow_says_nothing_on_its_own(created: Database) -> None:
    assert re.fullmatch("[0-9a-f]{32}", created.run_id)
    assert created.printed == ""


def test_the_registry_page_tells_figures_and_place(database: str, client: Any, make_light_bundle: Any) -> None:
    bundle = make_light_bundle("told")
    info = bundle.info.model_copy(update={"metrics": {"f1": 0.8124, "f1_low": 0.771, "f1_high": 0.8499}})
    number = register_version(database, replace(bundle, info=info), "s3://models/x", "run-1")
    version = client.get_model_version("forgery", number)
    assert "F1 **0.812 [0.771, 0.850]** of forged" in version.description
    assert version.tags["bundle"] == "s3://models/x"
    assert "in service" in client.get_registered_model("forgery").description
