"""`forgery predict`: verdicts for files, in this process or from an endpoint."""

from pathlib import Path
from typing import Annotated

import typer

_HELP = """
Say whether pictures are forged.

Without --url the model in service is run in this process; --bundle runs another one. With --url the endpoint is asked:
http:// for REST, grpc:// for gRPC.

Examples:

  forgery predict photo.jpg

  forgery predict photos/ 'more/*.png' --json

  forgery predict photo.jpg --url grpc://127.0.0.1:8081

With --json each line is an object: file, label, probability_forged, threshold, model_version, or file, error.
The exit code is 1 if any file could not be scored.
"""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("predict", help=_HELP)(predict)


def predict(
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns.")],
    bundle: Annotated[Path | None, typer.Option(help="Folder of a model bundle.", show_default=False)] = None,
    url: Annotated[str | None, typer.Option(help="http://HOST:PORT or grpc://HOST:PORT.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Score pictures (help text: `_HELP`)."""
    from cli.files import expand
    from cli.home import Home
    from cli.verdicts import ask_endpoint, print_json, print_table, score_here
    from forgery.errors import InvalidConfig

    if bundle is not None and url is not None:
        raise InvalidConfig("give --bundle or --url, not both")
    paths = list(expand(files))
    verdicts = ask_endpoint(url, paths) if url else score_here(Home.from_environment(), bundle, paths)
    failed = print_json(verdicts) if as_json else print_table(verdicts)
    raise typer.Exit(1 if failed else 0)
