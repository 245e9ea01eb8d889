"""`forgery serve`: the local InferenceService."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("serve")(serve)


def serve(
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="REST; 0 takes a free one.")] = 8080,
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC; 0 takes a free one.")] = 8081,
    log_payloads: Annotated[
        bool, typer.Option("--log-payloads", help="Log a line a scored picture, never a picture: see docs.")
    ] = False,
) -> None:
    """Serve the model in service: the same transformer and predictor processes that the images run.

    A new deployment or rollback is picked up while running, without losing a request. Ctrl-C ends it.

    Example, in two terminals:

      forgery serve

      forgery predict photo.jpg --url http://127.0.0.1:8080
    """
    import os

    from cli.home import Home
    from serving.supervisor import run

    home = Home.from_environment()
    if log_payloads:
        os.environ.setdefault("FORGERY_PAYLOAD_LOG", str(home.payloads))

    def announce(http_url: str, grpc_url: str) -> None:
        typer.echo(f"ready: REST {http_url}  gRPC {grpc_url}")

    raise typer.Exit(run(home.service, http_port, grpc_port, on_ready=announce))
