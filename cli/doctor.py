"""`forgery doctor`: is everything here that the platform needs, and if not, what to do."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("doctor")(doctor)


def doctor(
    cluster: Annotated[
        str | None,
        typer.Option(help="Check a cluster instead: kserve:NAMESPACE/NAME.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Check this machine: Python, packages, disk, state folder, service, the model in service; or a cluster.

    For example:

      forgery doctor

      forgery doctor --cluster kserve:forgery/forgery
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from cli.checks import check_machine
    from cli.home import Home

    if cluster:
        from cli.cluster_checks import check_service

        checks = check_service(cluster)
    else:
        checks = check_machine(Home.from_environment())
    if as_json:
        for check in checks:
            typer.echo(json.dumps(check.__dict__))
    else:
        table = Table("", "check", "found", "what to do", box=None)
        for check in checks:
            table.add_row("[green]✓[/]" if check.ok else "[red]✗[/]", check.name, check.found, check.remedy)
        Console().print(table)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)
