"""Train the challenger on the evidence set."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from forgery.config import RunConfig
from forgery.evidence_parts import join_parts
from forgery.jobs.kubeflow import connect_jobs
from forgery.jobs.training import train_by_job
from forgery.steps.champion import read_champion
from forgery.training.train import train as fit

logger = logging.getLogger(__name__)


def train(
    parts: Sequence[Path], champion: Path, draft: Path, curves: Path, logs: Path, *, config: RunConfig, run_id: str
) -> dict[str, float]:
    """Write the draft bundle, a page of curves and TensorBoard logs; returns the validation figures."""
    _, bundle = read_champion(champion)
    with tempfile.TemporaryDirectory(prefix="forgery-evidence-") as joined:
        info = join_parts(parts, Path(joined))
        logger.info("evidence %s: %d maps in %d parts", info.digest[:16], info.maps, len(parts))
        if config.workers > 1:
            result = train_by_job(connect_jobs(), Path(joined), draft, config, bundle, run_id, logs)
        else:
            result = fit(Path(joined), draft, config, bundle, run_id, logs)
    curves.write_text(result.curves_html())
    return {f"validation_{name}": value for name, value in result.validation.items()}
