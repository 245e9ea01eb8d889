"""Every overlay passes a server-side dry run: schemas, admission and KServe's own webhooks."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.cluster

OVERLAYS = sorted((Path(__file__).parents[2] / "manifests/overlays").iterdir())


@pytest.fixture(scope="module")
def namespaces(cluster: None) -> Iterator[None]:
    """A dry run looks for namespaces that a real one would have made."""
    made = []
    for name in ("forgery", "kubeflow"):
        done = subprocess.run(["kubectl", "create", "namespace", name], capture_output=True, check=False)
        made += [name] if done.returncode == 0 else []
    yield
    for name in made:
        subprocess.run(["kubectl", "delete", "namespace", name, "--wait=false"], capture_output=True, check=False)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_the_api_server_takes_the_overlay(namespaces: None, overlay: Path) -> None:
    command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-k", str(overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = subprocess.run(["kubectl", "kustomize", str(overlay)], capture_output=True, text=True, check=True).stdout
    assert len(done.stdout.splitlines()) == len(list(yaml.safe_load_all(rendered)))


def test_a_service_that_the_webhook_refuses_is_refused(namespaces: None) -> None:
    """That the dry run above asks KServe's webhook, and not only the schema."""
    rendered = subprocess.run(["kubectl", "kustomize", str(OVERLAYS[0])], capture_output=True, text=True, check=True)
    (service,) = [
        document for document in yaml.safe_load_all(rendered.stdout) if document["kind"] == "InferenceService"
    ]
    service["spec"]["predictor"] |= {"minReplicas": 3, "maxReplicas": 1}
    command = ["kubectl", "apply", "--dry-run=server", "-f", "-"]
    done = subprocess.run(command, input=yaml.safe_dump(service), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "denied the request" in done.stderr


def _with(folder: Path, *components: str) -> Path:
    """The dev overlay's serving side with components."""
    shutil.copytree(OVERLAYS[0].parents[1], folder / "manifests")
    overlay = folder / "manifests/overlays/dev/serving/kustomization.yaml"
    added = yaml.safe_dump({"components": [f"../../../components/{name}" for name in components]})
    overlay.write_text(overlay.read_text() + added)
    return overlay.parent


@pytest.mark.parametrize(
    "components", [["autoscaling"], ["autoscaling-keda"], ["knative", "scale-to-zero"]], ids="+".join
)
def test_the_api_server_takes_every_way_of_scaling(
    namespaces: None, definitions: Callable[[str], None], tmp_path: Path, components: list[str]
) -> None:
    if "autoscaling-keda" in components:
        definitions("scaledobjects.keda.sh")
    command = ["kubectl", "apply", "--dry-run=server", "--validate=strict", "-k", str(_with(tmp_path, *components))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("scaledobject.keda.sh") == (2 if "autoscaling-keda" in components else 0)
