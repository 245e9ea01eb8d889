"""The commands that speak with a Kubeflow Pipelines server: `upload`, `submit`, `schedule ...`, `runs ...`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.kubeflow import schedule_commands
from cli.kubeflow.connection import Address, Server, connect
from cli.kubeflow.options import (
    Config,
    Experiment,
    Image,
    Json,
    Pipeline,
    ServiceAccount,
    read_pipeline,
    with_address,
)
from cli.kubeflow.submit import EXPERIMENT, SERVICE_ACCOUNT, Placement
from cli.options import Assignments

if TYPE_CHECKING:
    from cli.kubeflow.compiled import CompiledPipeline


def register(app: typer.Typer) -> None:
    """Add the commands to the `forgery` command."""
    app.command("upload")(with_address(upload))
    app.command("submit")(with_address(submit))
    schedule_commands.register(app)
    runs = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    runs.command("list")(with_address(runs_list))
    runs.command("show")(with_address(runs_show))
    app.add_typer(runs, name="runs", help="Look at runs on Kubeflow Pipelines.")


def upload(address: Address, pipeline: Pipeline = "training", image: Image = None, json: Json = False) -> None:
    """Put a pipeline on a Kubeflow Pipelines server, as a new version of the one of that name.

    The version is named after the content, so the same YAML again changes nothing.

    Try:

      forgery upload --host http://localhost:8080

      forgery upload --image registry.example/forgery/train-python@sha256:...

      forgery upload --pipeline rollback
    """
    from cli.kubeflow.upload import upload as put
    from cli.kubeflow.views import as_json

    compiled = read_pipeline(pipeline, image)
    done = put(connect(address), compiled)
    if json:
        typer.echo(as_json(asdict(done)))
        return
    typer.echo(f"{done.name} {done.version} {'uploaded' if done.new else 'is already there'}\n{done.link}")
    _remark_image(compiled)


def submit(
    address: Address,
    pipeline: Pipeline = "training",
    image: Image = None,
    config: Config = None,
    assignments: Assignments = None,
    experiment: Experiment = EXPERIMENT,
    service_account: ServiceAccount = SERVICE_ACCOUNT,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default=False)] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Watch it until it ends; fail if it fails.")] = False,
    timeout: Annotated[
        float | None, typer.Option(help="With --wait: seconds to watch at most.", min=1, show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Start a run on a Kubeflow Pipelines server; the pipeline is uploaded first if it is not there.

    Parameters are those of `forgery run`, checked before anything is sent.

    Try:

      forgery submit --set source=s3://pictures/casia.zip --wait

      forgery submit --config run.yaml --set training.epochs=10 --experiment nightly

      forgery submit --pipeline rollback --wait
    """
    from cli.kubeflow.follow import run_link
    from cli.kubeflow.parameters import run_parameters
    from cli.kubeflow.submit import submit as start
    from cli.kubeflow.upload import upload as put
    from cli.kubeflow.views import as_json

    compiled = read_pipeline(pipeline, image)
    parameters = run_parameters(compiled, config, assignments or [])
    server = connect(address)
    uploaded = put(server, compiled)
    run = start(server, uploaded, parameters, Placement(experiment, service_account), name)
    link = run_link(server, run.run_id)
    if not json:
        typer.echo(f"{run.display_name}\n{link}")
    state = _watch(server, run.run_id, compiled, timeout, quiet=json) if wait else None
    if json:
        values = {"run_id": run.run_id, "name": run.display_name, "version": uploaded.version, "link": link}
        typer.echo(as_json({**values, **({"state": state} if state else {})}))


def runs_list(
    address: Address,
    experiment: Annotated[str | None, typer.Option(help="Of this experiment alone.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 20,
    json: Json = False,
) -> None:
    """List the latest runs.

    Try: forgery runs list --experiment nightly --limit 5
    """
    from cli.kubeflow.runs import list_runs
    from cli.kubeflow.views import as_json, run_table

    found = list_runs(connect(address), limit, experiment)
    if json:
        typer.echo(as_json([asdict(run) for run in found]))
    elif found:
        run_table(found)
    else:
        typer.echo("No run yet; start one: forgery submit")


def runs_show(
    address: Address,
    run: Annotated[str, typer.Argument(help="Id or name of a run.")],
    tracking: Annotated[
        str | None,
        typer.Option(
            help="URL of MLflow as seen from here, for the metrics; the run's own if not given.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show a run: its steps with state and time, its parameters, its metrics, and why it failed if it did.

    Try: forgery runs show 4f1f2a0e-5a53-4a0b-9a4c-4a3a3c2b7d11
    """
    from cli.kubeflow.runs import show_run
    from cli.kubeflow.views import as_json, print_report, report_values

    report = show_run(connect(address), run, tracking)
    if json:
        typer.echo(as_json(report_values(report)))
    else:
        print_report(report)


def _watch(server: Server, run_id: str, compiled: "CompiledPipeline", timeout_s: float | None, quiet: bool) -> str:
    from rich.console import Console

    from cli.kubeflow.follow import follow, run_link
    from cli.kubeflow.views import LiveSteps, LoggedSteps

    console = Console(stderr=quiet)
    try:
        with LiveSteps(console) if console.is_terminal else LoggedSteps(console) as view:
            return str(follow(server, run_id, compiled.steps, view, timeout_s).state).lower()
    except KeyboardInterrupt:
        typer.echo(f"Stopped watching; the run goes on: {run_link(server, run_id)}", err=True)
        raise typer.Exit(130) from None


def _remark_image(compiled: "CompiledPipeline") -> None:
    if any(image.startswith("localhost/") for image in compiled.images):
        typer.echo(
            f"Its steps run on {', '.join(compiled.images)}, which must be loaded on the cluster's nodes; "
            "--image names another.",
            err=True,
        )
