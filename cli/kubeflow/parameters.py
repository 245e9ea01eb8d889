"""What a run on the cluster is given: the same file and `--set` as a local run, checked before anything is sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli.kubeflow.compiled import CompiledPipeline
from cli.settings import read_values
from forgery.batch.config import BatchConfig
from forgery.config import RollbackConfig, RunConfig
from forgery.errors import InvalidConfig
from forgery.monitoring.config import MonitoringConfig

# What the pods of a cluster cannot reach: places of this machine.
_LOCAL_PLACES = {
    "service": (("local:",), "kserve:NAMESPACE/NAME"),
    "bundles": (("file:", "/", "."), "s3://BUCKET/PREFIX"),
    "out": (("file:", "/", "."), "s3://BUCKET/PREFIX"),
    "payloads": (("file:", "/", "."), "s3://BUCKET/PREFIX"),
    "tracking": (("sqlite:", "file:", "/", "."), "http://HOST:PORT"),
}
_REMOTE_SOURCES = ("s3://", "kaggle:", "hf:", "demo:")
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "STRUCT": (dict,),
    "LIST": (list,),
}


def run_parameters(pipeline: CompiledPipeline, file: Path | None, assignments: list[str]) -> dict[str, Any]:
    """Values for the pipeline's parameters: all of them, with defaults, for the pipelines of this project.

    Args:
        pipeline: What is to run.
        file: YAML with values; groups are nested.
        assignments: `key=value`, groups dotted; they override the file.

    Raises:
        InvalidConfig: An unknown parameter, a value out of range, or a place that pods cannot reach.
    """
    values = read_values(file, assignments)
    unknown = sorted(set(values) - set(pipeline.parameters))
    if unknown:
        raise InvalidConfig(f"unknown parameter {unknown[0]!r}; {pipeline.name} has: {', '.join(pipeline.parameters)}")
    configs = (RunConfig, RollbackConfig, MonitoringConfig, BatchConfig)
    known = [config for config in configs if set(pipeline.parameters) <= set(config.model_fields)]
    if known:
        config = known[0].read(values).model_dump(mode="json")
        values = {name: config[name] for name in pipeline.parameters}
    else:
        _check_types(pipeline.parameters, values)
    _check_places(values)
    return values


def _check_types(definitions: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        kind = definitions[name]["parameterType"]
        if not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
            raise InvalidConfig(f"{name}: {value!r} is no {kind.lower().replace('_', ' ')}")
    for name, definition in definitions.items():
        if name not in values and "defaultValue" not in definition and not definition.get("isOptional"):
            raise InvalidConfig(f"{name} has no default: give it by --set {name}=...")


def _check_places(values: Mapping[str, Any]) -> None:
    for name, (prefixes, accepted) in _LOCAL_PLACES.items():
        if str(values.get(name, "")).startswith(prefixes):
            raise InvalidConfig(
                f"{name}={values[name]} is a place on this machine, which pods cannot reach; use {accepted}"
            )
    for source in str(values.get("source", "demo:")).split(" + "):
        _check_source(source.strip())


def _check_source(source: str) -> None:
    if not source.removeprefix("feedback:").startswith(_REMOTE_SOURCES):
        raise InvalidConfig(
            f"source={source} is a place on this machine, which pods cannot reach; copy it to a bucket and give "
            f"s3://BUCKET/PREFIX (also accepted: {', '.join(_REMOTE_SOURCES[1:])})"
        )
