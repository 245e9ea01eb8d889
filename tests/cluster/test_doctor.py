"""`forgery doctor --cluster` on a service that works, and on a namespace with nothing in it."""

from collections.abc import Callable
from typing import Any

import pytest

from cli.cluster_checks import check_cluster
from forgery.bundle import Bundle
from forgery.rollout.cluster import connect_cluster
from forgery.rollout.endpoint import open_endpoint
from forgery.rollout.port import Revision

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def checks(namespace: str) -> dict[str, tuple[bool, str]]:
    cluster = connect_cluster(patience_s=3)
    found = check_cluster(cluster, namespace, "forgery", open_endpoint(cluster, namespace, "forgery"))
    return {check.name: (check.ok, check.found) for check in found}


def test_all_is_well_on_a_service_with_a_model(
    place: Any, put: Callable[..., Revision], make_bundle: Callable[..., Bundle]
) -> None:
    bundle = make_bundle(bias=0.0, seed=0)
    put(bundle)
    found = checks(place.namespace)
    assert {name: what for name, (ok, what) in found.items() if not ok} == {}
    assert found["endpoint"] == (True, f"answers with {bundle.digest}")


def test_what_is_missing_is_said(cluster: None) -> None:
    found = checks("default")
    assert found["Kubernetes"][0]
    assert found["KServe"][0]
    assert not found["InferenceService"][0]
    assert not found["endpoint"][0]
