"""`forgery run`, `forgery compile`, `forgery graph`: the training pipeline on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Assignments

Config = Annotated[
    Path | None, typer.Option("--config", help="YAML with parameters; see `forgery run --help`.", show_default=False)
]

_RUN_HELP = """
Run the training pipeline on this machine, and deploy the model if it is better than the one in service.

It is the compiled YAML that ships, each step a process of its own. The service, the bundles and the experiment
tracking are folders under FORGERY_HOME unless parameters name other places.

Examples:

  forgery run                                       (the demo's generated pictures)

  forgery run --source photos/ --set backbone=mobilenet_v2 --set weights=imagenet

  forgery run --source s3://bucket/casia.zip --config run.yaml --set training.epochs=10

  forgery run --source photos/ --feedback          (with the verdicts that people corrected)

Parameters: `forgery run --parameters` lists them with defaults.
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run", help=_RUN_HELP)(run)
    app.command("compile")(compile_)
    app.command("graph")(graph)


def run(
    source: Annotated[
        str | None,
        typer.Option(help="Folder, zip, file://, s3://, kaggle:NAME, hf:NAME or demo:[N].", show_default=False),
    ] = None,
    config: Config = None,
    assignments: Assignments = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Learn from corrected verdicts too: forgery feedback.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the steps' messages, each on a line.")] = False,
    parameters: Annotated[bool, typer.Option("--parameters", help="List all parameters and end.")] = False,
) -> None:
    """Run the training pipeline (help text: `_RUN_HELP`)."""
    from cli.home import Home
    from cli.settings import read_config
    from cli.training import print_parameters, train_here

    if parameters:
        print_parameters()
        return
    home = Home.from_environment()
    # After the others, so that --source wins over the file; JSON is YAML, so any character survives.
    chosen = [*(assignments or []), *([f"source={_quoted(source)}"] if source is not None else [])]
    values = read_config(config, chosen, home.places())
    if feedback and home.feedback.is_dir():
        values = values.model_copy(update={"source": f"{values.source} + feedback:{home.feedback}"})
    train_here(home, values, verbose)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)


def compile_(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; default: pipelines/compiled.")] = None,
    image: Annotated[
        str | None, typer.Option(help="Image of the steps, by digest or immutable tag.", show_default=False)
    ] = None,
) -> None:
    """Compile the pipelines to YAML, for `forgery upload` or the Kubeflow UI.

    Example: forgery compile -o build/ --image registry.example/forgery/train-python@sha256:...
    """
    from pipelines.compile import COMPILED, compile_pipelines

    for path in compile_pipelines(out or COMPILED, image):
        typer.echo(path)


def graph(
    pipeline: Annotated[str, typer.Argument(help="Name of a compiled pipeline.")] = "training",
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As Mermaid source, for a page.")] = False,
) -> None:
    """Draw a pipeline's steps and what flows between them, from its compiled YAML.

    Example: forgery graph training --mermaid
    """
    from pipelines.compile import COMPILED
    from pipelines.graph import read_graph

    steps = read_graph(COMPILED / f"{pipeline}.yaml")
    typer.echo(steps.mermaid() if mermaid else steps.text())
