"""`forgery feedback`: verdicts that people corrected."""

from typing import Annotated

import typer

app = typer.Typer(help="Verdicts that people corrected, for the next model to learn from.", no_args_is_help=True)

Place = Annotated[
    str | None, typer.Option("--to", help="A folder or s3://bucket/prefix; default: the local one.", show_default=False)
]


@app.command()
def add(
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns.")],
    label: Annotated[str, typer.Option(help="What the pictures are: authentic or forged.")],
    by: Annotated[str, typer.Option(help="Who says so.")],
    because: Annotated[str, typer.Option(help="How it is known, e.g. 'raw file seen'.")],
    keep_picture: Annotated[
        bool, typer.Option("--keep-picture", help="Hand the pictures over: only then can a model learn from them.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Ask this endpoint, and keep its verdict beside.", show_default=False)
    ] = None,
    place: Place = None,
) -> None:
    """Say what pictures really are.

    Without --keep-picture the digest alone is kept, with who said what and why.

    For example:

      forgery feedback add photo.jpg --label authentic --by anna --because 'raw file seen' --keep-picture

      forgery run --source photos/ --feedback
    """
    from cli.corrections import correct
    from cli.home import Home

    for line in correct(files, label, by, because, keep_picture, url, place or str(Home.from_environment().feedback)):
        typer.echo(line)


@app.command("list")
def list_(
    place: Place = None, as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False
) -> None:
    """List what was corrected, and what the next training will make of it.

    Example: forgery feedback list
    """
    from cli.corrections import print_corrections
    from cli.home import Home

    print_corrections(place or str(Home.from_environment().feedback), as_json)
