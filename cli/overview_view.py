"""The overview as one screen."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.kubeflow.views import STYLES
from cli.overview import Overview, Section

_MARKS = {"ok": ("✓", "green"), "attention": ("!", "bold red"), "unknown": ("·", "dim")}
# What is worth a line of its own, under its part.
_SHOWN = {
    "service": ("name", "storage_uri", "model_version"),
    "health": ("versions",),
    "champion": ("model_version",),
    "drift": (),
    "runs": ("runs",),
    "schedules": ("schedules",),
}


def print_overview(overview: Overview) -> None:
    """Print every part: a mark, a sentence, and the facts that people look for."""
    console = Console()
    for name, section in overview.items():
        mark, style = _MARKS[section.state]
        heading = Text.assemble((f"{mark} ", style), (f"{name:<10} ", "bold"), section.said)
        console.print(heading, soft_wrap=True, highlight=False)
        for fact in _SHOWN[name]:
            _print_fact(console, section, fact)


def _print_fact(console: Console, section: Section, fact: str) -> None:
    value = section.facts.get(fact)
    if not value:
        return
    if fact in ("runs", "schedules"):
        console.print(_table(value))
        return
    text = ", ".join(value) if isinstance(value, list) else str(value)
    console.print(f"             {text}", style="dim", soft_wrap=True, highlight=False)


def _table(rows: list[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=11)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        state = Text(str(row["state"]), STYLES.get(str(row["state"]), ""))
        table.add_row("", _clock(row["at"]), str(row["name"]), state, str(row["said"]))
    return table


def _clock(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""
