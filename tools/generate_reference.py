"""Write the pages of `docs/reference` that repeat what the code says: parameters and commands."""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tools.generate_commands import commands_page
from tools.generate_metrics import metrics_page
from tools.markdown import NOTICE, table_cell

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path("docs/reference")


def render() -> dict[Path, str]:
    """The generated pages: path in the checkout, content."""
    return {
        REFERENCE / "parameters.md": parameters_page(),
        REFERENCE / "commands.md": commands_page(),
        REFERENCE / "metrics.md": metrics_page(),
    }


def parameters_page() -> str:
    """Every parameter of the pipelines with its type, default, range and meaning."""
    from forgery.batch.config import BatchConfig
    from forgery.config import RunConfig
    from forgery.monitoring.config import MonitoringConfig

    head = (
        "# Parameters\n\n"
        "Parameters of the training pipeline. In the Kubeflow UI a group is one parameter that takes an object; with "
        "`forgery run` give a YAML file (`--config`) or single values (`--set training.epochs=5`). An unknown name or "
        "a value out of range is refused with what is accepted.\n"
    )
    monitoring = (
        "\n# The monitoring pipeline\n\nWith `forgery monitor` give single values (`--set window_hours=168`).\n"
    )
    batch = "\n# The batch pipeline\n\nWith `forgery score` give single values (`--set shard_pictures=500`).\n"
    tables = (parameter_tables(config) for config in (RunConfig, MonitoringConfig, BatchConfig))
    parts = zip([head, monitoring, batch], tables, strict=True)
    return NOTICE + "".join(text for title, table in parts for text in (title, *table))


def parameter_tables(options: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Markdown tables of a group's parameters, then of the groups in it; `prefix` ends with a dot."""
    single = {name: field for name, field in options.model_fields.items() if not _is_group(field)}
    if prefix:
        yield f"\n## {prefix.rstrip('.')}\n\n{_first_line(options)}\n"
    yield "\n| parameter | accepted | default | meaning |\n|---|---|---|---|\n"
    for name, field in single.items():
        accepted = _accepted(field)
        meaning = table_cell(field.description or "")
        yield f"| `{prefix}{name}` | {accepted} | `{json.dumps(field.default)}` | {meaning} |\n"
    for name, field in options.model_fields.items():
        if _is_group(field):
            yield from parameter_tables(cast(type[BaseModel], field.annotation), f"{prefix}{name}.")


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _first_line(options: type[BaseModel]) -> str:
    return (options.__doc__ or "").strip().splitlines()[0]


def _accepted(field: FieldInfo) -> str:
    limits = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [
        f"{sign} {getattr(constraint, name):g}"
        for constraint in field.metadata
        for name, sign in limits.items()
        if getattr(constraint, name, None) is not None
    ]
    return ", ".join([_type_name(field.annotation), *found])


def _type_name(annotation: object) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(part) for part in get_args(annotation))
    if origin is list:
        return f"list of {_type_name(get_args(annotation)[0])}"
    if origin is dict:
        key, value = get_args(annotation)
        return f"{_type_name(key)} to {_type_name(value)}"
    names: dict[object, str] = {str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"}
    return names.get(annotation, str(annotation))


def main() -> None:
    """Write the pages."""
    for path, content in render().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content)
        print(path)


if __name__ == "__main__":
    main()
