"""Train the challenger on the evidence set."""

from pathlib import Path

from forgery.config import RunConfig
from forgery.steps.champion import read_champion
from forgery.training.train import train as fit


def train(
    evidence_set: Path, champion: Path, draft: Path, curves: Path, logs: Path, *, config: RunConfig, run_id: str
) -> dict[str, float]:
    """Write the draft bundle, a page of curves and TensorBoard logs; returns the validation figures."""
    _, bundle = read_champion(champion)
    result = fit(evidence_set, draft, config, bundle, run_id, logs)
    curves.write_text(result.curves_html())
    return {f"validation_{name}": value for name, value in result.validation.items()}
