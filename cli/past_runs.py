"""Runs of pipelines on this machine, from what they left in their folders."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_FOLDER_TIME = "%Y%m%d-%H%M%S-%f"


@dataclass(frozen=True)
class PastRun:
    """One run; `said` is its last word: the verdict, or why it failed."""

    name: str
    state: str
    at: datetime
    said: str

    def values(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def read_past_runs(folder: Path, most: int) -> list[PastRun]:
    """The newest runs below `folder`, newest first; other folders there are passed over."""
    found: list[PastRun] = []
    for path in sorted(folder.glob("*"), reverse=True):
        try:
            at = datetime.strptime(path.name, _FOLDER_TIME).replace(tzinfo=UTC)
        except ValueError:
            continue
        found.append(_read(path, at))
        if len(found) == most:
            break
    return found


def _read(path: Path, at: datetime) -> PastRun:
    artifacts = next(iter(sorted(path.glob("forgery-*"))), path / "none")
    kind = next((name for name in _WORDS if artifacts.name.startswith(f"forgery-{name}")), "run")
    failure = path / "failure.txt"
    if failure.is_file():
        return PastRun(kind, "failed", at, failure.read_text().strip())
    try:
        return PastRun(kind, "succeeded", at, _WORDS[kind](artifacts))
    except (OSError, KeyError, ValueError, IndexError):
        return PastRun(kind, "unfinished", at, f"see {path / 'run.log'}")


def _verdict(artifacts: Path) -> str:
    return (artifacts / "decide" / "verdict").read_text().splitlines()[0].lstrip("# ").strip()


def _drift(artifacts: Path) -> str:
    return str(json.loads((artifacts / "check-drift" / "drift").read_text())["reason"])


_WORDS: dict[str, Callable[[Path], str]] = {"training": _verdict, "monitoring": _drift}
