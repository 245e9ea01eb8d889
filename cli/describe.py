"""A data set as a few tables in the terminal."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from forgery.dataset.manifest import SPLITS, DatasetInfo, read_pictures


class Finding(Protocol):
    """What validation says: `severity` is error or warning."""

    @property
    def severity(self) -> str:
        """`error` or `warning`."""

    @property
    def message(self) -> str:
        """One sentence."""


def print_data_set(info: DatasetInfo, image_set: Path, findings: Sequence[Finding]) -> None:
    """Print counts by split and label, formats, manipulations, rejects by reason, and the findings."""
    console = Console()
    table = Table("split", "authentic", "forged", box=None)
    for split in SPLITS:
        counts = info.counts.get(split, {})
        table.add_row(split, str(counts.get("authentic", 0)), str(counts.get("forged", 0)))
    console.print(table)
    pictures = list(read_pictures(image_set))
    rejects = [json.loads(line)["reason"] for line in (image_set / "rejects.jsonl").read_text().splitlines()]
    facts = {
        "layout": info.layout,
        "groups": str(len({picture.group for picture in pictures})),
        "formats": _counted(picture.format for picture in pictures),
        "manipulations": _counted(
            picture.manipulation or "unknown" for picture in pictures if picture.label == "forged"
        ),
        "masks": str(sum(picture.mask_member is not None for picture in pictures)),
        "rejected": _counted(rejects) or "none",
        "digest": info.digest,
    }
    for name, value in facts.items():
        console.print(f"{name:<14} {value}", highlight=False, soft_wrap=True)
    for finding in findings:
        style = "bold red" if finding.severity == "error" else "yellow"
        console.print(f"[{style}]{finding.severity}[/]: {finding.message}", highlight=False, soft_wrap=True)


def _counted(values: Iterable[str]) -> str:
    return ", ".join(f"{value} {count}" for value, count in Counter(values).most_common())
