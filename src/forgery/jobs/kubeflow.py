"""TFJobs of Kubeflow's training operator, over the Kubernetes API."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from forgery.errors import ServiceUnavailable
from forgery.jobs.manifest import API
from forgery.jobs.port import Document, JobStatus, State
from forgery.rollout.cluster import Cluster, Refused, connect_cluster

_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_NOT_FOUND, _EXISTS = 404, 409
_STATES: Final[dict[str, State]] = {"Succeeded": "succeeded", "Failed": "failed", "Running": "running"}
_LINES_AT_ONCE: Final = "500"


class KubeflowJobs:
    """The jobs of one namespace; see `forgery.jobs.port.TrainingJobs`."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Nothing is sent yet."""
        self._cluster = cluster
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._jobs = f"/apis/{API}/namespaces/{namespace}/tfjobs"

    def own_pod(self) -> Document:
        """By the host's name, which is the pod's."""
        return self._cluster.request("GET", f"{self._pods}/{os.environ['HOSTNAME']}")

    def create(self, job: Mapping[str, Any]) -> bool:
        """One POST; ServiceUnavailable also where the cluster knows no TFJobs."""
        try:
            self._cluster.request("POST", self._jobs, dict(job))
        except Refused as error:
            if error.status == _EXISTS:
                return False
            if error.status == _NOT_FOUND:
                raise ServiceUnavailable(
                    "the cluster knows no TFJob: install Kubeflow's training operator, or set workers=1"
                ) from error
            raise ServiceUnavailable(f"the cluster refuses the training job: {error}") from error
        return True

    def status(self, name: str) -> JobStatus | None:
        """The last condition that holds."""
        try:
            job = self._cluster.request("GET", f"{self._jobs}/{name}")
        except Refused as error:
            if error.status == _NOT_FOUND:
                return None
            raise ServiceUnavailable(f"the cluster does not tell of training job {name}: {error}") from error
        holding = [each for each in job.get("status", {}).get("conditions") or [] if each["status"] == "True"]
        for kind, state in _STATES.items():
            for condition in holding:
                if condition["type"] == kind:
                    return JobStatus(state, condition.get("message", ""))
        return JobStatus("waiting", holding[-1].get("message", "") if holding else "")

    def chief_log(self, name: str, since: str) -> list[str]:
        """None while the chief's container has not started."""
        query = {"timestamps": "true", "tailLines": _LINES_AT_ONCE}
        try:
            text = self._cluster.request("GET", f"{self._pods}/{name}-worker-0/log", query=query)
        except Refused:
            return []
        # Each line starts with its time, in a form whose order is that of the text.
        newest = since.partition(" ")[0]
        return [line for line in str(text or "").splitlines() if line.partition(" ")[0] > newest]

    def delete(self, name: str) -> None:
        """With its pods, before it is gone itself."""
        try:
            self._cluster.request("DELETE", f"{self._jobs}/{name}", query={"propagationPolicy": "Foreground"})
        except Refused as error:
            if error.status != _NOT_FOUND:
                raise ServiceUnavailable(f"training job {name} cannot be removed: {error}") from error


def connect_jobs() -> KubeflowJobs:
    """The jobs of the namespace this pod runs in; ServiceUnavailable outside of a cluster."""
    if not _NAMESPACE_FILE.exists():
        raise ServiceUnavailable("several workers need a cluster with Kubeflow's training operator; here set workers=1")
    return KubeflowJobs(connect_cluster(), _NAMESPACE_FILE.read_text().strip())
