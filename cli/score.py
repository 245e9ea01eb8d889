"""`forgery score`: every picture of a source, with the model in service."""

from typing import Annotated

import typer

from cli.options import Assignments


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("score")(score)


def score(
    source: Annotated[str, typer.Argument(help="A folder, a zip, s3://BUCKET/PREFIX, or demo:[N].")],
    out: Annotated[str, typer.Option(help="Where Parquet files go: a folder or s3://BUCKET/PREFIX.")] = "scores",
    assignments: Assignments = None,
) -> None:
    """Score every picture of a source with the local model in service: the batch pipeline, run here.

    Each shard becomes one Parquet file, a row a picture; a run that was stopped goes on with what is missing.
    On a cluster: forgery submit --pipeline batch --set source=s3://BUCKET/PREFIX --set out=s3://BUCKET/SCORES.

    For example:

      forgery score pictures/ --out scores/

      forgery score demo:60 --set shard_pictures=20
    """
    from cli.batch import score_here
    from cli.home import Home
    from cli.settings import read_values
    from forgery.batch.config import BatchConfig

    home = Home.from_environment()
    values = {"source": source, "out": out, "service": home.places()["service"], **read_values(None, assignments or [])}
    score_here(home, BatchConfig.read(values))
