"""`forgery schedule ...`: recurring runs on a Kubeflow Pipelines server."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.kubeflow.connection import Address, connect
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
    from cli.kubeflow.schedule import Schedule
    from cli.kubeflow.timing import Timing

Name = Annotated[str, typer.Argument(help="Name of the schedule.")]
_OUTCOMES = {"unchanged": "is already there", "created": "created", "replaced": "replaced the one of that name"}


def register(app: typer.Typer) -> None:
    """Add the command group `schedule`."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
    for name, command in (
        ("create", create),
        ("list", list_),
        ("pause", pause),
        ("resume", resume),
        ("delete", delete),
    ):
        group.command(name)(with_address(command))
    app.add_typer(group, name="schedule", help="Start runs on Kubeflow Pipelines at set times.")


def create(
    address: Address,
    name: Name,
    cron: Annotated[
        str | None,
        typer.Option(help="Six fields: second minute hour day month weekday; or @daily, ...", show_default=False),
    ] = None,
    every: Annotated[str | None, typer.Option(help="Interval: 90m, 24h, 7d.", show_default=False)] = None,
    pipeline: Pipeline = "training",
    image: Image = None,
    config: Config = None,
    assignments: Assignments = None,
    experiment: Experiment = EXPERIMENT,
    service_account: ServiceAccount = SERVICE_ACCOUNT,
    json: Json = False,
) -> None:
    """Start runs at set times: never two at once, and missed ones are not made up for.

    The same command again changes nothing; another one for the same name takes its place. Times are UTC unless the
    server was told another zone (CRON_SCHEDULE_TIMEZONE).

    Try:

      forgery schedule create nightly --cron '0 0 3 * * *' --set source=s3://pictures/new/

      forgery schedule create weekly --cron '0 30 2 * * MON' --config weekly.yaml

      forgery schedule create often --every 6h
    """
    from cli.kubeflow import schedule
    from cli.kubeflow.parameters import run_parameters
    from cli.kubeflow.timing import parse_timing
    from cli.kubeflow.upload import upload as put
    from cli.kubeflow.views import as_json

    timing = parse_timing(cron, every)
    compiled = read_pipeline(pipeline, image)
    parameters = run_parameters(compiled, config, assignments or [])
    server = connect(address)
    done = schedule.create(
        server, name, timing, put(server, compiled), parameters, Placement(experiment, service_account)
    )
    if json:
        typer.echo(as_json({"outcome": done.kind, **asdict(done.schedule)}))
    else:
        typer.echo(f"{name}: {_OUTCOMES[done.kind]}")
        _explain(done.schedule, timing)


def list_(address: Address, json: Json = False) -> None:
    """List the schedules: when, the next time, whether paused."""
    from rich.console import Console
    from rich.table import Table

    from cli.kubeflow.schedule import list_all
    from cli.kubeflow.views import as_json, clock, state_text

    found = list_all(connect(address))
    if json:
        typer.echo(as_json([asdict(schedule) for schedule in found]))
        return
    if not found:
        typer.echo("No schedule yet; make one: forgery schedule create nightly --cron '0 0 3 * * *'")
        return
    table = Table("name", "when", "next (UTC)", "state", box=None, pad_edge=False)
    for schedule in found:
        table.add_row(schedule.name, schedule.when, clock(schedule.next_at), state_text(schedule.state))
    Console().print(table)


def pause(address: Address, name: Name) -> None:
    """Start no more runs until resumed; those that run go on."""
    from cli.kubeflow import schedule

    schedule.pause(connect(address), name)
    typer.echo(f"{name}: paused; `forgery schedule resume {name}` goes on, without the runs missed meanwhile")


def resume(address: Address, name: Name) -> None:
    """Start runs again; what was missed is not made up for."""
    from cli.kubeflow import schedule
    from cli.kubeflow.views import clock

    for resumed in schedule.resume(connect(address), name):
        typer.echo(f"{name}: {resumed.when}; next {clock(resumed.next_at)} UTC")


def delete(address: Address, name: Name) -> None:
    """Delete a schedule; the runs it started stay."""
    from cli.kubeflow import schedule

    schedule.delete(connect(address), name)
    typer.echo(f"{name}: deleted")


def _explain(schedule: "Schedule", timing: "Timing") -> None:
    from datetime import UTC, datetime

    from cli.kubeflow.views import clock

    if schedule.state == "paused":
        typer.echo(f"  {schedule.when}, once resumed: forgery schedule resume {schedule.name}")
        return
    now = datetime.now(UTC)
    times = ", ".join(clock(moment) for moment in timing.next_times(now, now, 3))
    typer.echo(f"  {schedule.when}\n  next: {times} UTC")
