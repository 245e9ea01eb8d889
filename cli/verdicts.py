"""Verdicts as records, from this process or an endpoint, and how they are printed."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from cli.bundles import open_named
from cli.files import read_picture
from cli.home import Home
from cli.quiet import load_tensorflow
from forgery.bundle import open_bundle

Record = dict[str, Any]
_STYLES = {"forged": "bold red", "authentic": "green", "inconclusive": "yellow"}


def score_here(home: Home, folder: Path | None, paths: Sequence[Path]) -> Iterator[Record]:
    """Score files in this process with the bundle in `folder`, or with the one in service."""
    from forgery.scoring import score_pictures

    bundle = open_named(None) if folder is None else open_bundle(folder)
    load_tensorflow()
    for scored in score_pictures(bundle, ((str(path), partial(read_picture, path)) for path in paths)):
        yield scored.record()


def ask_endpoint(url: str, paths: Sequence[Path]) -> Iterator[Record]:
    """Have files scored by the endpoint at `url`."""
    from cli.endpoint import predict

    yield from predict(url, paths)


def print_json(verdicts: Iterable[Record]) -> int:
    """Print a JSON object a line as verdicts come; returns how many files failed."""
    failed = 0
    for verdict in verdicts:
        failed += "error" in verdict
        print(json.dumps(verdict), flush=True)
    return failed


def print_table(verdicts: Iterable[Record]) -> int:
    """Print a table; returns how many files failed."""
    table = Table(Column("file", overflow="fold"), "verdict", "probability forged", "threshold", "model", box=None)
    failed = 0
    for verdict in verdicts:
        if "error" in verdict:
            failed += 1
            table.add_row(verdict["file"], f"[red]not scored[/]: {verdict['error']}")
            continue
        style = _STYLES[verdict["label"]]
        table.add_row(
            verdict["file"],
            f"[{style}]{verdict['label']}[/]",
            f"{verdict['probability_forged']:.3f}",
            f"{verdict['threshold']:.3f}",
            verdict["model_version"][:12],
        )
    Console().print(table)
    return failed
