"""`forgery monitor`: has what the local service sees shifted."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Assignments


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("monitor")(monitor)


def monitor(
    assignments: Assignments = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="After a shift, run the training pipeline here.")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="With --retrain: YAML with its parameters.", show_default=False)
    ] = None,
) -> None:
    """Compare what the local service saw with what its model was measured on: the monitoring pipeline, run here.

    It reads the log that `forgery serve --log-payloads` keeps. On a cluster: forgery schedule create drift --every 24h
    --pipeline monitoring.

    For example:

      forgery monitor

      forgery monitor --set window_hours=168 --set rule.min_pictures=100

      forgery monitor --retrain --config run.yaml
    """
    from cli.home import Home
    from cli.monitoring import monitor_here
    from cli.settings import read_config, read_values
    from cli.training import train_here
    from forgery.monitoring.config import MonitoringConfig

    home = Home.from_environment()
    places = {name: home.places()[name] for name in ("service", "tracking")}
    values = {"payloads": str(home.payloads), **places, **read_values(None, assignments or [])}
    # What may be wrong with the training's parameters is said before anything runs.
    training = read_config(config, [], home.places())
    if monitor_here(home, MonitoringConfig.read(values)) and retrain:
        train_here(home, training)
