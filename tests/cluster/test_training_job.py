"""The job of a training with several workers on a real API server; the training operator's part is played here.

Its definitions come from `FORGERY_TEST_CRDS`, a folder of a checkout such as training-operator/manifests/base/crds,
where the cluster does not have them. Where the operator itself runs, `test_training_operator` sees to what is played.
"""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_commands import kubectl
from kubernetes import client, config

from forgery.errors import ServiceUnavailable
from forgery.jobs.follow import run_job
from forgery.jobs.kubeflow import KubeflowJobs
from forgery.jobs.manifest import training_job
from forgery.rollout.cluster import Cluster, connect_cluster

pytestmark = pytest.mark.cluster

DEFINITION = "tfjobs.kubeflow.org"
STEP_POD = {
    "spec": {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001},
        "containers": [
            {
                "name": "main",
                "image": "localhost/forgery/train-python:0.1.0",
                "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "6Gi"}},
                "env": [
                    {
                        "name": "AWS_ACCESS_KEY_ID",
                        "valueFrom": {"secretKeyRef": {"name": "forgery-bucket", "key": "AWS_ACCESS_KEY_ID"}},
                    }
                ],
            }
        ],
    }
}


@pytest.fixture(scope="module")
def namespace(definitions: Any) -> Iterator[str]:
    definitions(DEFINITION)
    name = f"jobs-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def jobs(namespace: str) -> KubeflowJobs:
    return KubeflowJobs(connect_cluster(), namespace)


@pytest.fixture
def job() -> dict[str, Any]:
    return training_job(f"forgery-train-{uuid.uuid4().hex[:20]}", 2, ["python", "-m", "x"], STEP_POD)


@pytest.fixture
def played(operated: bool) -> None:
    """Skip where the operator itself would answer."""
    if operated:
        pytest.skip("the cluster runs the training operator itself")


def say(namespace: str, name: str, kind: str, message: str) -> None:
    """What the operator would write into the job's status."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {"type": kind, "status": "True", "reason": kind, "message": message}
    status = {"conditions": [condition | {"lastTransitionTime": now, "lastUpdateTime": now}], "replicaStatuses": {}}
    kubectl(
        "patch",
        "tfjob",
        name,
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        json.dumps({"status": status}),
    )


def following(jobs: KubeflowJobs, job: dict[str, Any]) -> threading.Thread:
    """A step that runs the job, once the job waits for its operator."""
    thread = threading.Thread(target=run_job, args=(jobs, job), kwargs={"poll_s": 0.1})
    thread.start()
    while (status := jobs.status(job["metadata"]["name"])) is None or status.state != "waiting":
        time.sleep(0.1)
    return thread


def test_the_operators_definition_takes_the_job_whole(jobs: KubeflowJobs, job: dict[str, Any], namespace: str) -> None:
    done = subprocess.run(
        ["kubectl", "create", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-"],
        input=yaml.safe_dump(job), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wrong = job | {"spec": job["spec"] | {"workers": 2}}
    done = subprocess.run(
        ["kubectl", "create", "-n", namespace, "--dry-run=server", "--validate=strict", "-f", "-"],
        input=yaml.safe_dump(wrong), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "unknown field" in done.stderr


@pytest.mark.usefixtures("played")
def test_a_job_is_followed_from_its_creation_to_its_removal(
    jobs: KubeflowJobs, job: dict[str, Any], namespace: str
) -> None:
    name = job["metadata"]["name"]
    followed = following(jobs, job)
    say(namespace, name, "Running", "TFJob is running.")
    time.sleep(0.5)
    assert followed.is_alive()
    assert not jobs.create(job)
    say(namespace, name, "Succeeded", "TFJob has succeeded.")
    followed.join(20)
    assert not followed.is_alive()
    jobs.delete(name)
    kubectl("wait", "--for=delete", f"tfjob/{name}", "-n", namespace, "--timeout=30s")
    assert jobs.status(name) is None


@pytest.mark.usefixtures("played")
def test_a_job_that_had_failed_is_begun_anew(jobs: KubeflowJobs, job: dict[str, Any], namespace: str) -> None:
    name = job["metadata"]["name"]
    jobs.create(job)
    say(namespace, name, "Failed", "TFJob has failed because it has reached the specified backoff limit")
    followed = following(jobs, job)
    say(namespace, name, "Succeeded", "")
    followed.join(20)
    assert not followed.is_alive()


def test_an_account_without_the_right_is_told(namespace: str, job: dict[str, Any]) -> None:
    settings = client.Configuration()
    config.load_kube_config(client_configuration=settings)
    api = client.ApiClient(settings)
    api.set_default_header("Impersonate-User", f"system:serviceaccount:{namespace}:default")
    with pytest.raises(ServiceUnavailable, match="lacks a right"):
        KubeflowJobs(Cluster(api), namespace).create(job)
