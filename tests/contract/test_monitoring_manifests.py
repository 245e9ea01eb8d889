"""Rules and dashboard: they name metrics that exist, and the alerts fire when they should and not otherwise."""

import importlib
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

ROOT = Path(__file__).parents[2]
COMPONENTS = ROOT / "manifests/components"
RULES = COMPONENTS / "monitoring-operator/rules.yaml"
DASHBOARD = COMPONENTS / "monitoring/dashboards/forgery.json"
TESTS = Path(__file__).parent / "alerts/rules_test.yaml"

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is absent; Debian's package prometheus has it"
)


def spec() -> dict[str, Any]:
    return dict(yaml.safe_load(RULES.read_text())["spec"])


def rules() -> list[dict[str, str]]:
    return [rule for group in spec()["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def expressions() -> dict[str, str]:
    """Every query of rules and dashboard by what it belongs to."""
    board = dashboard()
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    found |= {f"annotation {each['name']}": each["expr"] for each in board["annotations"]["list"]}
    for panel in board["panels"]:
        found |= {f"panel {panel['title']} {target['refId']}": target["expr"] for target in panel.get("targets", ())}
    return found


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Every sample that the servers can expose, with its labels' names."""
    for module in ("serving.metrics", "serving.reference"):
        importlib.import_module(module)
    found: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = {*getattr(collector, "_labelnames", ()), "le"}
        found |= {name: labels for name in names if name.startswith("forgery_")}
    return found


@pytest.mark.parametrize("name", expressions())
def test_a_query_names_metrics_and_labels_that_exist(name: str, samples: dict[str, set[str]]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    expression = expressions()[name]
    named = set(re.findall(r"\bforgery[_:][a-zA-Z0-9_:]+", expression))
    assert named
    assert named <= samples.keys() | recorded
    for metric, matchers in re.findall(r"\b(forgery_\w+)\{([^}]*)\}", expression):
        labels = {label for label, _ in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"', matchers)}
        assert labels <= samples[metric] | {"component", "namespace"}, metric


def test_alerts_say_what_and_what_to_do() -> None:
    for alert in (rule for rule in rules() if "alert" in rule):
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert {"summary", "description"} == alert["annotations"].keys()


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    tests = TESTS.read_text()
    assert [rule["alert"] for rule in rules() if "alert" in rule and f'"{rule["alert"]}"' not in tests] == []


def test_panels_lie_side_by_side_and_ask_the_chosen_data_source() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = sorted((panel["gridPos"]["y"], panel["gridPos"]["x"], panel["gridPos"]["w"]) for panel in panels)
    for (y, x, width), (next_y, next_x, _) in pairwise(places):
        assert x + width <= 24
        assert next_y > y or next_x >= x + width
    sources = {panel["datasource"]["uid"] for panel in panels if "datasource" in panel}
    assert sources == {"${datasource}"}


def test_grafana_finds_the_dashboard(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl, which has kustomize in it, is absent")
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    overlay = tmp_path / "manifests/overlays/dev/serving"
    with (overlay / "kustomization.yaml").open("a") as file:
        file.write("components: [../../../components/monitoring, ../../../components/monitoring-operator]\n")
    done = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=True)
    objects = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(done.stdout)}
    board = objects["ConfigMap", "forgery-dashboard"]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["forgery.json"]) == dashboard()
    assert objects["PrometheusRule", "forgery"]["spec"] == spec()
    selector = objects["PodMonitor", "forgery"]["spec"]["selector"]["matchLabels"]
    assert selector == {"serving.kserve.io/inferenceservice": "forgery"}


@pytest.fixture
def rule_folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(spec()))
    shutil.copy(TESTS, tmp_path)
    return tmp_path


@needs_promtool
def test_prometheus_accepts_the_rules(rule_folder: Path) -> None:
    done = subprocess.run(["promtool", "check", "rules", "rules.yml"], cwd=rule_folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_alerts_fire_on_a_fault_and_on_nothing_else(rule_folder: Path) -> None:
    command = ["promtool", "test", "rules", TESTS.name]
    done = subprocess.run(command, cwd=rule_folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
