"""Monitoring: train anew when the pictures have changed."""

from kfp import dsl

from components.envelope import envelope


@envelope
def retrain(schedule: str, pipelines: str, run_id: str, started: dsl.Output[dsl.Markdown]) -> None:
    """Start one run of the training pipeline, as a schedule would; the gate decides on its model like on any other.

    Args:
        schedule: Name of a schedule; empty starts nothing.
        pipelines: URL of the API of Kubeflow Pipelines.
        run_id: Of this run; a step that is run again then starts nothing twice.
        started: What was started.
    """
    from pathlib import Path

    from forgery.steps import step
    from forgery.steps.drift import retrain as start

    with step("retrain"):
        Path(started.path).write_text(start(schedule, pipelines, run_id))
