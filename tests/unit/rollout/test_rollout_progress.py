from typing import Any

import pytest

from forgery.rollout.progress import SOURCE_URI, cause_of_failure, hindrance, rolled_out

URI = "s3://models/new"


def deployment(uri: str = URI, generation: int = 2, seen: int = 2, replicas: int = 2, **counts: int) -> dict[str, Any]:
    status = {
        "observedGeneration": seen,
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
        "readyReplicas": 2,
    }
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": replicas, "template": {"metadata": {"annotations": {SOURCE_URI: uri}}}},
        "status": status | counts,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (deployment(), True),
        (deployment(uri="s3://models/old"), False),
        (deployment(seen=1), False),  # the status is of the spec before
        (deployment(updatedReplicas=1), False),
        (deployment(replicas=3), False),
        (deployment(availableReplicas=1), False),
        ({"metadata": {"generation": 1}, "spec": {"template": {"metadata": {}}}}, False),
    ],
)
def test_a_deployment_is_rolled_out_when_every_pod_is_new_and_available(found: dict[str, Any], expected: bool) -> None:
    assert rolled_out(found, URI) is expected


def test_an_old_pod_that_still_ends_is_not_rolled_out() -> None:
    assert not rolled_out(
        deployment(replicas=2, updatedReplicas=2) | {"status": deployment()["status"] | {"replicas": 3}}, URI
    )


def pod(
    *containers: dict[str, Any], uri: str = URI, conditions: list[Any] | None = None, **meta: Any
) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {SOURCE_URI: uri}} | meta,
        "status": {"containerStatuses": list(containers), "conditions": conditions or []},
    }


def container(name: str = "kserve-container", restarts: int = 0, **states: Any) -> dict[str, Any]:
    return {"name": name, "restartCount": restarts} | states


CRASHED = {"terminated": {"exitCode": 1, "message": "SHA256SUMS is missing\n", "reason": "Error"}}


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (pod(container(state={"running": {}})), None),
        (pod(container(state={"waiting": {"reason": "ContainerCreating"}})), None),
        (pod(container(restarts=1, lastState=CRASHED, state={"running": {}})), None),  # once is forgiven
        (
            pod(container(restarts=2, lastState=CRASHED, state={"running": {}})),
            "container kserve-container ended with status 1 again and again: SHA256SUMS is missing",
        ),
        (
            pod(container(restarts=2, lastState={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
            "container kserve-container ended with status 137 again and again: OOMKilled",
        ),
        (
            pod(container(state={"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling x"}})),
            "container kserve-container: ImagePullBackOff, Back-off pulling x",
        ),
        (pod(container(restarts=5, lastState=CRASHED), uri="s3://models/old"), None),  # not of this rollout
        (pod(container(restarts=5, lastState=CRASHED), deletionTimestamp="now"), None),
    ],
)
def test_a_failure_is_told_from_the_new_pods(found: dict[str, Any], cause: str | None) -> None:
    assert cause_of_failure([found], URI) == cause


def test_the_storage_initializer_is_looked_at_too() -> None:
    found = pod(container(state={"waiting": {"reason": "PodInitializing"}}))
    found["status"]["initContainerStatuses"] = [container("storage-initializer", 2, state=CRASHED)]
    assert cause_of_failure([found], URI) == (
        "container storage-initializer ended with status 1 again and again: SHA256SUMS is missing"
    )


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], "no pod for it was made"),
        (
            [pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu"}])],
            "no node takes its pod: 0/1 nodes: Insufficient cpu",
        ),
        ([pod(container(state={"waiting": {"reason": "PodInitializing"}}))], "PodInitializing"),
        ([pod(container(state={"running": {}}))], "its pod runs but is not ready"),
    ],
)
def test_at_a_timeout_it_is_said_what_the_pod_waits_for(pods: list[dict[str, Any]], said: str) -> None:
    assert said in hindrance(pods, URI)
