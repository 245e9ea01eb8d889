"""Compare what the service saw with what its model was measured on."""

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from forgery.monitoring.config import MonitoringConfig
from forgery.monitoring.drift import Drift, compare
from forgery.monitoring.reference import read_reference
from forgery.monitoring.report import report_html
from forgery.monitoring.trigger import start_run
from forgery.monitoring.window import read_window
from forgery.steps.champion import read_champion
from forgery.tracking import NOTE_TAG, open_run

logger = logging.getLogger(__name__)


def check_drift(champion: Path, result: Path, report: Path, *, config: MonitoringConfig, run_id: str) -> Drift:
    """Write the verdict as JSON and the report as HTML; log both to MLflow.

    Raises:
        StorageError: The payload log cannot be read.
    """
    _, bundle = read_champion(champion)
    version = bundle.digest if bundle else ""
    window = read_window(config.payloads, config.window_hours, version)
    reference = read_reference(bundle) if bundle else None
    drift = compare(reference, window.pictures, config.rule)
    logger.info("%s", drift.reason)
    page = report_html(drift, reference, window, config.rule, version or "no model in service yet")
    report.write_text(page)
    times = {"start": window.start.isoformat(), "end": window.end.isoformat(), "model_version": version}
    result.write_text(json.dumps({**asdict(drift), **times}) + "\n")
    with open_run(config.tracking, run_id, {"kind": "monitoring", "bundle_digest": version}) as run:
        run.log_metrics(drift.scalars)
        run.log_text(page, "drift.html")
        run.set_tags({"drift": drift.reason, NOTE_TAG: f"{drift.reason}\n\nSee `drift.html` among the artifacts."})
    return drift


def retrain(schedule: str, pipelines: str, run_id: str) -> str:
    """Start a training run as `schedule` would; returns what was done, as Markdown.

    Raises:
        InvalidConfig: There is no such schedule.
        ServiceUnavailable: Kubeflow Pipelines does not answer.
    """
    if not schedule:
        return "No training run was started: the parameter `retrain` names no schedule.\n"
    name = f"{schedule}, after drift {datetime.now(UTC):%Y-%m-%d} ({run_id[:8]})"
    started = start_run(pipelines, schedule, name)
    return f"Started the training run **{name}** (`{started}`), as the schedule `{schedule}` would.\n"
