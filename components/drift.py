"""Monitoring: is what the service sees still what its model was measured on."""

from kfp import dsl

from components.envelope import envelope


@envelope
def check_drift(
    champion: dsl.Input[dsl.Model],
    payloads: str,
    window_hours: float,
    rule: dict,
    tracking: str,
    run_id: str,
    drift: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
) -> bool:
    """Compare a window of the payload log with the reference in the bundle of the model in service.

    Args:
        champion: The model in service; its bundle has the reference.
        payloads: The payload log: s3://bucket/prefix, or a folder.
        window_hours: Length of the window that ends now.
        rule: When a window counts as shifted (DriftRule).
        tracking: MLflow tracking URI; empty for none.
        run_id: Of the pipeline run.
        drift: The verdict with all figures, as JSON.
        metrics: Population stability index and distance of each column.
        report: The same as a page, with distributions side by side.

    Returns:
        True where the window has shifted.
    """
    from pathlib import Path

    from forgery.monitoring.config import MonitoringConfig
    from forgery.steps import step
    from forgery.steps.drift import check_drift as check

    with step("drift"):
        chosen = {"payloads": payloads, "window_hours": window_hours, "rule": rule, "tracking": tracking}
        paths = (Path(artifact.path) for artifact in (champion, drift, report))
        found = check(*paths, config=MonitoringConfig.read(chosen), run_id=run_id)
        metrics.metadata.update(found.scalars)
        return found.drifted
