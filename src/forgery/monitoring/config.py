"""The parameters of the monitoring pipeline."""

from pydantic import Field

from forgery.config import Options, RunConfig
from forgery.monitoring.drift import DriftRule

_RUN = RunConfig()
_TEXTS = {name: str(RunConfig.model_fields[name].description) for name in ("service", "tracking")}


class MonitoringConfig(Options):
    """What the monitoring pipeline compares, when it says so, and what it starts then; places are those of training."""

    payloads: str = Field(
        "s3://models/payloads", description="The payload log: s3://bucket/prefix, or a folder on one machine."
    )
    window_hours: float = Field(24.0, gt=0, description="Length of the window that ends now.")
    rule: DriftRule = Field(DriftRule(), description="When a window counts as shifted.")
    service: str = Field(_RUN.service, description=_TEXTS["service"])
    tracking: str = Field(_RUN.tracking, description=_TEXTS["tracking"])
    retrain: str = Field(
        "",
        description="Name of a schedule of the training pipeline, a run of which is started on a shift; empty: none.",
    )
    pipelines: str = Field(
        "http://ml-pipeline.kubeflow:8888", description="API of Kubeflow Pipelines, for the run that is started."
    )
