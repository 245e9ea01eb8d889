"""The commands that speak with a Kubeflow Pipelines server."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the `forgery` command."""
