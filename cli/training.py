"""A training run as a person watches it: a line a step, the verdict, and where everything is."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.home import Home
from forgery.config import Options, RunConfig
from pipelines.local import Event, LocalRun, run_locally

if TYPE_CHECKING:
    from forgery.evaluation import Comparison


@dataclass(frozen=True)
class Outcome:
    """What a finished run came to."""

    run: LocalRun
    promoted: bool
    verdict: str  # the gate's reason in one sentence
    comparison: "Comparison"


def train_here(home: Home, config: RunConfig, verbose: bool = False, console: Console | None = None) -> Outcome:
    """Run the compiled training pipeline with `config` and print how it goes.

    Raises:
        RunFailed: A step failed; nothing of it is in service.
    """
    from pipelines.compile import COMPILED
    from pipelines.graph import read_graph

    compiled = COMPILED / "training.yaml"
    titles = {step.task: step.title for step in read_graph(compiled).steps}
    console = console or Console(stderr=True)
    folder = home.runs / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    started = time.monotonic()
    with Watcher(console, titles, verbose) as watcher:
        run = run_locally(compiled, config.model_dump(), folder, watcher.take)
    outcome = read_outcome(run)
    _print_outcome(console, outcome, time.monotonic() - started)
    return outcome


def read_outcome(run: LocalRun) -> Outcome:
    """The verdict and figures of a finished run, from its artifacts."""
    from forgery.evaluation import Comparison

    comparison = Comparison.read(run.artifact("evaluate", "comparison"))
    verdict = run.artifact("decide", "verdict").read_text().splitlines()[0].lstrip("# ").strip()
    return Outcome(run, run.ran("deploy"), verdict, comparison)


def _print_outcome(console: Console, outcome: Outcome, seconds: float) -> None:
    style = "bold green" if outcome.promoted else "bold yellow"
    console.print(Text(outcome.verdict, style=style))
    places = {
        "evaluation": outcome.run.page("evaluate", "report"),
        "data report": outcome.run.page("validate", "report"),
        "curves": outcome.run.page("train", "curves"),
        "log": outcome.run.log,
    }
    for name, path in places.items():
        console.print(f"  {name:<12} {path}", highlight=False, soft_wrap=True)
    console.print(f"  done in {seconds:.0f} s", highlight=False)


class Watcher:
    """Prints a line for every step, with a spinner and the step's last message while it runs."""

    def __init__(self, console: Console, titles: dict[str, str], verbose: bool) -> None:
        """Print to `console`, tasks by their `titles`; with `verbose` each message of a step is a line of its own."""
        self._console = console
        self._titles = titles
        self._width = max(map(len, titles.values()), default=0)
        self._verbose = verbose
        self._status = Text()
        self._title = ""
        self._live = Live(Spinner("dots", self._status), console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> "Watcher":
        """Start the spinner, where the output is a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the spinner away."""
        self._live.stop()

    def take(self, event: Event) -> None:
        """Show one event of the run."""
        if event.kind == "started":
            self._title = self._titles.get(event.task, event.task)
            self._show("")
        elif event.kind == "message":
            self._show(event.text)
            if self._verbose:
                self._console.print(f"    {event.text}", style="dim", highlight=False, soft_wrap=True)
        else:
            mark = "[green]✓[/]" if event.text == "SUCCESS" else "[red]✗[/]"
            title = self._titles.get(event.task, event.task)
            self._console.print(f"{mark} {title:<{self._width}} {event.seconds:6.1f} s", highlight=False)

    def _show(self, message: str) -> None:
        self._status = Text.assemble((f"{self._title}  ", "bold"), (message, "dim"))
        self._live.update(Spinner("dots", self._status))


def print_parameters() -> None:
    """Print every parameter of a run with its default and meaning."""
    table = Table(box=None, pad_edge=False)
    for heading in ("parameter", "default", "meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "parameter")
    for key, default, meaning in parameter_rows(RunConfig):
        table.add_row(key, default, meaning)
    Console().print(table)


def parameter_rows(options: type[Options], prefix: str = "") -> list[tuple[str, str, str]]:
    """Key, default and meaning of every parameter, groups dotted."""
    rows = []
    for name, field in options.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and hasattr(nested, "model_fields"):
            rows += parameter_rows(nested, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(field.get_default(call_default_factory=True)), field.description or ""))
    return rows
