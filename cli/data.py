"""`forgery data make` and `forgery data describe`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make the demo's pictures, or look at a data set before training.", no_args_is_help=True)


@app.command()
def make(
    out: Annotated[Path, typer.Argument(help="New folder.")],
    pictures: Annotated[int, typer.Option(min=40, help="How many pictures, half of them forged.")] = 240,
    seed: Annotated[int, typer.Option(min=0, help="Other seeds give other pictures.")] = 0,
) -> None:
    """Make forged pictures with masks, and authentic ones that went through the same compression.

    The raw material are photographs that installed packages ship; nothing is downloaded.

    Example: forgery data make demo-pictures --pictures 400
    """
    from forgery.dataset.demo import make_demo
    from forgery.errors import InvalidConfig

    if out.exists():
        raise InvalidConfig(f"{out} exists already; name a new folder")
    make_demo(out, pictures, seed)
    typer.echo(f"{out}: {pictures} pictures; train on them with: forgery run --source {out}")


@app.command()
def describe(
    source: Annotated[str, typer.Argument(help="Folder, zip, file://, s3://, kaggle:NAME, hf:NAME or demo:[N].")],
    html: Annotated[Path | None, typer.Option(help="Write the whole report there.", show_default=False)] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As in `forgery run`.", show_default=False)
    ] = None,
) -> None:
    """Read a source as the pipeline would and say what it holds: labels, groups, split, rejects, findings.

    Example: forgery data describe photos/ --html report.html
    """
    import tempfile

    from cli.describe import print_data_set
    from cli.settings import read_config
    from forgery.dataset.ingest import ingest
    from forgery.dataset.validate import validate

    config = read_config(None, assignments or [])
    with tempfile.TemporaryDirectory() as folder:
        image_set = Path(folder) / "images"
        info = ingest(source, image_set, config.data, config.seed)
        report = validate(image_set, config.data)
        print_data_set(info, image_set, report.findings)
        if html is not None:
            html.write_text(report.html())
            typer.echo(f"report: {html}")
    raise typer.Exit(1 if report.errors else 0)
