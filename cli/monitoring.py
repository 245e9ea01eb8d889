"""A run of the monitoring pipeline as a person watches it."""

import json
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.home import Home
from cli.training import Watcher
from forgery.monitoring.config import MonitoringConfig
from forgery.monitoring.drift import TITLES
from pipelines.local import run_locally

RESULT = ("check-drift", "drift")


def monitor_here(home: Home, config: MonitoringConfig, console: Console | None = None) -> bool:
    """Run the compiled monitoring pipeline, print what it found, and return whether the window has shifted.

    Raises:
        RunFailed: A step failed.
    """
    from pipelines.compile import COMPILED
    from pipelines.graph import read_graph

    compiled = COMPILED / "monitoring.yaml"
    titles = {step.task: step.title for step in read_graph(compiled).steps}
    folder = home.runs / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    console = console or Console(stderr=True)
    with Watcher(console, titles, verbose=False) as watcher:
        run = run_locally(compiled, config.model_dump(), folder, watcher.take)
    found = json.loads(run.artifact(*RESULT).read_text())
    style = "bold red" if found["drifted"] else "bold green" if found["shifts"] else "bold yellow"
    console.print(Text(found["reason"], style=style))
    if found["shifts"]:
        console.print(_table(found["shifts"]))
    console.print(f"  report       {run.page('check-drift', 'report')}", highlight=False, soft_wrap=True)
    return bool(found["drifted"])


def _table(shifts: list[dict[str, object]]) -> Table:
    table = Table("column", "PSI", "distance", "p-value", "", box=None)
    for shift in shifts:
        figures = f"{shift['psi']:.3f}", f"{shift['distance']:.3f}", f"{shift['p_value']:.1e}"
        mark = "[red]shifted[/]" if shift["drifted"] else ""
        table.add_row(TITLES[str(shift["column"])], *figures, mark)
    return table
