"""A run of the batch pipeline as a person watches it."""

import os
from datetime import UTC, datetime

from rich.console import Console
from rich.markdown import Markdown

from cli.home import Home
from cli.training import Watcher
from forgery.batch.config import BatchConfig
from pipelines.local import run_locally


def score_here(home: Home, config: BatchConfig, console: Console | None = None) -> None:
    """Run the compiled batch pipeline and print its summary. Raises RunFailed where a step failed."""
    from pipelines.compile import COMPILED
    from pipelines.graph import read_graph

    compiled = COMPILED / "batch.yaml"
    titles = {step.task: step.title for step in read_graph(compiled).steps}
    folder = home.runs / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    console = console or Console(stderr=True)
    # Steps run elsewhere than here: a relative place would be another one there.
    out = config.out if "://" in config.out else os.path.abspath(config.out)
    source = os.path.abspath(config.source) if os.path.exists(config.source) else config.source
    places = config.model_copy(update={"out": out, "source": source})
    with Watcher(console, titles, verbose=False) as watcher:
        run = run_locally(compiled, places.model_dump(), folder, watcher.take)
    Console().print(Markdown(run.artifact("summarise-scores", "report").read_text()))
