"""Replicas that follow the requests inside, under KEDA itself; skipped where it does not run.

Needs a Prometheus at the address of `manifests/components/autoscaling-keda` which scrapes every pod of an
InferenceService and has the labels `namespace` and `component`, as `monitoring-operator` lets it have them.
"""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from cluster_commands import fetch_json, kubectl
from PIL import Image

from forgery.bundle import Bundle
from forgery.rollout.port import Revision

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

COMPONENTS = ("transformer", "predictor")
CALLERS = 12  # threshold 4: three replicas


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Any]) -> Any:
    """The dev overlay with the component, its queries asking for the tests' namespace."""
    if not fetch_json("pods", "--all-namespaces", "--selector", "app=keda-operator")["items"]:
        pytest.skip("no KEDA in the cluster")
    place = make_place(["autoscaling-keda"])
    # Requests that take all of a small machine leave too little for KEDA to answer its probes.
    limit = [{"op": "add", "path": "/spec/transformer/containers/0/resources/limits/cpu", "value": "300m"}]
    service = ("inferenceservice/forgery", "--namespace", place.namespace)
    kubectl("patch", *service, "--type=json", "-p", json.dumps(limit))
    for component in COMPONENTS:
        query = scaled(place, component)["spec"]["triggers"][0]["metadata"]["query"]
        change_trigger(place, component, query=query.replace('"forgery"', f'"{place.namespace}"'))
    return place


def scaled(place: Any, component: str) -> dict[str, Any]:
    found: dict[str, Any] = place.get("scaledobject", f"forgery-{component}")
    return found


def change_trigger(place: Any, component: str, **values: str) -> None:
    patch = [
        {"op": "replace", "path": f"/spec/triggers/0/metadata/{key}", "value": value} for key, value in values.items()
    ]
    name = f"scaledobject/forgery-{component}"
    kubectl("patch", name, "--namespace", place.namespace, "--type=json", "-p", json.dumps(patch))


@contextmanager
def callers(url: str) -> Iterator[list[int]]:
    """So many requests inside at any time; the status of each that was answered."""
    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(noise).save(encoded, "JPEG", quality=85)
    data = [base64.b64encode(encoded.getvalue()).decode()]
    body = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": data}]}
    ended, answered = threading.Event(), []

    def call() -> None:
        while not ended.is_set():
            answered.append(httpx.post(f"{url}/v2/models/forgery/infer", json=body, timeout=60).status_code)

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call) for _ in range(CALLERS)]
        try:
            yield answered
        finally:
            ended.set()
    for each in calls:
        each.result()


def replicas(place: Any, component: str) -> int:
    return int(place.get("deployment", f"forgery-{component}")["spec"]["replicas"])


def conditions(place: Any, component: str) -> dict[str, str]:
    """Ready, Active (the query gives more than nothing) and Fallback (it gives no answer), as KEDA says."""
    return {each["type"]: each["status"] for each in scaled(place, component).get("status", {}).get("conditions", [])}


def wait_until(place: Any, holds: Callable[[], bool], timeout_s: float) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends, kubectl("describe", "scaledobject,hpa", "--namespace", place.namespace)
        time.sleep(2)


def test_replicas_follow_requests_inside(
    place: Any, put: Callable[..., Revision], make_bundle: Callable[..., Bundle]
) -> None:
    put(make_bundle(bias=0.0, seed=0), "a")
    for component in COMPONENTS:
        wait_until(place, lambda: replicas(place, component) == 2, timeout_s=120)  # noqa: B023
        wait_until(place, lambda: conditions(place, component).get("Active") == "False", timeout_s=120)  # noqa: B023
    kubectl("rollout", "status", "deployment", "--namespace", place.namespace, "--timeout=180s")
    with callers(place.url()) as answered:
        wait_until(place, lambda: replicas(place, "transformer") == 3, timeout_s=180)
        # KServe's controller, which looks at the service anew now, leaves the number to KEDA.
        kubectl("annotate", "inferenceservice", "forgery", "--namespace", place.namespace, "tests/looked=again")
        time.sleep(20)
        assert replicas(place, "transformer") >= 3
        said = conditions(place, "transformer")
    assert (said["Ready"], said["Active"], said["Fallback"]) == ("True", "True", "False")
    assert set(answered) == {200}


def test_without_prometheus_there_are_enough(place: Any) -> None:
    before = replicas(place, "predictor")
    change_trigger(place, "transformer", serverAddress="http://127.0.0.1:9")
    wait_until(place, lambda: conditions(place, "transformer")["Fallback"] == "True", timeout_s=180)
    wait_until(place, lambda: replicas(place, "transformer") == 4, timeout_s=120)
    assert replicas(place, "predictor") == before
