"""The trials as a table."""

from collections.abc import Sequence

import optuna

from benchmarks.search.space import SEARCHED, default

BEGIN, END = "<!-- search: written by benchmarks.search -->", "<!-- /search -->"


def table(study: optuna.Study, folds: Sequence[int]) -> str:
    """Finished trials, the best first."""
    done = [trial for trial in study.trials if trial.value is not None]
    names = ["trial", *SEARCHED, "validation ROC AUC, mean", *(f"fold {fold}" for fold in folds)]
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    for trial in sorted(done, key=lambda trial: -(trial.value or 0.0)):
        number = f"{trial.number}, the default" if trial.params == default() else str(trial.number)
        settings = [_shown(trial.params[name]) for name in SEARCHED]
        figures = [f"{value:.3f}" for value in (trial.value or 0.0, *trial.user_attrs["folds"])]
        lines.append(f"| {' | '.join([number, *settings, *figures])} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)
