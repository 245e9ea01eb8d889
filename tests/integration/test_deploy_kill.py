"""kill -9 at any point of a deploy or an undo leaves the old model or the new one, never neither."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forgery.bundle import Bundle

DRIVER = Path(__file__).with_name("kill_deploy.py")


def outcomes(what: str, root: Path, drafts: Path) -> list[dict[str, Any]]:
    command = [sys.executable, str(DRIVER), what, str(root), str(drafts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("what", "history"),
    [
        ("deploy", [[1, "run-a", "serving"], [2, "run-b", "serving"]]),
        ("undo", [[1, "run-a", "serving"], [2, "run-b", "serving"], [3, "undo", "serving"]]),
    ],
)
def test_killed_at_every_step_leaves_the_old_or_the_new_and_a_retry_converges(
    what: str, history: list[Any], tmp_path: Path, make_light_bundle: Callable[[str], Bundle]
) -> None:
    a, b = make_light_bundle("a"), make_light_bundle("b")
    old, new = (a, b) if what == "deploy" else (b, a)
    results = outcomes(what, tmp_path, a.path.parent)
    *kills, last = results
    assert len(kills) >= 10, "the deploy must have been killed at each of its changes to the disk"
    assert not last["killed"]
    for result in kills:
        assert result["left"]["whole"], result
        assert result["left"]["model"] in (old.digest, new.digest), result
    assert {result["left"]["model"] for result in kills} == {old.digest, new.digest}, "killed before and after the swap"
    for result in results:
        assert result["after"] == {"model": new.digest, "whole": True, "history": history}, result
