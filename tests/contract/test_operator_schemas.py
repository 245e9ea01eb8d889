"""What the Prometheus Operator is given, against the schemas that its API server would hold it to."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[2] / "manifests/components/monitoring-operator"
# A field that the schema does not know is an error here; the API server would drop it without a word.
SCHEMAS = json.loads((Path(__file__).parent / "schemas/monitoring.coreos.com-v1.json").read_text())
OBJECTS = {
    each["kind"]: each
    for name in yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    for each in yaml.safe_load_all((FOLDER / name).read_text())
}


def complaints(kind: str, thing: dict[str, Any]) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMAS[kind]).iter_errors(thing)]


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_operator_accepts(kind: str) -> None:
    assert OBJECTS[kind]["apiVersion"] == "monitoring.coreos.com/v1"
    assert complaints(kind, OBJECTS[kind]) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "relabellings"), []),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "15 seconds"),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "relabelings", 0, "action"), "retain"),
        ("PodMonitor", ("spec", "selector"), "forgery"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "for"), "soon"),
        ("PrometheusRule", ("spec", "groups", 0, "name"), ""),
    ],
)
def test_a_slip_would_be_noticed(kind: str, path: tuple[str | int, ...], value: Any) -> None:
    thing = deepcopy(OBJECTS[kind])
    place: Any = thing
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert len(complaints(kind, thing)) == 1


def test_the_operator_relabels_and_scrapes_in_time() -> None:
    """Prometheus refuses a configuration whose time-out is beyond its interval."""
    (endpoint,) = OBJECTS["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert int(endpoint["scrapeTimeout"].removesuffix("s")) <= int(endpoint["interval"].removesuffix("s"))
