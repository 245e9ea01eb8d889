"""`forgery status`: everything about one service on one screen."""

from typing import Annotated

import typer

from cli.kubeflow.connection import Address
from cli.kubeflow.options import with_address


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("status")(with_address(status))


def status(
    address: Address,
    service: Annotated[
        str | None,
        typer.Option(help="kserve:NAMESPACE/NAME or local:PATH; default: the local service.", show_default=False),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="The endpoint; default: where forgery serve answers.", show_default=False),
    ] = None,
    tracking: Annotated[
        str | None,
        typer.Option(help="MLflow tracking URI; default: that of the local service.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say on one screen what is in service, whether it answers, what ran, what is scheduled, and what drifts.

    For example:

      forgery status

      forgery status --service kserve:forgery/forgery --url http://HOST --tracking http://mlflow:5000 --host
      http://kubeflow
    """
    import json

    from cli.home import Home
    from cli.overview import gather
    from cli.overview_view import print_overview

    found = gather(Home.from_environment(), service, url, tracking, address)
    if as_json:
        typer.echo(json.dumps({name: section.values() for name, section in found.items()}, default=str))
    else:
        print_overview(found)
