"""The TFJob of a training: its workers are the step's own pod once more, each with another command."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from forgery.errors import ServiceUnavailable
from forgery.jobs.port import Document

API: Final = "kubeflow.org/v1"
# The training operator sets TF_CONFIG in containers of this name alone.
_CONTAINER: Final = "tensorflow"
_STEP_CONTAINER: Final = "main"
# What of the step's environment is ours: the rest is Argo's and the launcher's.
_VARIABLES: Final = ("AWS_", "FORGERY_", "TF_CPP_", "SSL_", "HTTP", "NO_PROXY")
_OF_POD: Final = (
    "securityContext",
    "tolerations",
    "nodeSelector",
    "affinity",
    "imagePullSecrets",
    "serviceAccountName",
)
_OF_CONTAINER: Final = ("image", "imagePullPolicy", "resources", "securityContext")
# A worker that is evicted takes the others with it; all of them then go on from the last checkpoint.
_MOST_RESTARTS: Final = 20
# Somebody may want to look; the step removes a job that ended well.
_KEPT_S: Final = 24 * 3600


def training_job(name: str, workers: int, command: Sequence[str], step_pod: Mapping[str, Any]) -> Document:
    """A TFJob of so many equal workers, of which the first is the chief.

    Args:
        name: A DNS label; equal names are the same job.
        workers: At least 2.
        command: Of every worker; TF_CONFIG tells it which one it is.
        step_pod: Image, resources, secrets and rights are this pod's.

    Raises:
        ServiceUnavailable: The pod has no container of a pipeline step.
    """
    replica = {
        "replicas": workers,
        "restartPolicy": "OnFailure",
        "template": {
            # A mesh's proxy would neither let gRPC between workers pass nor end with them.
            "metadata": {"annotations": {"sidecar.istio.io/inject": "false"}},
            "spec": _pod(command, step_pod["spec"]),
        },
    }
    return {
        "apiVersion": API,
        "kind": "TFJob",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": "forgery", "app.kubernetes.io/component": "training"},
        },
        "spec": {
            "runPolicy": {
                "cleanPodPolicy": "Running",
                "backoffLimit": _MOST_RESTARTS,
                "ttlSecondsAfterFinished": _KEPT_S,
            },
            "tfReplicaSpecs": {"Worker": replica},
        },
    }


def _pod(command: Sequence[str], step: Mapping[str, Any]) -> Document:
    mains = [each for each in step["containers"] if each["name"] == _STEP_CONTAINER]
    if not mains:
        raise ServiceUnavailable(
            f"this pod has no container {_STEP_CONTAINER!r}: workers are made after a pipeline step's"
        )
    main = mains[0]
    container = {key: main[key] for key in _OF_CONTAINER if key in main} | {
        "name": _CONTAINER,
        "command": list(command),
        "env": [each for each in main.get("env", []) if each["name"].startswith(_VARIABLES)],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    kept = {key: step[key] for key in _OF_POD if key in step}
    return kept | {
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
