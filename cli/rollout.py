"""`forgery rollout`: history, status and undo of the model in service; reads like `kubectl rollout`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="History of the model in service, and the way back.", no_args_is_help=True)

Service = Annotated[
    str | None,
    typer.Option(help="kserve:NAMESPACE/NAME or local:PATH; default: the local service.", show_default=False),
]

TimeLimit = Annotated[float, typer.Option(min=1, help="Longest wait for the service to answer with the model.")]


@app.command()
def history(
    service: Service = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the revisions kept, oldest first.

    Example: forgery rollout history --service kserve:forgery/forgery
    """
    from cli.revisions import chosen_service, print_history

    print_history(chosen_service(service), as_json)


@app.command()
def status(
    service: Service = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print every change until Ctrl-C.")] = False,
) -> None:
    """Say which model is asked for, and which revision that is.

    Example: forgery rollout status --service kserve:forgery/forgery --watch
    """
    from cli.revisions import chosen_service, print_status, watch_status

    (watch_status if watch else print_status)(chosen_service(service))


@app.command()
def canary(
    step: Annotated[str, typer.Argument(metavar="PERCENT|promote|abort", help="Share of the newest revision.")],
    service: Service = None,
) -> None:
    """Send a share of the requests to the newest revision, then all of them, or none; in Knative mode only.

    After a deployment, 10 leaves the new model a tenth of the requests and gives the rest back to the one before;
    promote ends the canary; abort leaves it none, until `forgery rollout undo` takes it back.

    For example:

      forgery rollout canary 10 --service kserve:forgery/forgery

      forgery rollout canary promote --service kserve:forgery/forgery

      forgery rollout canary abort --service kserve:forgery/forgery
    """
    from cli.canary import take_step
    from cli.revisions import chosen_service

    typer.echo(take_step(chosen_service(service), step))


@app.command()
def undo(
    to: Annotated[
        int | None, typer.Option(help="Revision to go back to; default: the one before.", show_default=False)
    ] = None,
    service: Service = None,
    timeout_s: TimeLimit = 600,
) -> None:
    """Bring an earlier model back into service, checked like a deployment and recorded as a new revision.

    For example:

      forgery rollout undo

      forgery rollout undo --to 3 --service kserve:forgery/forgery
    """
    from cli.home import Home
    from cli.revisions import chosen_service, roll_back

    roll_back(chosen_service(service), Home.from_environment(), to, timeout_s)


@app.command()
def deploy(
    bundle: Annotated[Path, typer.Argument(help="Folder of a sealed bundle.")],
    bundles: Annotated[
        str | None, typer.Option(help="Where to publish it; default: the local store.", show_default=False)
    ] = None,
    service: Service = None,
    timeout_s: TimeLimit = 600,
) -> None:
    """Bring a bundle into service by hand: checked and recorded like any deployment, but not judged by the gate.

    Example: forgery rollout deploy .forgery/runs/20260101-120000/forgery-training/evaluate/bundle
    """
    from cli.home import Home
    from cli.revisions import chosen_service, promote_by_hand

    places = Home.from_environment().places()
    if service is not None and not service.startswith("local:"):
        places["tracking"] = ""
    places["bundles"] = bundles or places["bundles"]
    promote_by_hand(chosen_service(service), bundle, places, timeout_s)
