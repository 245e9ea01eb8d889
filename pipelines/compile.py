"""From the pipelines' wiring to the YAML that is committed, uploaded and run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler
from pipelines.training import training

COMPILED = Path(__file__).parent / "compiled"
PIPELINES: dict[str, Callable[..., Any]] = {"training": training}


def compile_pipelines(folder: Path = COMPILED) -> list[Path]:
    """Write `<name>.yaml` for every pipeline into `folder`; the same wiring gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_compile(name, folder / f"{name}.yaml") for name in PIPELINES]


def _compile(name: str, target: Path) -> Path:
    compiler.Compiler().compile(PIPELINES[name], str(target))
    return target
