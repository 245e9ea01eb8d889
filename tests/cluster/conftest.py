"""The dev overlay on a real cluster with KServe, in namespaces of its own, with a few real bundles to deploy.

Needs KUBECONFIG, the images in the cluster, and a bucket that the tests and the pods reach at one address:
`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, and `FORGERY_TEST_BUCKET` (default `models`).
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster_commands import fetch_json, kubectl

from forgery.bundle import Bundle
from forgery.rollout.kserve import KServeService, connect
from forgery.rollout.port import Revision
from forgery.rollout.transaction import deploy
from pipelines.pod import BUCKET_CONFIG, BUCKET_SECRET

REPOSITORY = Path(__file__).parents[2]
SERVICE = "forgery"
# A first pod, with its image there, within this; a rollout takes about 15 s on two cores.
SERVED_WITHIN_S = 180


def _established(definition: dict[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


@pytest.fixture(scope="session")
def cluster() -> None:
    """Skip, or fail early, where there is no cluster with KServe."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    kubectl("get", "crd", "inferenceservices.serving.kserve.io", "--request-timeout=10s")


@pytest.fixture(scope="session")
def definitions(cluster: None) -> Iterator[Callable[[str], None]]:
    """Have a custom resource definition in the cluster: the cluster's own, or one from `FORGERY_TEST_CRDS`.

    That is folders, separated as in PATH; definitions from there are removed at the end. Without both the test skips.
    """
    folders = [Path(each) for each in os.environ.get("FORGERY_TEST_CRDS", "").split(os.pathsep) if each]
    made: list[str] = []

    def have(name: str) -> None:
        if not kubectl("get", "crd", name, "--ignore-not-found"):
            plural, _, group = name.partition(".")
            files = [path for folder in folders for path in folder.glob(f"{group}_{plural}.yaml")]
            if not files:
                pytest.skip(f"the cluster has no {name}, and FORGERY_TEST_CRDS does not either")
            kubectl("create", "-f", str(files[0]))  # too large for what `apply` notes down
            made.append(name)
        # A definition has no conditions at first, which `kubectl wait` takes for an error.
        ends = time.monotonic() + 30
        while not _established(fetch_json("crd", name)):
            assert time.monotonic() < ends, f"{name} is not established"
            time.sleep(0.2)

    yield have
    for name in made:
        kubectl("delete", "crd", name, "--wait=false")


@pytest.fixture(scope="session")
def operated(cluster: None) -> bool:
    """Whether Kubeflow's training operator runs in the cluster."""
    selector = "control-plane=kubeflow-training-operator"
    return bool(fetch_json("pods", "--all-namespaces", "--selector", selector)["items"])


@pytest.fixture(scope="session")
def bucket() -> str:
    """A fresh prefix of the test bucket."""
    missing = [
        name for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)
    ]
    if missing:
        pytest.skip(f"the cluster tests need a bucket: {', '.join(missing)} not set")
    return f"s3://{os.environ.get('FORGERY_TEST_BUCKET', 'models')}/tests-{uuid.uuid4().hex[:8]}"


