"""Start a run of an uploaded pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.kubeflow.connection import Server
from cli.kubeflow.upload import Uploaded, named

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run

EXPERIMENT = "forgery"
SERVICE_ACCOUNT = "forgery-pipeline"


@dataclass(frozen=True)
class Placement:
    """Where runs belong, and as whom they act.

    Attributes:
        experiment: Name of the experiment; made where it is missing.
        service_account: Kubernetes account of all the run's pods. The server's own default may read every secret of
            the namespace and may not deploy.
    """

    experiment: str = EXPERIMENT
    service_account: str = SERVICE_ACCOUNT


def submit(
    server: Server, uploaded: Uploaded, parameters: Mapping[str, Any], placement: Placement, name: str | None = None
) -> "V2beta1Run":
    """Start one run.

    Args:
        server: Where.
        uploaded: The version to run.
        parameters: Values, already checked.
        placement: Experiment and account.
        name: Shown in the UI; the pipeline's with the time where None.

    Raises:
        PipelinesUnavailable, PipelinesRefused: The server does not answer, or refuses the run.
    """
    from cli.kubeflow.client import create_once

    # Unique, so that a run which was perhaps started can be found instead of started twice.
    name = name or f"{uploaded.name} {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    begun = datetime.now(UTC)
    experiment_id = make_experiment(server, placement.experiment)
    with server.asked():
        return create_once(
            lambda: server.client.run_pipeline(
                experiment_id,
                name,
                params=dict(parameters),
                pipeline_id=uploaded.pipeline_id,
                version_id=uploaded.version_id,
                service_account=placement.service_account,
            ),
            lambda: _find(server, experiment_id, name, begun),
        )


def make_experiment(server: Server, name: str) -> str:
    """Id of the experiment `name`; it is made if it is missing."""
    from cli.kubeflow.client import create_once

    def make() -> str:
        return str(server.client.create_experiment(name, namespace=server.namespace).experiment_id)

    with server.asked():
        return create_once(make, lambda: None)


def _find(server: Server, experiment_id: str, name: str, begun: datetime) -> "V2beta1Run | None":
    from cli.kubeflow.client import all_pages

    runs = all_pages(server.client.list_runs, "runs", experiment_id=experiment_id, filter=named(name))
    # The clocks of both sides may differ a little; a run of an earlier call with this name is older than that.
    return next(
        (run for run in runs if run.display_name == name and (run.created_at - begun).total_seconds() > -60), None
    )
