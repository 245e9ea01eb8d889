"""What the pipeline's account may and may not do, by the real API server's authorizer."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from forgery.rollout.cluster import connect_cluster

pytestmark = pytest.mark.cluster

RUNS, SERVING = "kubeflow", "forgery"
MANIFESTS = Path(__file__).parents[2] / "manifests"


@pytest.fixture(scope="module")
def namespaces(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The roles of the manifests in two namespaces of their own, and nothing else."""
    suffix = uuid.uuid4().hex[:6]
    names = {RUNS: f"runs-test-{suffix}", SERVING: f"serving-test-{suffix}"}
    for place, part in ((RUNS, "runs"), (SERVING, "access")):
        subprocess.run(["kubectl", "create", "namespace", names[place]], check=True, capture_output=True)
        rendered = subprocess.run(
            ["kubectl", "kustomize", str(MANIFESTS / "base" / part)], check=True, capture_output=True, text=True
        ).stdout
        moved = rendered.replace(f"namespace: {RUNS}", f"namespace: {names[RUNS]}")
        command = ["kubectl", "apply", "--namespace", names[place], "-f", "-"]
        subprocess.run(command, input=moved, text=True, check=True, capture_output=True)
    yield names
    for name in names.values():
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], check=True, capture_output=True)


def may(namespaces: dict[str, str], place: str, verb: str, what: str) -> bool:
    """Ask the API server's authorizer; `what` is `GROUP/RESOURCE[/SUBRESOURCE][:NAME]`, the core group being empty."""
    path, _, name = what.partition(":")
    group, resource, subresource = [*path.split("/"), ""][:3]
    attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespaces[RUNS]}:forgery-pipeline",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespaces[RUNS]}", "system:authenticated"],
            "resourceAttributes": attributes | ({"namespace": namespaces[place]} if place else {}),
        },
    }
    answer = connect_cluster().request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


@pytest.mark.parametrize(
    ("place", "verb", "what"),
    [
        (SERVING, "get", "serving.kserve.io/inferenceservices:forgery"),
        (SERVING, "patch", "serving.kserve.io/inferenceservices:forgery"),
        (SERVING, "list", "apps/controllerrevisions"),
        (SERVING, "create", "apps/controllerrevisions"),
        (SERVING, "delete", "apps/controllerrevisions"),
        (SERVING, "get", "apps/deployments:forgery-predictor"),
        (SERVING, "list", "/pods"),
        (RUNS, "get", "/configmaps:kfp-launcher"),
        (RUNS, "get", "/secrets:forgery-bucket"),
        (RUNS, "get", "/secrets:mlpipeline-minio-artifact"),
        (RUNS, "create", "argoproj.io/workflowtaskresults"),
        (RUNS, "patch", "argoproj.io/workflowtaskresults"),
    ],
)
def test_a_run_may(namespaces: dict[str, str], place: str, verb: str, what: str) -> None:
    assert may(namespaces, place, verb, what)


@pytest.mark.parametrize(
    ("place", "verb", "what"),
    [
        (SERVING, "delete", "serving.kserve.io/inferenceservices:forgery"),
        (SERVING, "create", "serving.kserve.io/inferenceservices"),
        (SERVING, "patch", "serving.kserve.io/inferenceservices:another"),
        (SERVING, "list", "serving.kserve.io/inferenceservices"),
        (SERVING, "patch", "serving.kserve.io/servingruntimes:forgery-tensorflow"),
        (SERVING, "patch", "apps/deployments:forgery-predictor"),
        (SERVING, "get", "apps/deployments:another"),
        (SERVING, "get", "/secrets:forgery-bucket"),
        (SERVING, "create", "/pods"),
        (SERVING, "create", "/pods/exec"),
        (SERVING, "get", "/pods/log"),
        (SERVING, "create", "rbac.authorization.k8s.io/rolebindings"),
        (RUNS, "list", "/secrets"),
        (RUNS, "get", "/secrets:another"),
        (RUNS, "patch", "/configmaps:kfp-launcher"),
        (RUNS, "create", "/serviceaccounts/token"),
        (RUNS, "get", "serving.kserve.io/inferenceservices:forgery"),
        ("", "list", "/namespaces"),
        ("", "list", "/nodes"),
    ],
)
def test_a_run_may_not(namespaces: dict[str, str], place: str, verb: str, what: str) -> None:
    assert not may(namespaces, place, verb, what)
