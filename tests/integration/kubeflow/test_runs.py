"""`forgery runs`."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import kfp_server_api as models
import kfp_workflow
import pytest
from kfp_backend import Backend
from kfp_invocation import Forgery


def test_runs_are_listed_newest_first(forgery: Forgery, backend: Backend) -> None:
    assert "No run yet" in forgery("runs", "list").out
    for name in ("first", "second"):
        forgery("submit", "--name", name)
    second, first = sorted(backend.runs.values(), key=lambda run: run.display_name, reverse=True)
    first.created_at = second.created_at - timedelta(hours=1)
    heading, *lines = forgery("runs", "list").out.splitlines()
    assert heading.split() == ["run", "name", "started", "(UTC)", "state", "time"]
    assert [line.split()[1] for line in lines] == ["second", "first"]
    assert lines[0].startswith(second.run_id)


def test_list_is_limited_and_of_an_experiment(forgery: Forgery) -> None:
    for number in range(3):
        forgery("submit", "--name", f"a{number}", "--experiment", "a")
    forgery("submit", "--name", "b", "--experiment", "b")
    assert len(json.loads(forgery("runs", "list", "--json", "--limit", "2").out)) == 2
    (only,) = json.loads(forgery("runs", "list", "--json", "--experiment", "b").out)
    assert only["name"] == "b"
    result = forgery("runs", "list", "--experiment", "c")
    assert result.code == 2
    assert "there is no experiment 'c'" in result.err


def test_run_is_shown_with_steps_parameters_and_why_it_failed(forgery: Forgery, backend: Backend) -> None:
    forgery("submit", "--name", "mine", "--set", "seed=7", "--set", "tracking=http://127.0.0.1:9")
    (run,) = backend.runs.values()
    kfp_workflow.apply(run, "FAILED", {"find-champion": "SUCCEEDED", "ingest": "FAILED"})
    path = f"{kfp_workflow.WORKFLOW}.root.ingest.executor"
    backend.logs[kfp_workflow.pod_name(path, "system-container-impl")] = "ingest failed: the zip is damaged\n"
    run.plugins_output = {
        "mlflow": models.V2beta1PluginOutput(
            entries={"run_url": models.V2beta1MetadataValue(value="http://mlflow/#/runs/1")}
        )
    }
    shown = forgery("runs", "show", "mine").out
    assert f"{backend.url}/#/runs/details/{run.run_id}" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["Assemble", "image", "set", "failed", "45", "s"] in lines
    assert ["Deploy", "skipped"] in lines
    assert ["seed", "7"] in lines
    assert "Assemble image set: ingest failed: the zip is damaged" in shown
    assert ["mlflow.run_url", "http://mlflow/#/runs/1"] in lines

    values = json.loads(forgery("runs", "show", run.run_id, "--json").out)
    assert values["state"] == "failed"
    assert values["parameters"]["seed"] == 7
    assert {step["key"]: step["state"] for step in values["steps"]}["ingest"] == "failed"


def test_run_of_a_deleted_version_is_still_shown(forgery: Forgery, backend: Backend) -> None:
    forgery("submit", "--name", "mine", "--set", "tracking=")
    (run,) = backend.runs.values()
    kfp_workflow.apply(run, "RUNNING", {"ingest": "RUNNING"})
    backend.versions.clear()
    assert forgery("runs", "show", "mine").out.splitlines()[4].split()[:2] == ["ingest", "running"]


def test_unknown_run_is_told_with_the_way_out(forgery: Forgery) -> None:
    by_name = forgery("runs", "show", "nothing")
    assert by_name.code == 2
    assert "forgery runs list" in by_name.err
    by_id = forgery("runs", "show", "4f1f2a0e-5a53-4a0b-9a4c-4a3a3c2b7d11")
    assert by_id.code == 1
    assert "not found" in by_id.err


@pytest.fixture
def mlflow_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """MLflow's own HTTP application over a database, in this process: its server takes many times as long to start."""
    database = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", database)
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", str(tmp_path))
    from mlflow.server import app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_metrics_come_from_mlflow(forgery: Forgery, backend: Backend, mlflow_url: str) -> None:
    from forgery.tracking import open_run

    forgery("submit", "--name", "mine", "--set", f"tracking={mlflow_url}")
    (run,) = backend.runs.values()
    with open_run(mlflow_url, run.run_id) as tracked:
        tracked.log_metrics({"f1": 0.75, "loss": 0.5}, step=1)
        tracked.log_metrics({"loss": 0.25}, step=2)
    with open_run(mlflow_url, "another run") as other:
        other.log_metrics({"f1": 0.1})
    shown = [line.split() for line in forgery("runs", "show", "mine").out.splitlines()]
    assert ["f1", "0.75"] in shown
    assert ["loss", "0.25"] in shown
    values = json.loads(forgery("runs", "show", "mine", "--json").out)
    assert values["metrics"] == {"f1": 0.75, "loss": 0.25}


def test_mlflow_that_is_out_of_reach_costs_the_metrics_alone(forgery: Forgery) -> None:
    forgery("submit", "--name", "mine")
    result = forgery("runs", "show", "mine", "--tracking", "http://127.0.0.1:9")
    assert result.code == 0
    assert "MLflow does not answer at http://127.0.0.1:9; --tracking URL names it as seen from here" in result.out
