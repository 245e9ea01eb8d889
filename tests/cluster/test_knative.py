"""Knative mode on the real API server and KServe controller.

Where a cluster has Knative's definitions but not Knative, the tests play its part: each Knative Service that KServe
makes is answered with the status that Knative gives it once its newest revision is ready, and the model in service is
read from its traffic. So what KServe makes of our manifests and canary steps is real, and the pods are not.
"""

import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.canary import take_step
from forgery.bundle import Bundle
from forgery.rollout.cluster import connect_cluster
from forgery.rollout.kserve import KServeService
from forgery.rollout.transaction import deploy, undo

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
SERVICES = "/apis/serving.knative.dev/v1/namespaces/{}/services"


class Knative:
    """Gives every Knative Service of a namespace the status of one whose newest revision is ready."""

    def __init__(self, namespace: str) -> None:
        self._cluster = connect_cluster()
        self._path = SERVICES.format(namespace)
        self._models: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Knative":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.3):
            for service in self._cluster.request("GET", self._path)["items"]:
                if service.get("status", {}).get("observedGeneration") != service["metadata"]["generation"]:
                    self._serve(service)

    def _serve(self, service: dict[str, Any]) -> None:
        template = service["spec"]["template"]
        made = f"{service['metadata']['name']}-{hash(str(template['spec']) + str(template['metadata'])) & 0xFFFFFF:06x}"
        self._models[made] = template["metadata"].get("annotations", {}).get(SOURCE_URI, "")
        traffic = [{**each, "revisionName": each.get("revisionName", made)} for each in service["spec"]["traffic"]]
        status = {
            "observedGeneration": service["metadata"]["generation"],
            "latestCreatedRevisionName": made,
            "latestReadyRevisionName": made,
            "url": f"http://{service['metadata']['name']}.example.com",
            "address": {"url": f"http://{service['metadata']['name']}.cluster.local"},
            "traffic": traffic,
            "conditions": [
                {"type": each, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                for each in ("ConfigurationsReady", "Ready", "RoutesReady")
            ],
        }
        path = f"{self._path}/{service['metadata']['name']}/status"
        change = [{"op": "add", "path": "/status", "value": status}]
        self._cluster.request("PATCH", path, change)

    def traffic(self) -> Counter[str]:
        """Percent of the requests to the predictor by the model they are answered with."""
        status = self._cluster.request("GET", f"{self._path}/forgery-predictor").get("status", {})
        shares: Counter[str] = Counter()
        for each in status.get("traffic", []):
            shares[self._models[each["revisionName"]]] += each.get("percent", 0)
        return +shares

    def model(self) -> str:
        """Version of the model most requests are answered with; a bundle's URI ends with its digest."""
        shares = self.traffic()
        return shares.most_common(1)[0][0].rpartition("/")[2] if shares else ""


@pytest.fixture(scope="module")
def served(make_place: Callable[[list[str]], Any]) -> Iterator[tuple[Any, Knative]]:
    """The overlay with the component `knative`, and Knative's part."""
    if not exists("crd", "services.serving.knative.dev"):
        pytest.skip("this cluster has no definitions of Knative")
    if exists("deployment", "controller", "--namespace", "knative-serving"):
        pytest.skip("Knative is here itself: its part cannot be played beside it")
    place = make_place(["knative"])
    with Knative(place.namespace) as knative:
        yield place, knative


def test_a_canary_goes_step_by_step_and_back(
    served: tuple[Any, Knative], make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    place, knative = served
    service = KServeService(connect_cluster(), place.namespace, "forgery", knative.model)

    def put(bundle: Bundle, run: str) -> str:
        return deploy(service, bundle, place.bundles, service.read(), 0.8, run, lambda _: None, 60).storage_uri

    before, after = put(make_bundle(bias=0.0, seed=0), "a"), put(make_bundle(bias=2.0, seed=2), "b")
    assert knative.traffic() == {after: 100}
    for step, share in (("10", 10), ("50", 50), ("promote", 100), ("10", 10), ("abort", 0)):
        take_step(service, step)
        place.apply()  # never moves a request
        until_traffic_is(knative, +Counter({before: 100 - share, after: share}))
    undo(service, None, lambda _: None, tmp_path, 60)
    take_step(service, "promote")
    until_traffic_is(knative, Counter({before: 100}))
    assert [revision.run_id for revision in service.history()][:2] == ["a", "b"]


def exists(*what: str) -> bool:
    return subprocess.run(["kubectl", "get", *what], capture_output=True, check=False).returncode == 0


def until_traffic_is(knative: Knative, expected: Counter[str], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while knative.traffic() != expected:
        assert time.monotonic() < deadline, (knative.traffic(), expected)
        time.sleep(0.3)
