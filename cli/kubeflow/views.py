"""How runs, steps and schedules look: tables on a terminal, lines in a log, JSON for scripts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.kubeflow.runs import RunLine, RunReport
from cli.kubeflow.tasks import StepState

STYLES = {
    "succeeded": "green",
    "cached": "green",
    "enabled": "green",
    "running": "cyan",
    "starting": "cyan",
    "failed": "bold red",
    "canceled": "red",
    "paused": "yellow",
    "skipped": "dim",
    "waiting": "dim",
}


def duration(seconds: float | None) -> str:
    """Like `1 h 02 min`, `3 min 05 s` or `12 s`; empty for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def clock(moment: datetime | None) -> str:
    """`2026-03-04 03:00`, in UTC; empty for None."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""


def state_text(state: str) -> Text:
    """The state in its colour."""
    return Text(state, STYLES.get(state, ""))


def step_table(steps: Sequence[StepState]) -> Table:
    """Step, state, duration."""
    table = Table(box=None, pad_edge=False)
    for column in ("step", "state", "time"):
        table.add_column(column, justify="right" if column == "time" else "left")
    now = datetime.now(UTC)
    for step in steps:
        table.add_row(step.title, state_text(step.state), duration(step.duration_s(now)))
    return table


def as_json(value: Any) -> str:  # noqa: ANN401
    """JSON of plain values, with times as ISO 8601."""
    return json.dumps(value, default=lambda item: item.isoformat(), ensure_ascii=False)


def step_values(steps: Sequence[StepState]) -> list[dict[str, Any]]:
    """The steps as plain values, with `seconds`."""
    now = datetime.now(UTC)
    return [{**asdict(step), "seconds": step.duration_s(now)} for step in steps]


class LiveSteps:
    """On a terminal: one table that is drawn again and again, the running times going on between answers."""

    def __init__(self, console: Console) -> None:
        self._steps: Sequence[StepState] = ()
        self._note = ""
        self._spinner = Spinner("dots", "Ctrl-C stops watching, not the run")
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spinner.text = Text()
        self._live.stop()

    def show(self, steps: Sequence[StepState], note: str) -> None:
        """See `cli.kubeflow.follow.View`."""
        self._steps, self._note = steps or self._steps, note

    def _render(self) -> RenderableType:
        below: RenderableType = Text(self._note, "yellow") if self._note else self._spinner
        return Group(step_table(self._steps), below)


class LoggedSteps:
    """In a log: one line whenever a step's state changes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, str] = {}
        self._note = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def show(self, steps: Sequence[StepState], note: str) -> None:
        """See `cli.kubeflow.follow.View`."""
        now = datetime.now(UTC)
        for step in steps:
            if step.state != self._told.get(step.key, "waiting"):
                took = f" in {duration(step.duration_s(now))}" if step.finished_at else ""
                self._print(now, f"{step.title}: {step.state}{took}")
                self._told[step.key] = step.state
        if note and note != self._note:
            self._print(now, note)
        self._note = note

    def _print(self, now: datetime, text: str) -> None:
        self._console.print(f"{now:%H:%M:%S} {text}", soft_wrap=True, markup=False, highlight=False)


def run_table(runs: Sequence[RunLine]) -> None:
    """Print the runs, newest first."""
    table = Table("run", "name", "started (UTC)", "state", "time", box=None, pad_edge=False)
    now = datetime.now(UTC)
    for run in runs:
        table.add_row(run.id, run.name, clock(run.started_at), state_text(run.state), duration(_seconds(run, now)))
    Console().print(table)


def print_report(report: RunReport) -> None:
    """Print a run in full."""
    run, console = report.run, Console()
    heading = Text(f"{run.name}  ").append(state_text(run.state))
    console.print(heading.append(f"  {duration(_seconds(run, datetime.now(UTC)))}"))
    console.print(run.link, soft_wrap=True, highlight=False)
    console.print()
    console.print(step_table(report.steps))
    for title, values in (
        ("metric", {name: round(value, 4) for name, value in report.metrics.items()}),
        ("plugin", report.plugins),
        ("parameter", report.parameters),
    ):
        if values:
            console.print()
            console.print(_value_table(title, values))
    if report.metrics_note:
        console.print(f"\n{report.metrics_note}", style="dim", soft_wrap=True, markup=False, highlight=False)
    if report.failure:
        console.print(f"\n{report.failure}", style="red", soft_wrap=True, markup=False, highlight=False)


def report_values(report: RunReport) -> dict[str, Any]:
    """A run in full as plain values."""
    return {**asdict(report.run), **asdict(report), "run": report.run.id, "steps": step_values(report.steps)}


def _seconds(run: RunLine, now: datetime) -> float | None:
    return ((run.finished_at or now) - run.started_at).total_seconds() if run.started_at else None


def _value_table(title: str, values: Mapping[str, Any]) -> Table:
    table = Table(title, "value", box=None, pad_edge=False)
    for name, value in sorted(values.items()):
        table.add_row(name, Text(value if isinstance(value, str) else as_json(value)))
    return table
