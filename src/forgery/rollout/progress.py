"""What a Deployment and its pods tell of a rollout. Pure: documents of the Kubernetes API in, sentences out.

The InferenceService's own status is not asked: it is stale for seconds after a change, and says `Ready` all the while
a new pod crashes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

# Set by KServe on the pod template of the predictor, and so on its pods.
SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
# A first crash may be a hiccup of the bucket; kubelet waits 10 s and 20 s before the second and third start.
RESTARTS_FORGIVEN = 1
# None of these mends itself soon; kubelet says so after it has tried.
_STUCK = {
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}
_MESSAGE_CHARACTERS = 600


def annotation(document: Document, name: str) -> str | None:
    """An annotation of an object or a pod template; None where it is not set."""
    value = (document.get("metadata", {}).get("annotations") or {}).get(name)
    return None if value is None else str(value)


def rolled_out(deployment: Document, storage_uri: str) -> bool:
    """Whether every pod of the predictor's Deployment is one for `storage_uri`, and available."""
    spec, status = deployment["spec"], deployment.get("status", {})
    counts = {status.get(f"{kind}eplicas", 0) for kind in ("r", "updatedR", "availableR", "readyR")}
    return (
        annotation(spec["template"], SOURCE_URI) == storage_uri
        and status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and counts == {spec.get("replicas", 1)}
    )


def cause_of_failure(pods: Sequence[Document], storage_uri: str) -> str | None:
    """Why the new pods will not come up, as far as they say; None while they may.

    Args:
        pods: Of the predictor, old and new.
        storage_uri: What the new ones are to serve.
    """
    for pod in _new(pods, storage_uri):
        for container in _containers(pod):
            if cause := _container_failure(container):
                return cause
    return None


def hindrance(pods: Sequence[Document], storage_uri: str) -> str:
    """What the new pods wait for, for the message at a timeout; they may still come up."""
    new = list(_new(pods, storage_uri))
    if not new:
        return "no pod for it was made"
    for pod in new:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"no node takes its pod: {condition.get('message', condition.get('reason', ''))}"
        for container in _containers(pod):
            if waiting := container.get("state", {}).get("waiting"):
                return f"container {container['name']} waits: {waiting.get('reason', '')} {waiting.get('message', '')}"
    return "its pod runs but is not ready"


def _new(pods: Sequence[Document], storage_uri: str) -> Iterator[Document]:
    for pod in pods:
        if annotation(pod, SOURCE_URI) == storage_uri and "deletionTimestamp" not in pod["metadata"]:
            yield pod


def _containers(pod: Document) -> list[Document]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _container_failure(container: Document) -> str | None:
    state, last = container.get("state", {}), container.get("lastState", {})
    waiting = state.get("waiting", {})
    if waiting.get("reason") in _STUCK:
        return f"container {container['name']}: {waiting['reason']}, {waiting.get('message', 'no more is known')}"
    ended = state.get("terminated") or last.get("terminated")
    if ended and ended.get("exitCode") and container.get("restartCount", 0) > RESTARTS_FORGIVEN:
        said = str(ended.get("message") or ended.get("reason") or "it said nothing").strip()[-_MESSAGE_CHARACTERS:]
        return f"container {container['name']} ended with status {ended['exitCode']} again and again: {said}"
    return None
