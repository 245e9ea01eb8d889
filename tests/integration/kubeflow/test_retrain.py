"""A training run that monitoring starts, against the double of the API."""

from pathlib import Path

import pytest
from kfp_backend import Backend, Fault
from kfp_invocation import Forgery

from forgery.errors import InvalidConfig, ServiceUnavailable
from forgery.monitoring.trigger import start_run
from forgery.steps.drift import retrain


@pytest.fixture
def schedule(forgery: Forgery) -> str:
    done = forgery("schedule", "create", "nightly", "--every", "24h", "--set", "source=s3://pictures/new/")
    assert done.code == 0, done.err
    return "nightly"


def test_a_run_is_started_as_the_schedule_would(backend: Backend, schedule: str) -> None:
    text = retrain(schedule, backend.url, "0123456789abcdef")
    (run,) = backend.runs.values()
    (recurring,) = backend.recurring_runs.values()
    assert run.run_id in text
    assert run.runtime_config.parameters["source"] == "s3://pictures/new/"
    assert run.runtime_config.parameters == recurring.runtime_config.parameters
    assert run.service_account == "forgery-pipeline"
    assert run.experiment_id == recurring.experiment_id
    assert "01234567" in run.display_name


def test_a_step_that_is_run_again_starts_nothing_twice(backend: Backend, schedule: str) -> None:
    assert start_run(backend.url, schedule, "after drift") == start_run(backend.url, schedule, "after drift")
    assert len(backend.runs) == 1


def test_a_schedule_that_is_not_there_is_named(backend: Backend) -> None:
    with pytest.raises(InvalidConfig, match="no schedule 'weekly'"):
        start_run(backend.url, "weekly", "after drift")


def test_without_a_schedule_nothing_is_asked(backend: Backend) -> None:
    assert "names no schedule" in retrain("", backend.url, "run")
    assert backend.calls == []


def test_an_api_that_refuses_or_is_away_is_told(
    backend: Backend, schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.faults.append(Fault("recurring_run_service_list_recurring_runs", status=403))
    with pytest.raises(ServiceUnavailable, match="403"):
        start_run(backend.url, schedule, "after drift")
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        start_run("http://127.0.0.1:9", schedule, "after drift")


def test_the_projected_token_is_shown_where_there_is_one(
    backend: Backend, schedule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.token = "let-me-in"
    token = tmp_path / "token"
    token.write_text("let-me-in\n")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    start_run(backend.url, schedule, "after drift")
    assert len(backend.runs) == 1


def test_monitoring_itself_can_be_scheduled(forgery: Forgery, backend: Backend) -> None:
    wish = ("schedule", "create", "drift", "--every", "24h", "--pipeline", "monitoring", "--set", "retrain=nightly")
    done = forgery(*wish)
    assert done.code == 0, done.err
    (recurring,) = backend.recurring_runs.values()
    assert recurring.runtime_config.parameters["retrain"] == "nightly"
    refused = forgery(*wish, "--set", "payloads=/tmp/log")
    assert (refused.code, "pods cannot reach" in refused.err) == (2, True)
