"""A rollback as a pipeline's step does it: in a pod, on the training image, with the account's rights alone."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from compiled_tasks import task_containers

from components.envelope import TRAIN_IMAGE
from forgery.bundle import Bundle
from forgery.config import RunConfig
from forgery.rollout.port import Revision
from pipelines.compile import COMPILED
from pipelines.pod import BUCKET_CONFIG, BUCKET_SECRET, POD_USER

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

RUNS = Path(__file__).parents[2] / "manifests/base/runs"
STEP = """
from forgery.steps import step
from forgery.steps.rollback import rollback
with step("rollback"):
    print(rollback("kserve:{namespace}/forgery", 0, "", "in-a-pod"))
"""


def kubectl(*arguments: str, data: str | None = None) -> str:
    done = subprocess.run(["kubectl", *arguments], input=data, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def runs(place: Any) -> Iterator[str]:
    """A namespace for runs with the account, bound in the service's namespace, and the bucket's objects."""
    namespace = f"runs-test-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", namespace)
    kubectl("apply", "--namespace", namespace, "-f", "-", data=moved(kubectl("kustomize", str(RUNS)), namespace))
    for kind, name in (("secret", BUCKET_SECRET), ("configmap", BUCKET_CONFIG)):
        found = place.get(kind, name)
        copy = {key: found[key] for key in ("apiVersion", "kind", "data")} | {"metadata": {"name": name}}
        kubectl("apply", "--namespace", namespace, "-f", "-", data=json.dumps(copy))
    binding = place.get("rolebinding", "forgery-rollout")
    binding["subjects"][0]["namespace"] = namespace
    kubectl("apply", "--namespace", place.namespace, "-f", "-", data=json.dumps(binding))
    yield namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


def moved(manifests: str, namespace: str) -> str:
    return manifests.replace("namespace: kubeflow", f"namespace: {namespace}")


def step_pod(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """As `pipelines.pod` has its tasks: numeric user, read-only root, /tmp, the bucket by environment.

    One container after the other: all but the last are init containers.
    """
    for container in containers:
        container |= {
            "envFrom": [{"secretRef": {"name": BUCKET_SECRET}}, {"configMapRef": {"name": BUCKET_CONFIG}}],
            "securityContext": {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "step"},
        "spec": {
            "serviceAccountName": "forgery-pipeline",
            "restartPolicy": "Never",
            "securityContext": {
                "runAsUser": POD_USER,
                "runAsGroup": POD_USER,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "initContainers": containers[:-1],
            "containers": containers[-1:],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def ended(namespace: str, timeout_s: float = 300) -> str:
    deadline, phase = time.monotonic() + timeout_s, ""
    while phase not in ("Succeeded", "Failed") and time.monotonic() < deadline:
        time.sleep(1)
        phase = kubectl("get", "pod", "step", "--namespace", namespace, "-o", "jsonpath={.status.phase}")
    return phase


def test_a_step_in_a_pod_rolls_back(
    place: Any, runs: str, put: Callable[..., Revision], make_bundle: Callable[..., Bundle]
) -> None:
    first = put(make_bundle(bias=0.0, seed=0), "a")
    put(make_bundle(bias=2.0, seed=2), "c")
    code = STEP.format(namespace=place.namespace)
    container = {"name": "main", "image": TRAIN_IMAGE, "command": ["python3", "-c", code]}
    kubectl("apply", "--namespace", runs, "-f", "-", data=json.dumps(step_pod([container])))
    phase = ended(runs)
    log = kubectl("logs", "--namespace", runs, "step")
    assert phase == "Succeeded", log
    newest = place.service().history()[-1]
    assert (newest.reason, newest.run_id, newest.storage_uri) == ("rollback", "in-a-pod", first.storage_uri)
    assert first.model_version in log


def test_the_compiled_pipeline_trains_and_deploys_from_pods(place: Any, runs: str) -> None:
    """All tasks of the YAML that ships, commands and images as they stand there, up to the model in service."""
    config = RunConfig.read(
        {
            "source": "demo:60",
            "recipe": "ela1_q90_gain15_32_bilinear",
            "backbone": "cnn",
            "variants": [],
            "training": {"epochs": 2},
            "data": {"min_class_pictures": 5},
            "rule": {"floor": 0.0, "min_balanced_accuracy": 0.0, "max_control": 1.0},
            "bundles": place.bundles,
            "service": f"kserve:{place.namespace}/forgery",
            "tracking": "",
        }
    )
    containers = task_containers(COMPILED / "training.yaml", config.model_dump())
    kubectl("apply", "--namespace", runs, "-f", "-", data=json.dumps(step_pod(containers)))
    phase = ended(runs, timeout_s=600)
    logs = {name: container_log(runs, name) for name in (each["name"] for each in containers)}
    assert phase == "Succeeded", "\n".join(f"== {name}\n{log[-2000:]}" for name, log in logs.items())
    newest = place.service().history()[-1]
    assert newest.storage_uri == place.service().read().storage_uri
    served = httpx.get(f"{place.url()}/v2/models/forgery", timeout=10).json()
    assert newest.model_version in served["versions"]


def container_log(namespace: str, name: str) -> str:
    done = subprocess.run(
        ["kubectl", "logs", "--namespace", namespace, "step", "-c", name], text=True, capture_output=True, check=False
    )
    return done.stdout + done.stderr
