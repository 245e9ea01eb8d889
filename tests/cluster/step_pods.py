"""Steps in pods of their own, as `pipelines.pod` has the tasks of a run, without Kubeflow Pipelines."""

import json
import time
from typing import Any

from cluster_commands import kubectl

from pipelines.pod import BUCKET_CONFIG, BUCKET_SECRET, POD_USER

POD = "step"
_BUCKET = {
    "AWS_ACCESS_KEY_ID": {"secretKeyRef": {"name": BUCKET_SECRET, "key": "AWS_ACCESS_KEY_ID"}},
    "AWS_SECRET_ACCESS_KEY": {"secretKeyRef": {"name": BUCKET_SECRET, "key": "AWS_SECRET_ACCESS_KEY"}},
    "AWS_ENDPOINT_URL": {"configMapKeyRef": {"name": BUCKET_CONFIG, "key": "AWS_ENDPOINT_URL"}},
}


def start(namespace: str, containers: list[dict[str, Any]]) -> None:
    """Numeric user, read-only root, /tmp, the bucket by environment; one container after the other."""
    for container in containers:
        container |= {
            "env": [{"name": name, "valueFrom": source} for name, source in _BUCKET.items()],
            "securityContext": {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {
            "serviceAccountName": "forgery-pipeline",
            "restartPolicy": "Never",
            "securityContext": {
                "runAsUser": POD_USER,
                "runAsGroup": POD_USER,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            # All but the last are init containers, which run in turn.
            "initContainers": containers[:-1],
            "containers": containers[-1:],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    kubectl("apply", "--namespace", namespace, "-f", "-", data=json.dumps(pod))


def ended(namespace: str, timeout_s: float = 300) -> str:
    """The pod's phase once it has ended, or the one it is in after that time."""
    deadline, phase = time.monotonic() + timeout_s, ""
    while phase not in ("Succeeded", "Failed") and time.monotonic() < deadline:
        time.sleep(1)
        phase = kubectl("get", "pod", POD, "--namespace", namespace, "-o", "jsonpath={.status.phase}")
    return phase


def container_log(namespace: str, name: str) -> str:
    """What a container has said; kubectl's error where it has not started."""
    return kubectl("logs", "--namespace", namespace, POD, "-c", name, check=False)
