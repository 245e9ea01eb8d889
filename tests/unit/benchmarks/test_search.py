"""The search: what ships is its first trial, a stopped one goes on, its table names the best first."""

from pathlib import Path

import optuna
import pytest

from benchmarks.detection.protocol import Protocol
from benchmarks.detection.systems import System
from benchmarks.search import __main__ as search
from benchmarks.search.space import SEARCHED, default, proposed
from forgery.config import TrainingOptions

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of systems that were trained; they are worth the more, the lower their dropout."""
    names: list[str] = []

    def worth(protocol: Protocol, system: System, fold: int) -> float:
        names.append(f"{system.name} fold {fold}")
        return 0.9 - system.options.dropout / 2 + fold / 100

    monkeypatch.setattr(Protocol, "validation_auc", worth)
    return names


def waiting(study: optuna.Study) -> list[dict[str, object]]:
    trials = study.get_trials(states=[optuna.trial.TrialState.WAITING])
    return [trial.system_attrs["fixed_params"] for trial in trials]


def test_what_ships_is_tried_once_and_first(tmp_path: Path) -> None:
    study = search.open_study(tmp_path)
    trial = study.ask()
    assert proposed(trial, TrainingOptions().epochs) == TrainingOptions()
    assert trial.params == default()
    study.tell(trial, 0.9)
    assert waiting(search.open_study(tmp_path)) == []


def test_a_default_that_has_changed_is_tried_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting(search.open_study(tmp_path)) == [default()]
    monkeypatch.setattr(search, "default", lambda: default() | {"dropout": 0.3})
    assert waiting(search.open_study(tmp_path)) == [default(), default() | {"dropout": 0.3}]


def test_a_stopped_search_goes_on_and_its_table_has_the_best_first(
    learnt: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- search: written by benchmarks.search -->\n<!-- /search -->\nafter\n")
    arguments = ["pictures", "--out", str(tmp_path), "--page", str(page)]
    assert search.main([*arguments, "--trials", "2"]) == 0
    assert search.main([*arguments, "--trials", "5"]) == 0
    assert learnt == [f"search-{number} fold {fold}" for number in range(5) for fold in (0, 1)]
    rows = capsys.readouterr().out.splitlines()[-5:]
    values = [float(row.split(" | ")[1 + len(SEARCHED)]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert sum("0, the default" in row for row in rows) == 1
    assert rows[0] in page.read_text()
    assert page.read_text().endswith("after\n")


def test_trials_are_runs_of_mlflow(learnt: list[str], tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    search.main(["pictures", "--out", str(tmp_path), "--trials", "2", "--tracking", uri])
    found = mlflow.MlflowClient(uri)
    experiment = found.get_experiment_by_name(search.EXPERIMENT)
    assert experiment is not None
    runs = found.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    assert next(run.data.params["dropout"] for run in runs) == str(TrainingOptions().dropout)
    assert all("validation_roc_auc" in run.data.metrics for run in runs)
    assert len(runs) == len(learnt) // 2 == 2
