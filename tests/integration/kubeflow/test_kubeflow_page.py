"""Every command of docs/kubeflow.md, in its order."""

import re
import shlex
from pathlib import Path

import kfp_workflow
import pytest
from kfp_backend import Backend
from kfp_invocation import Forgery

PAGE = Path(__file__).parents[3] / "docs" / "kubeflow.md"
# What needs a cluster: the port that the double stands in for.
OUTSIDE = {
    "kubectl --namespace kubeflow port-forward svc/ml-pipeline-ui 8080:80 &",
    "export KF_PIPELINES_ENDPOINT=http://localhost:8080",
}


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_of_the_page_works(forgery: Forgery, backend: Backend) -> None:
    backend.play = lambda run: kfp_workflow.apply(run, "SUCCEEDED", {"ingest": "SUCCEEDED"})
    lines = [line for line in commands() if line not in OUTSIDE]
    assert len(lines) > 15
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "forgery", line
        result = forgery(*arguments)
        assert result.code == 0, (line, result.err)


def test_exit_codes_of_the_page_are_those_of_the_errors() -> None:
    from cli.kubeflow.connection import PipelinesRefused, PipelinesUnavailable
    from cli.kubeflow.follow import RunFailed, WatchTimeout
    from forgery.errors import InvalidConfig

    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    assert set(rows) == {"0", "1", "2", "5", "130"}
    assert {error.exit_code for error in (PipelinesRefused, RunFailed, WatchTimeout)} == {1}
    assert (InvalidConfig.exit_code, PipelinesUnavailable.exit_code) == (2, 5)


@pytest.mark.parametrize("command", ["upload", "submit", "schedule create", "runs show"])
def test_help_has_examples_that_name_the_command(forgery: Forgery, command: str) -> None:
    shown = forgery(*command.split(), "--help").out
    assert "Try:" in shown
    assert f"forgery {command}" in " ".join(shown.split())
