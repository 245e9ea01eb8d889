"""The monitoring YAML that ships, run here as it stands."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from forgery.bundle import Bundle
from forgery.monitoring.config import MonitoringConfig
from pipelines.compile import COMPILED
from pipelines.local import LocalRun, run_locally

pytestmark = pytest.mark.slow


def run(tmp_path: Path, service: str, payloads: Path) -> LocalRun:
    places = {"payloads": str(payloads), "service": service, "tracking": f"sqlite:///{tmp_path}/mlflow.db"}
    config = MonitoringConfig.read(places).model_dump()
    return run_locally(COMPILED / "monitoring.yaml", config, tmp_path / "runs")


def test_an_unshifted_stream_starts_nothing(
    tmp_path: Path, served: tuple[str, Bundle], put_log: Callable[..., Path]
) -> None:
    done = run(tmp_path, served[0], put_log())
    found = json.loads(done.artifact("check-drift", "drift").read_text())
    assert (found["drifted"], found["reason"]) == (False, "no shift in 300 pictures")
    assert not done.ran("retrain")
    page = done.page("check-drift", "report").read_text()
    assert "No shift." in page
    assert page.count("<svg") >= 4


def test_a_shifted_stream_is_told_everywhere(
    tmp_path: Path, served: tuple[str, Bundle], put_log: Callable[..., Path]
) -> None:
    from mlflow.tracking import MlflowClient

    done = run(tmp_path, served[0], put_log(moved=3.0))
    assert done.ran("retrain")
    assert "names no schedule" in done.artifact("retrain", "started").read_text()
    assert "Shifted: mean error level" in done.artifact("check-drift", "report").read_text()
    outputs = json.loads((done.folder / "check-drift" / "executor_output.json").read_text())
    metrics = outputs["artifacts"]["metrics"]["artifacts"][0]["metadata"]
    assert metrics["drifted"] == 1.0
    assert metrics["psi_ela_mean"] > 0.2 > metrics["psi_ela_deviation"]
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("forgery")
    (logged,) = client.search_runs([experiment.experiment_id], "tags.kind = 'monitoring'")
    assert logged.data.metrics["drifted"] == 1.0
    assert logged.data.tags["bundle_digest"] == served[1].digest


def test_a_service_without_model_and_a_log_without_pictures_give_no_verdict(tmp_path: Path) -> None:
    done = run(tmp_path, f"local:{tmp_path}/empty", tmp_path / "nowhere")
    found = json.loads(done.artifact("check-drift", "drift").read_text())
    assert (found["drifted"], found["pictures"]) == (False, 0)
    assert "no reference" in found["reason"]
