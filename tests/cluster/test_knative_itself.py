"""Canary and scale to zero under Knative itself; skipped where it does not run.

Requests come in as Knative wants them: through the ingress that its routes name, with the route's host.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cluster_commands import fetch_json, kubectl

from cli.canary import take_step
from forgery.bundle import Bundle
from forgery.errors import ServiceUnavailable
from forgery.rollout.cluster import connect_cluster
from forgery.rollout.endpoint import probe
from forgery.rollout.kserve import KServeService
from forgery.rollout.transaction import deploy, undo

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SERVED_WITHIN_S = 240
MakePlace = Callable[[list[str]], Any]


@pytest.fixture
def make_served(make_place: MakePlace) -> Callable[[list[str]], "Served"]:
    if not kubectl("get", "deployment", "controller", "--namespace", "knative-serving", "--ignore-not-found"):
        pytest.skip("no Knative in the cluster")
    return lambda components: Served(make_place(components))


class Served:
    """The platform in Knative mode."""

    def __init__(self, place: Any) -> None:
        self.place = place
        self.service = KServeService(connect_cluster(), place.namespace, "forgery", self.version)

    def put(self, bundle: Bundle, run: str) -> str:
        state = self.service.read()
        put = deploy(self.service, bundle, self.place.bundles, state, 0.8, run, lambda _: None, SERVED_WITHIN_S)
        return put.model_version

    def ask(self, timeout_s: float = 30) -> str:
        """Version of the model that answers."""
        host = f"forgery-transformer.{self.place.namespace}.svc.cluster.local"
        url = f"http://{self._ingress()}/v2/models/forgery/infer"
        answer = httpx.post(url, json=probe(), headers={"Host": host}, timeout=timeout_s)
        answer.raise_for_status()
        return str(answer.json()["model_version"])

    def version(self) -> str:
        """As `forgery.rollout.endpoint` asks."""
        try:
            return self.ask()
        except httpx.HTTPError as error:
            raise ServiceUnavailable(str(error)) from error

    def awake(self) -> list[str]:
        """Pods that can answer; a predictor that was made before the first model never can."""
        selector = "serving.kserve.io/inferenceservice=forgery"
        return [
            pod["metadata"]["name"]
            for pod in self.place.get("pods", "--selector", selector)["items"]
            for condition in pod["status"].get("conditions", [])
            if (condition["type"], condition["status"]) == ("Ready", "True")
        ]

    def _ingress(self) -> str:
        found = kubectl(
            "get", "ingresses.networking.internal.knative.dev", "forgery-transformer", "--ignore-not-found",
            "-n", self.place.namespace, "-o", "jsonpath={.status.privateLoadBalancer.ingress[0].domainInternal}",
        )  # fmt: skip
        if not found:
            raise ServiceUnavailable("the route of the transformer has no ingress yet")
        name, namespace, *_ = found.split(".")
        return str(fetch_json("service", name, "--namespace", namespace)["spec"]["clusterIP"])


def until(holds: Callable[[], bool], timeout_s: float) -> None:
    ends = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < ends, kubectl("get", "ksvc,revisions,pods", "--all-namespaces")
        time.sleep(1)


def test_a_canary_shares_the_requests(
    make_served: Callable[[list[str]], Served], make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    served = make_served(["knative"])
    before = served.put(make_bundle(bias=0.0, seed=0), "a")
    after = served.put(make_bundle(bias=2.0, seed=2), "b")
    assert {served.ask() for _ in range(5)} == {after}

    def shares() -> Counter[str]:
        return Counter(served.ask() for _ in range(40))

    for step, least, most in (("50", 8, 32), ("promote", 40, 40), ("10", 1, 20), ("abort", 0, 0)):
        take_step(served.service, step)
        until(lambda: least <= shares()[after] <= most, timeout_s=120)  # noqa: B023
    assert shares() == {before: 40}
    undo(served.service, None, lambda _: None, tmp_path, SERVED_WITHIN_S)
    take_step(served.service, "promote")
    until(lambda: shares() == {before: 40}, timeout_s=120)


def test_no_pod_while_nobody_asks_and_an_answer_after_it(
    make_served: Callable[[list[str]], Served], make_bundle: Callable[..., Bundle]
) -> None:
    served = make_served(["knative", "scale-to-zero"])
    for component in ("predictor", "transformer"):
        path = f"/spec/{component}/annotations/autoscaling.knative.dev~1scale-to-zero-pod-retention-period"
        patch = json.dumps([{"op": "replace", "path": path, "value": "0s"}])  # ten minutes are too long for a test
        service = ("inferenceservice/forgery", "--namespace", served.place.namespace)
        kubectl("patch", *service, "--type=json", "-p", patch)
    version = served.put(make_bundle(bias=0.0, seed=0), "a")
    until(lambda: not served.awake(), timeout_s=400)
    assert served.ask(timeout_s=SERVED_WITHIN_S) == version
    assert served.awake()
