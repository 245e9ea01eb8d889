"""The checks of `forgery doctor --cluster`: what the platform needs of a cluster, in the order it would fail."""

from collections.abc import Callable, Sequence
from typing import Any

from cli.checks import Check
from forgery.errors import ForgeryError, InvalidConfig, ServiceUnavailable
from forgery.rollout.cluster import Cluster, Refused, connect_cluster
from forgery.rollout.endpoint import AskVersion, open_endpoint
from forgery.rollout.progress import SOURCE_URI, annotation, cause_of_failure, hindrance
from forgery.rollout.service import parse_kserve

Document = dict[str, Any]

_KSERVE = "/apis/serving.kserve.io"
_APPLY = "kubectl apply -k manifests/overlays/..."
# Verb, API group, resource, name: what a rollout needs (manifests/base/access).
_RIGHTS = [
    ("get", "serving.kserve.io", "inferenceservices", "{name}"),
    ("patch", "serving.kserve.io", "inferenceservices", "{name}"),
    ("get", "apps", "deployments", "{name}-predictor"),
    ("list", "apps", "controllerrevisions", ""),
    ("create", "apps", "controllerrevisions", ""),
    ("delete", "apps", "controllerrevisions", ""),
    ("list", "", "pods", ""),
]


def check_service(service: str) -> list[Check]:
    """Look at the InferenceService that `kserve:NAMESPACE/NAME` names, from here.

    Raises:
        InvalidConfig: It is of another form.
        ServiceUnavailable: No cluster is configured.
    """
    found = parse_kserve(service)
    if found is None:
        raise InvalidConfig(f"--cluster: {service!r} is no service on a cluster; accepted is kserve:NAMESPACE/NAME")
    cluster = connect_cluster(patience_s=5)
    return check_cluster(cluster, *found, open_endpoint(cluster, *found))


def check_cluster(cluster: Cluster, namespace: str, name: str, ask_version: AskVersion) -> list[Check]:
    """Look at the InferenceService and all it stands on; one that fails does not hide the others."""
    looks: list[tuple[str, Callable[[], Check]]] = [
        ("Kubernetes", lambda: _kubernetes(cluster)),
        ("KServe", lambda: _kserve(cluster)),
        ("InferenceService", lambda: _service(cluster, namespace, name)),
        ("runtime", lambda: _runtime(cluster, namespace, name)),
        ("bucket secret", lambda: _bucket(cluster, namespace)),
        ("rights", lambda: _rights(cluster, namespace, name)),
        ("pods", lambda: _pods(cluster, namespace, name)),
        ("endpoint", lambda: Check("endpoint", True, f"answers with {ask_version()}")),
    ]
    return [_looked(what, look) for what, look in looks]


def _looked(what: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Refused as error:
        return Check(what, False, str(error), _APPLY)
    except ForgeryError as error:
        return Check(what, False, str(error), "docs/cluster.md, Symptoms")


def _kubernetes(cluster: Cluster) -> Check:
    version = cluster.request("GET", "/version")
    minor = int("".join(filter(str.isdigit, version["minor"])) or 0)
    ok = (int(version["major"]), minor) >= (1, 30)
    return Check("Kubernetes", ok, version["gitVersion"], "" if ok else "1.30 or later, for preStop.sleep")


def _kserve(cluster: Cluster) -> Check:
    try:
        groups = cluster.request("GET", _KSERVE)
    except Refused:
        return Check("KServe", False, "its API is not there", "install KServe 0.20 or later")
    served = [version["version"] for version in groups["versions"]]
    return Check("KServe", "v1beta1" in served, f"serves {', '.join(served)}", "install KServe 0.20 or later")


def _get_service(cluster: Cluster, namespace: str, name: str) -> Document:
    return cluster.request("GET", f"{_KSERVE}/v1beta1/namespaces/{namespace}/inferenceservices/{name}")


def _service(cluster: Cluster, namespace: str, name: str) -> Check:
    found = _get_service(cluster, namespace, name)
    mode = annotation(found, "serving.kserve.io/deploymentMode") or "unset"
    uri = found["spec"]["predictor"].get("model", {}).get("storageUri")
    ok = mode in ("Standard", "Knative")
    return Check("InferenceService", ok, f"{mode} mode, {uri or 'waits for its first model'}", "" if ok else _APPLY)


def _runtime(cluster: Cluster, namespace: str, name: str) -> Check:
    runtime = _get_service(cluster, namespace, name)["spec"]["predictor"]["model"].get("runtime", "")
    found = cluster.request("GET", f"{_KSERVE}/v1alpha1/namespaces/{namespace}/servingruntimes/{runtime}")
    return Check("runtime", True, f"{runtime}, image {found['spec']['containers'][0]['image']}")


def _bucket(cluster: Cluster, namespace: str) -> Check:
    try:
        found = cluster.request("GET", f"/api/v1/namespaces/{namespace}/secrets/forgery-bucket")
    except ServiceUnavailable:
        return Check("bucket secret", True, "not looked at: this account may not read it")
    endpoint = annotation(found, "serving.kserve.io/s3-endpoint")
    missing = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} - found.get("data", {}).keys()
    ok = bool(endpoint) and not missing
    said = f"for {endpoint}" if endpoint else "it has no annotation serving.kserve.io/s3-endpoint"
    return Check("bucket secret", ok, f"{said}; without {min(missing)}" if missing else said, "" if ok else _APPLY)


def _rights(cluster: Cluster, namespace: str, name: str) -> Check:
    lacking = [
        f"{verb} {resource}"
        for verb, group, resource, of in _RIGHTS
        if not _may(cluster, namespace, verb, group, resource, of.format(name=name))
    ]
    found = f"may not {', '.join(lacking)}" if lacking else "all that a rollout needs"
    return Check("rights", not lacking, found, f"{_APPLY}, and use the account forgery-pipeline" if lacking else "")


def _may(cluster: Cluster, namespace: str, verb: str, group: str, resource: str, name: str) -> bool:
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def _pods(cluster: Cluster, namespace: str, name: str) -> Check:
    query = {"labelSelector": f"serving.kserve.io/inferenceservice={name}"}
    return judge_pods(cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods", query=query)["items"])


def judge_pods(listed: Sequence[Document]) -> Check:
    """Whether all pods are ready, and what keeps them from it; those that leave, as in each rollout, do not count."""
    pods = [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]
    ready = [pod for pod in pods if _is_ready(pod)]
    found, ok = f"{len(ready)} of {len(pods)} ready", bool(pods) and len(ready) == len(pods)
    uris = {annotation(pod, SOURCE_URI) for pod in pods} - {None}
    causes = [cause_of_failure(pods, str(uri)) or hindrance(pods, str(uri)) for uri in uris] if not ok else []
    return Check("pods", ok, "; ".join([found, *causes]), "" if ok else "docs/cluster.md, Symptoms")


def _is_ready(pod: Document) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