def _overlay(folder: Path, namespace: str, components: Sequence[str]) -> Path:
    """The dev overlay in another namespace, with the tests' bucket and without volumes that need a storage class."""
    opted = [os.path.relpath(REPOSITORY / "manifests/components" / name, folder) for name in components]
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    address = endpoint.partition("://")[2]
    dev = os.path.relpath(REPOSITORY / "manifests/overlays/dev/serving", folder)
    folder.joinpath("kustomization.yaml").write_text(
        f"""
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{dev}]
components: {json.dumps(opted)}
patches:
  - target: {{kind: Namespace}}
    patch: '[{{"op": "replace", "path": "/metadata/name", "value": "{namespace}"}}]'
  - target: {{kind: ConfigMap, name: forgery-bucket}}
    patch: '[{{"op": "replace", "path": "/data/AWS_ENDPOINT_URL", "value": "{endpoint}"}}]'
  - target: {{kind: Secret, name: forgery-bucket}}
    patch: |-
      - op: replace
        path: /metadata/annotations/serving.kserve.io~1s3-endpoint
        value: "{address}"
      - op: replace
        path: /stringData
        value:
          AWS_ACCESS_KEY_ID: "{os.environ["AWS_ACCESS_KEY_ID"]}"
          AWS_SECRET_ACCESS_KEY: "{os.environ["AWS_SECRET_ACCESS_KEY"]}"
  - target: {{kind: Deployment, name: mlflow}}
    patch: |-
      - op: replace
        path: /spec/template/spec/volumes/0
        value: {{name: data, emptyDir: {{}}}}
  - target: {{kind: PersistentVolumeClaim, name: mlflow}}
    patch: |-
      $patch: delete
      apiVersion: v1
      kind: PersistentVolumeClaim
      metadata: {{name: mlflow}}
"""
    )
    return folder


@dataclass(frozen=True)
class Place:
    """A namespace with the platform's serving side in it."""

    namespace: str
    overlay: Path
    bundles: str

    def service(self) -> KServeService:
        return connect(self.namespace, SERVICE)

    def apply(self) -> str:
        return kubectl("apply", "-k", str(self.overlay))

    def get(self, *arguments: str) -> dict[str, Any]:
        return fetch_json("--namespace", self.namespace, *arguments)

    def url(self) -> str:
        """The transformer's service by its cluster address: names are the cluster's own."""
        return f"http://{self.get('service', f'{SERVICE}-transformer')['spec']['clusterIP']}"


@pytest.fixture(scope="module")
def make_place(
    cluster: None, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Sequence[str]], Place]]:
    """The dev overlay, with components, applied in a new namespace; deleted after the module."""
    namespaces = []

    def make(components: Sequence[str] = ()) -> Place:
        namespace = f"forgery-test-{uuid.uuid4().hex[:6]}"
        place = Place(namespace, _overlay(tmp_path_factory.mktemp("overlay"), namespace, components), bucket)
        namespaces.append(namespace)
        place.apply()
        return place

    yield make
    for namespace in namespaces:
        kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def place(make_place: Callable[[], Place]) -> Place:
    return make_place()


@pytest.fixture
def put(place: Place) -> Callable[..., Revision]:
    """Deploy a bundle as a run of a name, expecting the state the service is in; without the golden check."""

    def run(bundle: Bundle, run_id: str = "", timeout_s: float = SERVED_WITHIN_S) -> Revision:
        service = place.service()
        return deploy(service, bundle, place.bundles, service.read(), 0.8, run_id, lambda _: None, timeout_s)

    return run


@pytest.fixture
def runs(place: Place) -> Iterator[str]:
    """A namespace for runs with the account, bound in the service's namespace, and the bucket's objects."""
    namespace = f"runs-test-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", namespace)
    _apply_to(namespace, kubectl("kustomize", str(REPOSITORY / "manifests/base/runs")))
    for kind, name in (("secret", BUCKET_SECRET), ("configmap", BUCKET_CONFIG)):
        found = place.get(kind, name)
        copy = {key: found[key] for key in ("apiVersion", "kind", "data")} | {"metadata": {"name": name}}
        kubectl("apply", "--namespace", namespace, "-f", "-", data=json.dumps(copy))
    binding = place.get("rolebinding", "forgery-rollout")
    binding["subjects"][0]["namespace"] = namespace
    kubectl("apply", "--namespace", place.namespace, "-f", "-", data=json.dumps(binding))
    yield namespace
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def apply_to() -> Callable[[str, str], None]:
    return _apply_to


def _apply_to(namespace: str, manifests: str) -> None:
    """Apply what is meant for Kubeflow's namespace to another."""
    moved = manifests.replace("namespace: kubeflow", f"namespace: {namespace}")
    kubectl("apply", "--namespace", namespace, "-f", "-", data=moved)
