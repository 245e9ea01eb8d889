"""`forgery submit`, watching included."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kfp_workflow
import pytest
from kfp_backend import Backend, Fault
from kfp_invocation import Forgery

ALL_DONE = dict.fromkeys(
    ("ingest", "validate", "compute-ela", "find-champion", "train", "score", "evaluate", "decide"), "SUCCEEDED"
)


def film(*scenes: tuple[str, Mapping[str, str]]) -> Callable[[Any], None]:
    """Let a run go on by a scene at each look; the last one stays."""
    left = list(scenes)

    def play(run: Any) -> None:
        state, steps = left.pop(0) if len(left) > 1 else left[0]
        kfp_workflow.apply(run, state, steps, within={"deploy": "condition-3"} if "deploy" in steps else None)

    return play


def test_run_is_started_as_our_own_account_with_all_parameters(forgery: Forgery, backend: Backend) -> None:
    result = forgery("submit", "--set", "source=s3://pictures/casia.zip", "--set", "training.epochs=3")
    assert result.code == 0
    (run,), (version,), (experiment,) = backend.runs.values(), backend.versions.values(), backend.experiments.values()
    assert run.service_account == "forgery-pipeline"
    assert run.pipeline_version_reference.pipeline_version_id == version.pipeline_version_id
    assert (experiment.display_name, run.experiment_id) == ("forgery", experiment.experiment_id)
    parameters = run.runtime_config.parameters
    assert (parameters["source"], parameters["training"]["epochs"]) == ("s3://pictures/casia.zip", 3)
    assert f"{backend.url}/#/runs/details/{run.run_id}" in result.out


def test_json_is_all_that_is_printed(forgery: Forgery, backend: Backend) -> None:
    answer = json.loads(forgery("submit", "--json", "--name", "mine", "--experiment", "nightly").out)
    (run,) = backend.runs.values()
    assert answer["run_id"] == run.run_id
    assert answer["name"] == run.display_name == "mine"
    assert [experiment.display_name for experiment in backend.experiments.values()] == ["nightly"]


def test_second_run_uses_what_is_there(forgery: Forgery, backend: Backend) -> None:
    assert forgery("submit").code == forgery("submit").code == 0
    assert (len(backend.runs), len(backend.experiments), len(backend.versions)) == (2, 1, 1)


def test_wrong_parameter_is_refused_before_anything_is_sent(forgery: Forgery, backend: Backend) -> None:
    result = forgery("submit", "--set", "training.epochs=none")
    assert result.code == 2
    assert "training.epochs" in result.err
    assert backend.calls == []


@pytest.mark.parametrize("operation", ["run_service_create_run", "experiment_service_create_experiment"])
@pytest.mark.parametrize("fault", [{"status": 500, "times": 2}, {"cut": "before"}, {"cut": "after"}])
def test_one_run_is_started_whatever_becomes_of_the_answer(
    forgery: Forgery, backend: Backend, operation: str, fault: dict[str, Any]
) -> None:
    backend.faults.append(Fault(operation, **fault))
    assert forgery("submit").code == 0
    assert (len(backend.runs), len(backend.experiments)) == (1, 1)


def test_named_run_is_started_again_although_an_older_one_has_the_name(forgery: Forgery, backend: Backend) -> None:
    assert forgery("submit", "--name", "again").code == 0
    (old,) = backend.runs.values()
    old.created_at = kfp_workflow.BEGIN
    backend.faults.append(Fault("run_service_create_run", cut="before"))
    assert forgery("submit", "--name", "again").code == 0
    assert len(backend.runs) == 2


def test_refusal_of_the_server_is_told_in_its_words(forgery: Forgery, backend: Backend) -> None:
    backend.faults.append(Fault("run_service_create_run", status=400))
    result = forgery("submit")
    assert result.code == 1
    assert "refuses (400): injected 400" in result.err


def test_watching_tells_each_change_of_a_step(forgery: Forgery, backend: Backend) -> None:
    backend.play = film(
        ("PENDING", {}),
        ("RUNNING", {"ingest": "RUNNING", "find-champion": "CACHED"}),
        ("RUNNING", {"ingest": "SUCCEEDED", "find-champion": "CACHED", "validate": "RUNNING"}),
        ("SUCCEEDED", ALL_DONE),
    )
    result = forgery("submit", "--wait")
    assert result.code == 0
    told = [line.split(" ", 1)[1] for line in result.out.splitlines()[2:]]
    assert told[:3] == [
        "Find champion: cached in 0 s",
        "Assemble image set: running",
        "Assemble image set: succeeded in 45 s",
    ]
    assert "Train challenger: succeeded in 45 s" in told
    assert told[-1] == "Deploy: skipped"


def test_deployment_under_its_condition_is_watched(forgery: Forgery, backend: Backend) -> None:
    backend.play = film(("SUCCEEDED", {**ALL_DONE, "deploy": "SUCCEEDED"}))
    assert "Deploy: succeeded in 45 s" in forgery("submit", "--wait").out


def test_failed_step_is_told_by_the_last_clear_line_of_its_log(forgery: Forgery, backend: Backend) -> None:
    backend.play = film(
        ("RUNNING", {"ingest": "RUNNING"}), ("FAILED", {"find-champion": "SUCCEEDED", "ingest": "FAILED"})
    )
    path = f"{kfp_workflow.WORKFLOW}.root.ingest.executor"
    backend.logs[kfp_workflow.pod_name(path, "system-container-impl")] = (
        '{"time": "t", "level": "info", "message": "ingest started"}\n'
        "ingest failed: s3://pictures/none does not exist; create it or give another source\n"
        "F1121 03:00:02.000000       1 main.go:57] failed to execute component: exit status 1\n"
    )
    result = forgery("submit", "--wait")
    assert result.code == 1
    assert "Assemble image set: ingest failed: s3://pictures/none does not exist" in result.err
    assert f"{backend.url}/#/runs/details/" in result.err
    assert "main.go" not in result.err


@pytest.mark.parametrize("where", ["archive", "ui", "behind ui"])
def test_log_of_a_pod_that_is_gone_is_read_elsewhere(forgery: Forgery, backend: Backend, where: str) -> None:
    backend.behind_ui = where == "behind ui"
    backend.play = film(("FAILED", {"train": "FAILED"}))
    path = f"{kfp_workflow.WORKFLOW}.root.train.executor"
    if where == "archive":
        backend.logs[kfp_workflow.node_id(path)] = "train failed: out of memory\n"
    else:
        backend.ui_logs[kfp_workflow.pod_name(path, "system-container-impl")] = "train failed: out of memory\n"
    assert "Train challenger: train failed: out of memory" in forgery("submit", "--wait").err


def test_failure_of_which_no_log_is_left_still_names_the_step(forgery: Forgery, backend: Backend) -> None:
    backend.play = film(("FAILED", {"train": "FAILED"}))
    result = forgery("submit", "--wait")
    assert result.code == 1
    assert "Train challenger: its log is gone or cannot be read" in result.err


def test_step_that_never_started_is_told_by_its_drivers_log(forgery: Forgery, backend: Backend) -> None:
    backend.play = film(("FAILED", {"ingest": "DRIVER_FAILED"}))
    path = f"{kfp_workflow.WORKFLOW}.root.ingest-driver"
    backend.logs[kfp_workflow.pod_name(path, "system-container-driver")] = (
        "F1121 03:00:02.000000       1 main.go:76] driver: the secret forgery-bucket is missing\n"
    )
    assert "Assemble image set: driver: the secret forgery-bucket is missing" in forgery("submit", "--wait").err


def test_json_of_a_watched_run_has_its_state(forgery: Forgery, backend: Backend) -> None:
    backend.play = film(("SUCCEEDED", ALL_DONE))
    result = forgery("submit", "--wait", "--json")
    assert json.loads(result.out)["state"] == "succeeded"
    assert "Train challenger: succeeded" in result.err


def test_watching_outlives_an_outage_of_the_server(
    forgery: Forgery, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.kubeflow.client.ATTEMPTS", 2)
    backend.play = film(("SUCCEEDED", ALL_DONE))
    backend.faults.append(Fault("run_service_get_run", status=503, times=5))
    result = forgery("submit", "--wait")
    assert result.code == 0
    assert "still trying" in result.out


def test_server_that_stays_away_ends_the_watch(
    forgery: Forgery, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.kubeflow.client.ATTEMPTS", 2)
    monkeypatch.setattr("cli.kubeflow.follow.OUTAGE_S", 0.05)
    backend.faults.append(Fault("run_service_get_run", status=503, times=1000))
    assert forgery("submit", "--wait").code == 5


def test_time_limit_of_the_watch_leaves_the_run(
    forgery: Forgery, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.kubeflow.follow.POLL_S", 0.6)
    backend.play = film(("RUNNING", {"ingest": "RUNNING"}))
    result = forgery("submit", "--wait", "--timeout", "1")
    assert result.code == 1
    assert "the run goes on after 1 s" in result.err
    (run,) = backend.runs.values()
    assert run.state == "RUNNING"


def test_live_view_draws_the_steps(backend: Backend) -> None:
    import io

    from rich.console import Console

    from cli.kubeflow.tasks import StepState
    from cli.kubeflow.views import LiveSteps

    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with LiveSteps(console) as view:
        view.show([StepState("train", "Train challenger", "running", kfp_workflow.BEGIN)], "")
        time.sleep(0.6)
        view.show([], "no answer; still trying")
        time.sleep(0.6)
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Train challenger" in drawn
    assert "Ctrl-C stops watching, not the run" in drawn
    assert "no answer; still trying" in drawn


def test_interrupt_stops_watching_and_not_the_run(backend: Backend, tmp_path: Path) -> None:
    backend.play = film(("RUNNING", {"ingest": "RUNNING"}))
    environment = {**os.environ, "KF_PIPELINES_ENDPOINT": backend.url, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "cli", "submit", "--wait"]
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
        # A shell's background job ignores interrupts, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if "running" in line:
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert f"Stopped watching; the run goes on: {backend.url}/#/runs/details/" in err
    (run,) = backend.runs.values()
    assert run.state == "RUNNING"
