"""Every command of docs/how-to/schedule.md, in its order."""

import re
import shlex
from pathlib import Path

from kfp_backend import Backend
from kfp_invocation import Forgery

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "schedule.md"


def test_every_command_of_the_guide_works(forgery: Forgery, backend: Backend) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for line in (line for block in blocks for line in block.splitlines()):
        program, *arguments = shlex.split(line)
        assert program == "forgery", line
        result = forgery(*arguments)
        assert result.code == 0, (line, result.err)
    parameters = {run.display_name: run.runtime_config.parameters for run in backend.recurring_runs.values()}
    assert parameters["nightly"]["source"] == "s3://pictures/all/ + feedback:s3://pictures/feedback"
    assert parameters["drift"]["retrain"] == "nightly"
