"""Entry point of the `forgery` command: sub-commands, and one line for every error a person can mend."""

import sys

import typer

from cli import data, demo, doctor, ela, feedback, model, monitor, pipeline, predict, rollout, score, serve, status, ui
from cli.kubeflow.commands import register as register_kubeflow
from forgery.errors import ForgeryError

_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 wrong parameter or usage, 3 somebody else deployed meanwhile, "
    "4 the new model did not come into service, 5 the service or its API does not answer, 130 interrupted."
)

app = typer.Typer(
    name="forgery",
    help="Train, prove, serve and roll back an image-forgery detector.\n\n"
    "Start with: [bold]forgery demo[/bold]. State lives under FORGERY_HOME (default .forgery here).",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for module in (demo, pipeline, serve, ui, predict, score, status, monitor, ela, doctor):
    module.register(app)
app.add_typer(data.app, name="data")
app.add_typer(feedback.app, name="feedback")
app.add_typer(model.app, name="model")
app.add_typer(rollout.app, name="rollout")
register_kubeflow(app)


def main() -> None:
    """Run the command line; errors written for people are printed alone and give the exit code."""
    try:
        app()
    except ForgeryError as error:
        print(f"forgery: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("forgery: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


if __name__ == "__main__":
    main()
