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
    # kfp heads the file with comments whose order changes from process to process.
    body = target.read_text().split("components:\n", 1)[1]
    target.write_text(f"# Compiled from pipelines/{name}.py by `make compile`; never edited.\ncomponents:\n{body}")
    return target
