"""A Kubeflow Pipelines server in memory, and the command line pointed at it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one

from kfp_backend import Backend, serve
from kfp_invocation import Forgery, Result

from forgery.errors import ForgeryError


@pytest.fixture
def backend() -> Iterator[Backend]:
    backend = Backend()
    server = serve(backend)
    yield backend
    server.shutdown()
    server.server_close()
    # Every request that the commands under test send is one the API knows.
    assert backend.refusals == []


@pytest.fixture(autouse=True)
def sdk_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the SDK would keep a namespace of yours between calls."""
    path = tmp_path / "home" / ".config" / "kfp" / "context.json"
    monkeypatch.setattr("kfp.client.client.Client._LOCAL_KFP_CONTEXT", str(path))
    return path


@pytest.fixture(autouse=True)
def no_server_of_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "UI_ENDPOINT", "TOKEN", "TOKEN_FILE", "NAMESPACE", "CA", "SA_TOKEN_PATH"):
        monkeypatch.delenv(f"KF_PIPELINES_{name}", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("FORGERY_IMAGE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of retries and polls, for tests."""
    monkeypatch.setattr("cli.kubeflow.client.BACKOFF_S", 0.005)
    monkeypatch.setattr("cli.kubeflow.follow.POLL_S", 0.005)


@pytest.fixture
def run_cli() -> Forgery:
    """Call `forgery ARGUMENTS`, its errors told as `cli.__main__` tells them."""
    from cli.kubeflow.commands import register

    app = typer.Typer(pretty_exceptions_enable=False)
    register(app)

    def run(*arguments: Any) -> Result:
        outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(outcome.exception, ForgeryError):
            line = f"forgery: {outcome.exception}\n"
            return Result(outcome.exception.exit_code, outcome.stdout, outcome.stderr + line)
        if outcome.exception and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return Result(outcome.exit_code, outcome.stdout, outcome.stderr)

    return run


@pytest.fixture
def forgery(run_cli: Forgery, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Forgery:
    """The same, with the server named by the environment."""
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", backend.url)
    return run_cli


@pytest.fixture(scope="session")
def tiny_yaml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled pipeline of two steps, the second under a condition, with parameters of its own."""
    from kfp import compiler, dsl

    def component(function: Any) -> Any:
        return dsl.component(function, base_image="localhost/forgery/train-python:0.1.0", install_kfp_package=False)

    @component
    def look(service: str) -> bool:
        return bool(service)

    @component
    def undo(service: str, to: int) -> None:
        print(service, to)

    @dsl.pipeline(name="tiny-rollback")
    def tiny(service: str, to: int = 0) -> None:
        found = look(service=service).set_display_name("Look up")
        with dsl.If(found.output == True):  # noqa: E712
            undo(service=service, to=to).set_display_name("Undo")

    path = tmp_path_factory.mktemp("compiled") / "tiny.yaml"
    compiler.Compiler().compile(tiny, str(path))
    return path
