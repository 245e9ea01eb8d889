"""The options that every command shares which speaks with the server."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.kubeflow.compiled import CompiledPipeline
from cli.kubeflow.connection import Address
from forgery.errors import InvalidConfig

_PANEL = "Server"


def _server_option(flag: str, variable: str, text: str) -> Any:  # noqa: ANN401 - typer's own return type
    return typer.Option(flag, envvar=variable, help=text, show_default=False, rich_help_panel=_PANEL)


_SERVER: dict[str, Any] = {
    "host": Annotated[
        str | None,
        _server_option("--host", "KF_PIPELINES_ENDPOINT", "URL of the API, or of the UI, which passes it on."),
    ],
    "token_file": Annotated[
        Path | None,
        _server_option("--token-file", "KF_PIPELINES_TOKEN_FILE", "File with a bearer token (or KF_PIPELINES_TOKEN)."),
    ],
    "namespace": Annotated[
        str | None,
        _server_option("--namespace", "KF_PIPELINES_NAMESPACE", "Yours, on a server with several users."),
    ],
    "ca_file": Annotated[
        Path | None, _server_option("--ca", "KF_PIPELINES_CA", "Certificate of the server's authority, PEM.")
    ],
    "ui": Annotated[
        str | None, _server_option("--ui", "KF_PIPELINES_UI_ENDPOINT", "URL of the UI for links, if not --host.")
    ],
}

Pipeline = Annotated[
    str,
    typer.Option(
        "--pipeline", "-p", help="Name of a compiled pipeline (training, monitoring, batch, rollback), or a YAML file."
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image", envvar="FORGERY_IMAGE", help="Run the steps on this image: digest or immutable tag.",
        show_default=False,
    ),
]  # fmt: skip
Config = Annotated[
    Path | None, typer.Option("--config", help="YAML with parameters; groups are nested.", show_default=False)
]
Experiment = Annotated[str, typer.Option("--experiment", help="Experiment the runs belong to; made if missing.")]
ServiceAccount = Annotated[
    str, typer.Option("--service-account", help="Kubernetes account of the run's pods; see manifests/.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def with_address(command: Callable[..., None]) -> Callable[..., None]:
    """Add the server's options to a command, which gets them as one `Address`, its first argument."""

    @functools.wraps(command)
    def run(**values: Any) -> None:  # noqa: ANN401
        address = Address(**{name: values.pop(name) for name in _SERVER})
        command(address, **values)

    _, *own = inspect.signature(command).parameters.values()
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _SERVER.items()
    ]
    kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([*kept, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*kept, *shared)}
    return run


def read_pipeline(pipeline: str, image: str | None) -> CompiledPipeline:
    """The compiled pipeline that `--pipeline` names, on the image that `--image` names.

    Raises:
        InvalidConfig: There is no such pipeline or file, or the image may change.
    """
    import pipelines

    folder = Path(pipelines.__file__).parent / "compiled"
    file = folder / f"{pipeline}.yaml"
    if not file.is_file():
        file = Path(pipeline)
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        raise InvalidConfig(f"--pipeline {pipeline!r} is no file, and none of: {names}")
    compiled = CompiledPipeline.read(file)
    return compiled.with_image(image) if image else compiled
