"""What Kubeflow Pipelines' driver does with a compiled pipeline, as far as one pod can: tasks become containers."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from forgery.evidence_set import WHOLE

Document = Mapping[str, Any]
ARTIFACTS = "/tmp/artifacts"
RUN_ID = "compiled-run"


def task_containers(compiled: Path, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every task of a pipeline as a container, in an order in which each finds its inputs; conditions hold.

    A loop over parts runs once, for the one part of a small data set. Image, command and memory limit are those of the
    YAML; artifacts lie under one folder instead of in a bucket.
    """
    specification = next(yaml.safe_load_all(compiled.read_text()))
    defaults = specification["root"]["inputDefinitions"]["parameters"]
    known = {name: parameter["defaultValue"] for name, parameter in defaults.items()} | dict(parameters)
    return [
        _container(specification["deploymentSpec"]["executors"][component["executorLabel"]]["container"], name, given)
        for name, component, given in _tasks(specification, specification["root"]["dag"], known)
    ]


def _tasks(
    specification: Document, dag: Document, known: Mapping[str, Any]
) -> Iterator[tuple[str, Document, dict[str, Any]]]:
    """Name, component and executor input of each task, those of conditions included."""
    done: set[str] = set()
    loops: dict[str, Document] = {}  # what leaves each loop
    waiting = dict(dag["tasks"])
    while waiting:
        name = next(name for name, task in waiting.items() if set(task.get("dependentTasks", [])) <= done)
        task = waiting.pop(name)
        done.add(name)
        component = specification["components"][task["componentRef"]["name"]]
        inputs = {
            key: _value(each, known, loops) for kind in task.get("inputs", {}).values() for key, each in kind.items()
        }
        if "dag" in component:
            if "parameterIterator" in task:
                inputs[task["parameterIterator"]["itemInput"]] = WHOLE
                loops[name] = component["dag"]["outputs"]["artifacts"]
            yield from _tasks(specification, component["dag"], inputs)
        else:
            yield name, component, _executor_input(name, component, inputs)


def _value(source: Document, known: Mapping[str, Any], loops: Mapping[str, Document]) -> Any:
    """A parameter's value, or an artifact's path."""
    if "taskOutputArtifact" in source:
        output = source["taskOutputArtifact"]
        task, key = output["producerTask"], output["outputArtifactKey"]
        if task in loops:
            (inner,) = loops[task][key]["artifactSelectors"]
            task, key = inner["producerSubtask"], inner["outputArtifactKey"]
        return f"{ARTIFACTS}/{task}/{key}"
    if "runtimeValue" in source:
        return str(source["runtimeValue"]["constant"]).replace("{{$.pipeline_job_uuid}}", RUN_ID)
    if "taskOutputParameter" in source:  # what a condition asks for; here it holds
        return None
    return known[source.get("componentInputParameter") or source["componentInputArtifact"]]


def _executor_input(name: str, component: Document, inputs: Mapping[str, Any]) -> dict[str, Any]:
    wanted, made = component.get("inputDefinitions", {}), component.get("outputDefinitions", {})
    folder = f"{ARTIFACTS}/{name}"
    return {
        "inputs": {
            "parameterValues": {key: inputs[key] for key in wanted.get("parameters", {})},
            "artifacts": {key: _artifact(each, inputs[key]) for key, each in wanted.get("artifacts", {}).items()},
        },
        "outputs": {
            "parameters": {key: {"outputFile": f"{folder}/{key}"} for key in made.get("parameters", {})},
            "artifacts": {key: _artifact(each, f"{folder}/{key}") for key, each in made.get("artifacts", {}).items()},
            "outputFile": f"{folder}/executor_output.json",
        },
    }


def _artifact(definition: Document, path: str) -> dict[str, Any]:
    return {"artifacts": [{"name": Path(path).name, "type": definition["artifactType"], "uri": path, "metadata": {}}]}


def _container(executor: Document, name: str, executor_input: Document) -> dict[str, Any]:
    arguments = [argument.replace("{{$}}", json.dumps(executor_input)) for argument in executor["args"]]
    return {
        "name": name,
        "image": executor["image"],
        "command": executor["command"],
        # Kubernetes expands $(NAME) in both; what is written there is meant as it stands.
        "args": [argument.replace("$(", "$$(") for argument in arguments],
        "resources": {"limits": {"memory": executor["resources"]["resourceMemoryLimit"]}, "requests": {"memory": "0"}},
    }
