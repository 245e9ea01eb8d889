"""Watch a run until it ends: a live view of its steps, and why it failed if it does."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from cli.kubeflow.compiled import Step
from cli.kubeflow.connection import PipelinesUnavailable, Server
from cli.kubeflow.logs import failure_lines
from cli.kubeflow.tasks import FINISHED, StepState, step_states
from forgery.errors import ForgeryError

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Run

POLL_S = 5.0
# Training goes on while the server restarts, so a watcher waits for it, in addition to the client's own retries.
OUTAGE_S = 300.0


class RunFailed(ForgeryError):
    """The run ended, and not well."""


class WatchTimeout(ForgeryError):
    """The run goes on, longer than the watcher was told to wait."""


class View(Protocol):
    """Where the states of the steps are shown."""

    def show(self, steps: Sequence[StepState], note: str) -> None:
        """Show these states; `note` says what else there is to know, e.g. that the server does not answer."""


def follow(
    server: Server,
    run_id: str,
    steps: Sequence[Step],
    view: View,
    timeout_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> "V2beta1Run":
    """Watch until the run ends.

    Raises:
        RunFailed: It ended in failure or was cancelled; the message has the failed steps' last clear lines.
        WatchTimeout: It still runs after `timeout_s`.
        PipelinesUnavailable: The server has not answered for five minutes.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    answered = time.monotonic()
    while True:
        try:
            run = read_run(server, run_id)
        except PipelinesUnavailable as error:
            if time.monotonic() - answered > OUTAGE_S:
                raise
            view.show([], f"{error}; still trying")
        else:
            answered = time.monotonic()
            view.show(step_states(run, steps), "")
            if run.state in FINISHED:
                return _ended(server, run, steps)
        if deadline is not None and time.monotonic() > deadline:
            raise WatchTimeout(f"the run goes on after {timeout_s:.0f} s; watch it at {run_link(server, run_id)}")
        sleep(POLL_S)


def read_run(server: Server, run_id: str) -> "V2beta1Run":
    """The run as it is now."""
    with server.asked():
        return server.client.get_run(run_id)


def run_link(server: Server, run_id: str) -> str:
    """The run's page in the UI."""
    return server.link(f"runs/details/{run_id}")


def failure_text(server: Server, run: "V2beta1Run", steps: Sequence[Step]) -> str:
    """One line for each failed step: its title and its log's last clear line."""
    lines = failure_lines(server, run)
    titles = {step.key: step.title for step in steps}
    failed = [state for state in step_states(run, steps) if state.state == "failed"]
    texts = [f"{state.title}: {lines.get(state.key, 'its log is gone or cannot be read')}" for state in failed]
    # A driver that fails has no step that failed: the cause is told under its task, or under the run itself.
    texts += [
        f"{titles.get(task, task)}: {line}" for task, line in lines.items() if task not in {s.key for s in failed}
    ]
    return "\n".join(texts) or "no step says why; see its page"


def _ended(server: Server, run: "V2beta1Run", steps: Sequence[Step]) -> "V2beta1Run":
    if run.state == "SUCCEEDED":
        return run
    took = f" after {_minutes(run)}" if run.created_at else ""
    raise RunFailed(
        f"run {run.state.lower()}{took}: {failure_text(server, run, steps)}\n{run_link(server, run.run_id)}"
    )


def _minutes(run: "V2beta1Run") -> str:
    seconds = int(((run.finished_at or datetime.now(UTC)) - run.created_at).total_seconds())
    return f"{seconds // 60} min {seconds % 60} s"
