"""Search how the default network is trained, on validation folds alone; a stopped search goes on.

    python -m benchmarks.search FOLDER --out OUT [--trials 20] [--folds 0 1] [--epochs 20] [--tracking URI]

FOLDER and OUT are those of `python -m benchmarks.detection`, whose evidence is used again. A trial trains on the
three training folds of each fold asked for and is worth the mean ROC AUC of the validation folds, both classes with
one history; test folds are not read. What ships is always among the trials. They are kept in OUT/search.db (Optuna)
and, with --tracking, are runs of the MLflow experiment `forgery-search`. With --page FILE their table is written
between its two `search` comments.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import optuna

from benchmarks.detection.pictures import FOLDS
from benchmarks.detection.protocol import Protocol
from benchmarks.detection.systems import SYSTEMS
from benchmarks.page import with_tables
from benchmarks.search.space import default, proposed
from benchmarks.search.table import BEGIN, END, table

logger = logging.getLogger(__name__)

EXPERIMENT = "forgery-search"
_STUDY = "blocks"
_STARTUP_TRIALS = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials that are missing, then report on all."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    chosen.out.mkdir(parents=True, exist_ok=True)
    study = open_study(chosen.out)
    protocol = Protocol(chosen.source, chosen.out)
    if chosen.tracking:
        mlflow.set_tracking_uri(chosen.tracking)
        mlflow.set_experiment(EXPERIMENT)
    done = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(
        lambda trial: _value(protocol, trial, chosen.folds, chosen.epochs),
        n_trials=max(0, chosen.trials - done),
        callbacks=[_tracked] if chosen.tracking else [],
    )
    found = table(study, chosen.folds)
    sys.stdout.write(found)
    if chosen.page:
        chosen.page.write_text(with_tables(chosen.page.read_text(), found, BEGIN, END))
    return 0


def open_study(out: Path) -> optuna.Study:
    """The study kept in that folder; what ships is tried next where it has not been."""
    study = optuna.create_study(
        storage=f"sqlite:///{out / 'search.db'}",
        study_name=_STUDY,
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=_STARTUP_TRIALS),
    )
    study.enqueue_trial(default(), skip_if_exists=True)
    return study


def _value(protocol: Protocol, trial: optuna.Trial, folds: Sequence[int], epochs: int) -> float:
    system = replace(SYSTEMS["blocks"], name=f"search-{trial.number}", options=proposed(trial, epochs))
    found = [protocol.validation_auc(system, fold) for fold in folds]
    trial.set_user_attr("folds", found)
    return float(np.mean(found))


def _tracked(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    with mlflow.start_run(run_name=f"trial {trial.number}"):
        mlflow.log_params(trial.params)
        if trial.value is not None:
            mlflow.log_metrics({"validation_roc_auc": trial.value, "best_so_far": study.best_value})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", help="pictures, as for benchmarks.detection")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps evidence and trials")
    parser.add_argument("--trials", type=int, default=20, help="in all, those of earlier calls included; default: 20")
    parser.add_argument("--folds", nargs="*", type=int, choices=range(FOLDS), default=[0, 1])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--tracking", default="", help="an MLflow tracking URI")
    parser.add_argument("--page", type=Path, help="a Markdown page, e.g. docs/detection.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
