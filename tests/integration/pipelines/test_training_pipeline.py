"""The YAML that ships, run here as it stands: every component with nothing but the library to import."""

import json
from typing import Any

import pytest

from forgery.config import RunConfig
from forgery.rollout.service import open_service
from pipelines.compile import COMPILED
from pipelines.local import RunFailed, run_locally

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# The packages that no image of a step holds.
ABSENT = ("components", "pipelines", "serving", "cli")
TINY = {"recipe": "ela1_q90_gain15_32_bilinear", "training": {"epochs": 2}, "data": {"min_class_pictures": 5}}
LENIENT = {"floor": 0.0, "min_balanced_accuracy": 0.0, "max_control": 1.0, "robustness_pictures": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory from which only the library can be imported."""
    folder = tmp_path_factory.mktemp("place")
    for name in ABSENT:
        (folder / f"{name}.py").write_text("raise ImportError('this package is in no step image')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


def run(place, name, **changes):
    places = {
        "bundles": f"file://{place}/models",
        "service": f"local:{place}/service",
        "tracking": f"sqlite:///{place}/mlflow.db",
        "checkpoints": f"file://{place}",
    }
    config = RunConfig.read({"source": "demo:60", **TINY, **places, **changes})
    events = []
    run = run_locally(COMPILED / "training.yaml", config.model_dump(), place / "runs" / name, events.append)
    return run, events


@pytest.fixture(scope="module")
def promoted(place):
    return run(place, "first", rule=LENIENT)


def test_the_promoted_branch_ran(place, promoted):
    first, _ = promoted
    assert first.ran("deploy")
    service = open_service(f"local:{place}/service")
    (revision,) = service.history()
    assert revision.storage_uri == service.read().storage_uri
    assert "first model" in first.artifact("decide", "verdict").read_text().lower()


def test_every_step_ran_and_was_reported(promoted):
    _, events = promoted
    finished = [event.task for event in events if event.kind == "finished"]
    assert set(finished) == {
        "list-source", "read-part", "ingest", "validate", "compute-ela", "find-champion", "train", "score",
        "evaluate", "decide", "deploy",
    }  # fmt: skip
    assert {event.text for event in events if event.kind == "finished"} == {"SUCCESS"}


def test_reports_are_pages(promoted):
    first, _ = promoted
    for task, artifact in (("validate", "report"), ("train", "curves"), ("evaluate", "report")):
        page = first.page(task, artifact)
        assert page.suffix == ".html"
        assert "<html" in page.read_text().lower()


def test_metrics_reach_the_kubeflow_artifacts(promoted):
    first, _ = promoted
    shown = evaluated(first)
    assert 0 <= shown["metrics"]["f1"] <= 1
    assert {"confusionMatrix", "confidenceMetrics"} <= shown["classification"].keys()
    assert not {"confusionMatrix", "confidenceMetrics"} & shown["champion_classification"].keys()


def evaluated(run: Any) -> dict[str, dict[str, Any]]:
    """What the Kubeflow UI is told of each artifact of the evaluation, by name."""
    outputs = json.loads((run.folder / "evaluate" / "executor_output.json").read_text())["artifacts"]
    return {name: output["artifacts"][0].get("metadata", {}) for name, output in outputs.items()}


def test_the_champion_alias_follows(place, promoted):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlflow.db", f"sqlite:///{place}/mlflow.db")
    version = client.get_model_version_by_alias("forgery", "champion")
    assert version.source == open_service(f"local:{place}/service").read().storage_uri


def test_a_model_that_is_not_better_is_held_back(place, promoted):
    service = open_service(f"local:{place}/service")
    before = service.read()
    second, events = run(place, "second", seed=1, rule={**LENIENT, "margin": 0.99})
    assert not second.ran("deploy")
    assert "deploy" not in {event.task for event in events}
    assert service.read() == before
    assert len(service.history()) == 1
    shown = evaluated(second)
    assert {"f1", "champion_f1"} <= shown["metrics"].keys()
    assert {"confusionMatrix", "confidenceMetrics"} <= shown["champion_classification"].keys()


def test_a_failing_step_ends_the_run_with_its_last_clear_line(place):
    with pytest.raises(RunFailed) as failed:
        run(place, "third", source=str(place / "nowhere"))
    assert str(failed.value).startswith("list failed: ")
    assert "nowhere" in str(failed.value)
    assert "\n" not in str(failed.value)
