"""The runs on the server: a list of them, and one with its steps, parameters and metrics."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.kubeflow.compiled import CompiledPipeline, Step
from cli.kubeflow.connection import Server
from cli.kubeflow.follow import failure_text, read_run, run_link
from cli.kubeflow.metrics import MetricsUnreachable, run_metrics
from cli.kubeflow.tasks import StepState, moment, step_states
from cli.kubeflow.upload import named
from forgery.errors import InvalidConfig

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run


@dataclass(frozen=True)
class RunLine:
    """A run in a list."""

    id: str
    name: str
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    link: str


@dataclass(frozen=True)
class RunReport:
    """A run in full.

    Attributes:
        metrics: Last values, from MLflow.
        metrics_note: Why there are none, if MLflow cannot be asked.
        plugins: What the server's plugins say of the run, e.g. the address of its page in MLflow.
        failure: A line for each failed step; empty where none failed.
    """

    run: RunLine
    steps: Sequence[StepState]
    parameters: dict[str, Any]
    metrics: dict[str, float]
    metrics_note: str
    plugins: dict[str, Any]
    failure: str


def list_runs(server: Server, limit: int, experiment: str | None = None) -> list[RunLine]:
    """The latest runs, newest first.

    Raises:
        InvalidConfig: There is no experiment of that name.
    """
    with server.asked():
        where: dict[str, Any] = {"namespace": server.namespace}
        if experiment:
            where = {"experiment_id": _experiment_id(server, experiment)}
        page = server.client.list_runs(page_size=limit, sort_by="created_at desc", **where)
    return [_line(server, run) for run in page.runs or ()]


def show_run(server: Server, reference: str, tracking: str | None = None) -> RunReport:
    """A run with its steps.

    Args:
        server: Where.
        reference: Id or name of a run; of several with the same name the newest.
        tracking: URL of MLflow as seen from here; the run's own parameter if None.

    Raises:
        InvalidConfig: There is none.
    """
    run = read_run(server, run_id(server, reference))
    steps = pipeline_steps(server, run)
    failure = failure_text(server, run, steps) if run.state == "FAILED" else ""
    parameters = dict(run.runtime_config.parameters or {}) if run.runtime_config else {}
    metrics, note = _metrics(tracking or str(parameters.get("tracking", "")), run.run_id)
    return RunReport(_line(server, run), step_states(run, steps), parameters, metrics, note, _plugins(run), failure)


def run_id(server: Server, reference: str) -> str:
    """The id of the run that `reference` (id or name) stands for. Raises InvalidConfig."""
    try:
        return str(uuid.UUID(reference))
    except ValueError:
        pass
    with server.asked():
        found = server.client.list_runs(
            page_size=1, sort_by="created_at desc", filter=named(reference), namespace=server.namespace
        ).runs
    if not found:
        raise InvalidConfig(f"there is no run {reference!r}; `forgery runs list` shows ids and names")
    return str(found[0].run_id)


def pipeline_steps(server: Server, run: "V2beta1Run") -> tuple[Step, ...]:
    """The steps of the version the run is of; none if that version was deleted since."""
    import kfp_server_api
    import yaml

    reference = run.pipeline_version_reference
    if not reference or not reference.pipeline_version_id:
        return ()
    with server.asked():
        try:
            version = server.client.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id)
        except kfp_server_api.ApiException as error:
            if error.status == 404:
                return ()
            raise
    spec = version.pipeline_spec or {}
    # With a platform part the server answers both parts under names, without it the pipeline alone.
    return CompiledPipeline(yaml.safe_dump(spec.get("pipeline_spec", spec))).steps if spec else ()


def _metrics(tracking: str, run_id: str) -> tuple[dict[str, float], str]:
    try:
        return run_metrics(tracking, run_id), ""
    except MetricsUnreachable as error:
        return {}, str(error)


def _plugins(run: "V2beta1Run") -> dict[str, Any]:
    outputs = run.plugins_output or {}
    return {
        f"{plugin}.{name}": entry.value
        for plugin, output in outputs.items()
        for name, entry in (output.entries or {}).items()
    }


def _experiment_id(server: Server, name: str) -> str:
    try:
        return str(server.client.get_experiment(experiment_name=name, namespace=server.namespace).experiment_id)
    except ValueError as error:
        raise InvalidConfig(f"there is no experiment {name!r}") from error


def _line(server: Server, run: "V2beta1Run") -> RunLine:
    return RunLine(
        run.run_id,
        run.display_name,
        str(run.state or "unknown").lower(),
        moment(run.created_at),
        moment(run.finished_at),
        run_link(server, run.run_id),
    )
