"""From a YAML file and `--set key=value` to one validated configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from forgery.config import RunConfig
from forgery.errors import InvalidConfig


def read_config(file: Path | None, assignments: list[str], places: Mapping[str, str] | None = None) -> RunConfig:
    """Defaults, then `places`, then the file, then the assignments; the last one named wins.

    Args:
        file: YAML with the keys of `RunConfig`; groups are nested.
        assignments: `key=value`, groups dotted (`training.epochs=3`); the value is read as YAML.
        places: Values for bundles, service and tracking where neither file nor assignment sets them.

    Raises:
        InvalidConfig: The file cannot be read, a key is unknown or a value out of range.
    """
    return RunConfig.read({**(places or {}), **read_values(file, assignments)})


def read_values(file: Path | None, assignments: list[str]) -> dict[str, Any]:
    """What the file and the assignments say, not yet validated, without any default.

    Raises:
        InvalidConfig: The file cannot be read, or an assignment is not of the form key=value.
    """
    values = _read_file(file) if file else {}
    for assignment in assignments:
        _assign(values, assignment)
    return values


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text())
    except OSError as error:
        raise InvalidConfig(f"{file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InvalidConfig(f"{file} must hold keys and values, e.g. backbone: cnn")
    return values


def _assign(values: dict[str, Any], assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    if not equals or not key:
        raise InvalidConfig(f"--set {assignment!r} is not of the form key=value, e.g. --set training.epochs=3")
    *groups, last = key.split(".")
    for group in groups:
        inner = values.setdefault(group, {})
        if not isinstance(inner, dict):
            raise InvalidConfig(f"--set {assignment}: {group} is no group of parameters")
        values = inner
    try:
        values[last] = yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise InvalidConfig(f"--set {assignment}: the value is no YAML; quote it") from error
