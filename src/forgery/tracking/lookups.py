"""What MLflow knows of the present: the champion, and the last word on drift."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from forgery.tracking.client import EXPERIMENT
from forgery.tracking.versions import BUNDLE_TAG, CHAMPION, MODEL, asked

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class Champion(BaseModel):
    """The registered version that the alias `champion` points at."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    model_version: str
    source: str


class DriftSaid(BaseModel):
    """What the newest run of the monitoring pipeline said; `at` is UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drifted: bool
    reason: str
    model_version: str
    at: datetime


def read_champion(tracking: str) -> Champion | None:
    """The champion; None before the first. Raises ServiceUnavailable, InvalidConfig."""

    def ask(client: "MlflowClient") -> Champion | None:
        from mlflow.exceptions import MlflowException

        try:
            found = client.get_model_version_by_alias(MODEL, CHAMPION)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return Champion(
            version=str(found.version), model_version=found.tags.get(BUNDLE_TAG, ""), source=str(found.source)
        )

    return asked(tracking, ask)


def read_drift(tracking: str) -> DriftSaid | None:
    """The newest verdict on drift; None where nobody looked. Raises ServiceUnavailable, InvalidConfig."""

    def ask(client: "MlflowClient") -> DriftSaid | None:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return None
        kinds = "tags.kind = 'monitoring' and attributes.status = 'FINISHED'"
        runs = client.search_runs([experiment.experiment_id], kinds, max_results=1, order_by=["start_time DESC"])
        if not runs:
            return None
        tags, figures = runs[0].data.tags, runs[0].data.metrics
        return DriftSaid(
            drifted=figures.get("drifted") == 1.0,
            reason=tags.get("drift", ""),
            model_version=tags.get("bundle_digest", ""),
            at=datetime.fromtimestamp(runs[0].info.start_time / 1000, UTC),
        )

    return asked(tracking, ask)
