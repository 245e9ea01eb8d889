"""What `forgery doctor --cluster` says of pods."""

from typing import Any

from cli.cluster_checks import judge_pods
from forgery.rollout.progress import SOURCE_URI


def pod(ready: bool, **metadata: str) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {SOURCE_URI: "s3://models/1"}, **metadata},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def test_a_pod_that_leaves_is_not_missed() -> None:
    check = judge_pods([pod(True), pod(False, deletionTimestamp="2026-01-01T00:00:00Z")])
    assert (check.ok, check.found) == (True, "1 of 1 ready")


def test_a_pod_that_is_not_ready_is_said_with_what_it_waits_for() -> None:
    check = judge_pods([pod(True), pod(False)])
    assert (check.ok, check.found) == (False, "1 of 2 ready; its pod runs but is not ready")


def test_no_pod_at_all_is_not_well() -> None:
    check = judge_pods([])
    assert (check.ok, check.found) == (False, "0 of 0 ready")
