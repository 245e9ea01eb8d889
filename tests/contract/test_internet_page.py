"""The manifests on the page about the internet are whole, and meant for the pods and routes that there are."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "internet.md").read_text()
OBJECTS: list[dict[str, Any]] = [
    each
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for each in yaml.safe_load_all(block)
]
BY_KIND = {each["kind"]: each for each in OBJECTS}


def base(file: str, kind: str, name: str) -> dict[str, Any]:
    found = yaml.safe_load_all((ROOT / "manifests" / "base" / file).read_text())
    return next(each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda each: each["kind"])
def test_every_manifest_is_whole(manifest: dict[str, Any]) -> None:
    assert {"apiVersion", "kind", "metadata"} < set(manifest)
    assert {"name", "namespace"} <= set(manifest["metadata"])


def test_the_narrow_policy_replaces_the_one_of_the_manifests() -> None:
    ours = base("network/policies.yaml", "NetworkPolicy", "forgery-transformer")
    shown = BY_KIND["NetworkPolicy"]
    assert shown["metadata"]["name"] == ours["metadata"]["name"]
    assert shown["spec"]["podSelector"] == ours["spec"]["podSelector"]
    assert shown["spec"]["policyTypes"] == ours["spec"]["policyTypes"]
    ports = {port["port"] for rule in ours["spec"]["ingress"] for port in rule["ports"]}
    assert {port["port"] for rule in shown["spec"]["ingress"] for port in rule["ports"]} == ports
    assert all("from" in rule for rule in shown["spec"]["ingress"]), "a rule without `from` admits everybody"


def test_tokens_and_keys_guard_the_same_door() -> None:
    token, rule = BY_KIND["RequestAuthentication"], BY_KIND["AuthorizationPolicy"]
    assert token["spec"]["targetRefs"] == rule["spec"]["targetRefs"]
    (principals,) = (source["source"]["requestPrincipals"] for source in rule["spec"]["rules"][0]["from"])
    assert principals == [f"{token['spec']['jwtRules'][0]['issuer']}/*"]
    (policy,) = BY_KIND["SecurityPolicy"]["spec"]["targetRefs"]
    assert policy["name"] == base("serving/inferenceservice.yaml", "InferenceService", "forgery")["metadata"]["name"]
    (secret,) = BY_KIND["SecurityPolicy"]["spec"]["apiKeyAuth"]["credentialRefs"]
    assert secret["name"] == BY_KIND["Secret"]["metadata"]["name"]


def test_every_route_that_people_use_is_admitted_and_metrics_are_not() -> None:
    paths = BY_KIND["AuthorizationPolicy"]["spec"]["rules"][0]["to"][0]["operation"]["paths"]
    patterns = [re.compile(re.escape(path).replace(r"\*", ".*")) for path in paths]

    def admitted(path: str) -> bool:
        return any(pattern.fullmatch(path) for pattern in patterns)

    used = ("/v1/detect", "/v1/models/forgery:predict", "/v2/models/forgery/infer", "/openapi.json")
    assert all(map(admitted, (*used, "/inference.GRPCInferenceService/ModelInfer")))
    assert not any(map(admitted, ("/metrics", "/docs", "/")))
