"""A step of a local run does not outlive it, and lives as long as it does."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from forgery.steps.runner import RUNNER_VARIABLE

STEP = """
import time
from forgery.steps import step
with step("sleep"):
    print("begun", flush=True)
    time.sleep(60)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python code; what still runs at the end is killed."""
    begun = []

    def started(code: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield started
    for process in begun:
        process.kill()
        process.communicate()


def test_a_step_ends_soon_after_its_run_was_killed(start: Start) -> None:
    runner = start("input()")
    step = start(STEP, **{RUNNER_VARIABLE: str(runner.pid)})
    assert step.stdout is not None
    assert step.stdout.readline() == "begun\n"
    runner.kill()
    runner.wait()
    _, said = step.communicate(timeout=30)
    assert step.returncode != 0
    assert "the run that started this step is gone" in said


@pytest.mark.parametrize("runner", [{RUNNER_VARIABLE: str(os.getpid())}, {}], ids=["run-lives", "in-a-pod"])
def test_other_steps_are_let_alone(start: Start, runner: dict[str, str]) -> None:
    step = start(STEP, **runner)
    assert step.stdout is not None
    assert step.stdout.readline() == "begun\n"
    with pytest.raises(subprocess.TimeoutExpired):
        step.wait(timeout=3)
