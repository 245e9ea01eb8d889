"""The Kubeflow Pipelines API as its generated client knows it: routes, parameters and strict reading of bodies.

Nothing here is written by hand from documentation: paths, methods, query parameters and body types are read out of
`kfp_server_api`, so that a server built on it refuses what the real one's gateway refuses.
"""

import functools
import inspect
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import kfp_server_api
from dateutil.parser import isoparse

# The models call these `str`, for 64-bit numbers travel as JSON strings; the gateway takes numbers as well.
_INT64 = {"max_concurrency", "interval_second", "execution_id", "long_value"}
_NATIVE: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float)}


class Malformed(Exception):
    """A body or a query that the API does not know."""


@dataclass(frozen=True)
class Operation:
    """One call of the API: `run_service_create_run`, POST /apis/v2beta1/runs, its body a `V2beta1Run`, ..."""

    name: str
    method: str
    path: re.Pattern[str]
    query: frozenset[str]
    body: str | None


@functools.cache
def operations() -> list[Operation]:
    """All calls that the client can make; those with longer paths first, for `/pipelines/upload` is no pipeline id."""
    found = []
    for api in vars(kfp_server_api).values():
        if not (inspect.isclass(api) and api.__name__.endswith("ServiceApi")):
            continue
        for name, method in inspect.getmembers(api, inspect.isfunction):
            if name.endswith("_with_http_info"):
                found.append(_operation(name.removesuffix("_with_http_info"), inspect.getsource(method)))
    return sorted(found, key=lambda operation: ("(?P" in operation.path.pattern, operation.path.pattern))


def _operation(name: str, source: str) -> Operation:
    path, method = re.search(r"'(/apis/[^']+)', '([A-Z]+)'", source).groups()  # type: ignore[union-attr]
    pattern = re.sub(r"\\{(.+?)\\}", _group, re.escape(path))
    body = re.search(r"body_params = local_var_params\['(\w+)'\]", source)
    kind = re.search(rf":type {body[1]}: (\w+)", source) if body else None
    query = frozenset(re.findall(r"query_params.append\(\('(\w+)'", source))
    return Operation(name, method, re.compile(pattern), query, kind[1] if kind else None)


def _group(place: re.Match[str]) -> str:
    """A place in a path, `{pipeline_id}`, as a group of that name; a colon after it begins a verb."""
    return f"(?P<{re.sub('[^a-z_]+', '_', place[1])}>[^/:]+)"


def read(kind: str, value: Any, where: str = "body") -> Any:
    """JSON as an instance of the client's model `kind`.

    Raises:
        Malformed: An unknown field, or a value of another type than the model's.
    """
    if value is None or kind == "object":
        return value
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        return [read(match[1], item, f"{where}[{n}]") for n, item in enumerate(_expect(value, list, where))]
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return {key: read(match[1], item, f"{where}.{key}") for key, item in _expect(value, dict, where).items()}
    if kind == "datetime":
        return _time(value, where)
    if kind in _NATIVE:
        return _native(kind, value, where)
    model = getattr(kfp_server_api, kind)
    if hasattr(model, "allowable_values"):
        if value not in model.allowable_values:
            raise Malformed(f"{where}: {value!r} is none of {model.allowable_values}")
        return value
    return _model(model, _expect(value, dict, where), where)


def write(value: Any) -> Any:
    """A model as the JSON values that the real server answers."""
    return kfp_server_api.ApiClient().sanitize_for_serialization(value)


def _model(model: Any, value: dict[str, Any], where: str) -> Any:
    fields = {key: name for name, key in model.attribute_map.items()}
    if unknown := set(value) - set(fields):
        raise Malformed(f"{where}: unknown field {sorted(unknown)[0]!r} in {model.__name__}")
    read_fields = {
        fields[key]: read(model.openapi_types[fields[key]], item, f"{where}.{key}") for key, item in value.items()
    }
    return model(**read_fields)


def _native(kind: str, value: Any, where: str) -> Any:
    if kind == "str" and where.rpartition(".")[2] in _INT64 and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, _NATIVE[kind]) or (kind != "bool" and isinstance(value, bool)):
        raise Malformed(f"{where}: {value!r} is no {kind}")
    return value


def _expect(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise Malformed(f"{where}: {value!r} is no {kind.__name__}")
    return value


def _time(value: Any, where: str) -> datetime:
    try:
        return isoparse(value)
    except (TypeError, ValueError) as error:
        raise Malformed(f"{where}: {value!r} is no time") from error
