"""A compiled pipeline as a drawing: steps in order, and which step feeds which."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from forgery.errors import InvalidConfig


@dataclass(frozen=True)
class Step:
    """One task: its id, its display name, the ids it waits for, and the condition it stands under, if any."""

    task: str
    title: str
    after: tuple[str, ...]
    condition: str | None = None


@dataclass(frozen=True)
class Graph:
    """The steps of a pipeline in an order in which they can run."""

    steps: tuple[Step, ...]

    def text(self) -> str:
        """One line a step: title, what it waits for, its condition."""
        titles = {step.task: step.title for step in self.steps}
        width = max(len(title) for title in titles.values())
        lines = []
        for step in self.steps:
            waits = f"after {', '.join(titles[each] for each in step.after)}" if step.after else "first"
            condition = f"   only if {step.condition}" if step.condition else ""
            lines.append(f"{step.title:<{width}}   {waits}{condition}")
        return "\n".join(lines)

    def mermaid(self) -> str:
        """Source of a Mermaid flow chart."""
        nodes = [
            f'  {step.task}["{step.title}{f"<br>only if {step.condition}" if step.condition else ""}"]'
            for step in self.steps
        ]
        arrows = [f"  {before} --> {step.task}" for step in self.steps for before in step.after]
        return "\n".join(["flowchart LR", *nodes, *arrows])


def read_graph(compiled: Path) -> Graph:
    """The graph of a compiled pipeline.

    Raises:
        InvalidConfig: There is no such file; the message names those there are.
    """
    if not compiled.is_file():
        names = ", ".join(sorted(path.stem for path in compiled.parent.glob("*.yaml")))
        raise InvalidConfig(f"no compiled pipeline {compiled.stem!r}; there are: {names}")
    specification = next(yaml.safe_load_all(compiled.read_text()))
    return Graph(tuple(_ordered(_steps(specification, specification["root"]["dag"], None))))


def _steps(specification: dict[str, Any], dag: dict[str, Any], condition: str | None) -> list[Step]:
    found: list[Step] = []
    within: dict[str, tuple[str, ...]] = {}  # tasks of each condition and loop
    for name, task in dag["tasks"].items():
        component = specification["components"][task["componentRef"]["name"]]
        waits = tuple(task.get("dependentTasks", ()))
        if "dag" in component:
            holds = condition if _is_loop(task) else task["taskInfo"]["name"]
            inner = _steps(specification, component["dag"], holds)
            within[name] = tuple(step.task for step in inner)
            found += [Step(step.task, step.title, step.after or waits, step.condition) for step in inner]
        else:
            found.append(Step(name, task["taskInfo"]["name"], waits, condition))
    return [replace(step, after=_flat(step.after, within)) for step in found]


def _is_loop(task: dict[str, Any]) -> bool:
    return "parameterIterator" in task or "artifactIterator" in task


def _flat(after: tuple[str, ...], within: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(task for name in after for task in within.get(name, (name,)))


def _ordered(steps: list[Step]) -> list[Step]:
    ordered: list[Step] = []
    while len(ordered) < len(steps):
        done = {step.task for step in ordered}
        ordered += [step for step in steps if step.task not in done and done.issuperset(step.after)]
    return ordered
