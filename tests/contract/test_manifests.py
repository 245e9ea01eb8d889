"""Facts about the rendered overlays that a cluster would only show later."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.envelope import TRAIN_IMAGE
from forgery.config import RunConfig
from forgery.monitoring.config import MonitoringConfig
from pipelines.pod import BUCKET_CONFIG, BUCKET_SECRET, POD_USER

MANIFESTS = Path(__file__).parents[2] / "manifests"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())
Objects = dict[tuple[str, str, str], dict[str, Any]]

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl, which has kustomize in it, is absent")


def render(folder: Path) -> Objects:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {
        (document["kind"], document["metadata"].get("namespace", ""), document["metadata"]["name"]): document
        for document in documents
    }


@pytest.fixture(scope="module", params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> Objects:
    return render(MANIFESTS / "overlays" / request.param)


@pytest.fixture
def service(objects: Objects) -> dict[str, Any]:
    namespace, _, name = RunConfig().service.removeprefix("kserve:").partition("/")
    return objects["InferenceService", namespace, name]


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    """Every pod spec that we write, by the object it comes from."""
    found = {}
    for (kind, _, name), document in objects.items():
        if kind in ("Deployment", "StatefulSet"):
            found[name] = document["spec"]["template"]["spec"]
        if kind == "InferenceService":
            found["transformer"] = document["spec"]["transformer"]
        if kind == "ServingRuntime":
            found["predictor"] = document["spec"]
    return found


def test_the_manifests_leave_the_model_to_the_pipeline(service: dict[str, Any]) -> None:
    assert "storageUri" not in service["spec"]["predictor"]["model"]


def test_the_pipelines_defaults_name_what_is_there(objects: Objects) -> None:
    assert ("Service", "forgery", "mlflow") in objects
    assert RunConfig().tracking == "http://mlflow.forgery:5000"
    for namespace in ("forgery", "kubeflow"):
        assert ("ConfigMap", namespace, BUCKET_CONFIG) in objects


def test_containers_are_locked_down(objects: Objects) -> None:
    for name, pod in pods(objects).items():
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"], name
            assert not security["allowPrivilegeEscalation"], name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "memory" in container["resources"]["limits"], name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name


def test_nobody_runs_as_root_or_holds_a_token(objects: Objects, service: dict[str, Any]) -> None:
    own = {name: pod for name, pod in pods(objects).items() if name not in ("predictor", "transformer")}
    for name, pod in (own | {key: service["spec"][key] for key in ("predictor", "transformer")}).items():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
    assert service["spec"]["predictor"]["securityContext"]["runAsUser"] == POD_USER


def test_images_cannot_be_somebody_elses(objects: Objects) -> None:
    images = {container["image"] for pod in pods(objects).values() for container in pod["containers"]}
    assert TRAIN_IMAGE in images
    for image in images:
        registry, _, rest = image.partition("/")
        assert registry == "localhost" or "." in registry, f"{image} names no registry"
        assert ":" in rest
        assert not image.endswith(":latest")


def test_a_rollout_loses_no_request(objects: Objects, service: dict[str, Any]) -> None:
    servers = [pods(objects)["predictor"]["containers"][0], pods(objects)["transformer"]["containers"][0]]
    for server, component in zip(servers, ("predictor", "transformer"), strict=True):
        sleep_s = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert 5 <= sleep_s < service["spec"][component]["terminationGracePeriodSeconds"]
        rolling = service["spec"][component]["deploymentStrategy"]["rollingUpdate"]
        assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, 1)
        assert server["readinessProbe"]["httpGet"]["path"].endswith("/ready")
        assert "--workers=1" in server["args"]


def test_the_predictors_first_port_is_the_hops(objects: Objects) -> None:
    assert pods(objects)["predictor"]["containers"][0]["ports"][0] == {
        "name": "h2c",
        "containerPort": 8081,
        "protocol": "TCP",
    }


def test_no_role_is_wider_than_a_name_where_names_are_known(objects: Objects) -> None:
    for (kind, _, name), document in objects.items():
        assert kind not in ("ClusterRole", "ClusterRoleBinding"), name
        for rule in document.get("rules", []) if kind == "Role" else []:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            if {"get", "patch"} & set(rule["verbs"]) and rule["resources"] != ["workflowtaskresults"]:
                assert rule["resourceNames"], rule


def test_artifacts_go_to_a_bucket_that_kserve_can_read(objects: Objects) -> None:
    launcher = objects["ConfigMap", "kubeflow", "kfp-launcher"]["data"]
    assert launcher["defaultPipelineRoot"].startswith("s3://")
    reference = yaml.safe_load(launcher["providers"])["s3"]["default"]["credentials"]["secretRef"]
    assert reference["secretName"] == BUCKET_SECRET


def test_production_carries_no_secret_and_spreads_its_replicas() -> None:
    objects = render(MANIFESTS / "overlays/production")
    assert not [key for key in objects if key[0] == "Secret"]
    service = objects["InferenceService", "forgery", "forgery"]["spec"]
    assert service["predictor"]["minReplicas"] == service["transformer"]["minReplicas"] == 2
    env = objects["Deployment", "forgery", "mlflow"]["spec"]["template"]["spec"]["containers"][0]["env"][0]
    assert env["valueFrom"]["secretKeyRef"]["name"] == "forgery-tracking-database"


def test_the_example_of_secrets_has_what_the_overlay_refers_to() -> None:
    text = (MANIFESTS / "overlays/production/secrets.example.yaml").read_text()
    secrets = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text)}
    annotations = secrets["forgery", BUCKET_SECRET]["metadata"]["annotations"]
    assert {name.rpartition("/")[2] for name in annotations} == {
        "s3-endpoint", "s3-usehttps", "s3-verifyssl", "s3-region"
    }  # fmt: skip
    assert ("kubeflow", BUCKET_SECRET) in secrets
    assert {"password", "uri"} == secrets["forgery", "forgery-tracking-database"]["stringData"].keys()


@pytest.fixture
def with_component(tmp_path: Path) -> Callable[..., Objects]:
    """The dev overlay's serving side with components; kustomize wants paths below a common folder."""

    def build(*names: str) -> Objects:
        shutil.copytree(MANIFESTS, tmp_path / "manifests")
        overlay = tmp_path / "manifests/overlays/dev/serving/kustomization.yaml"
        components = [f"../../../components/{name}" for name in names]
        overlay.write_text(overlay.read_text() + yaml.safe_dump({"components": components}))
        return render(overlay.parent)

    return build


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_can_be_added_to_dev(component: str, with_component: Callable[[str], Objects]) -> None:
    assert ("InferenceService", "forgery", "forgery") in with_component(component)


def test_knative_has_one_port_a_component(with_component: Callable[[str], Objects]) -> None:
    objects = with_component("knative")
    service = objects["InferenceService", "forgery", "forgery"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    assert len(service["spec"]["transformer"]["containers"][0]["ports"]) == 1
    assert not [key for key in objects if key[0] == "PodDisruptionBudget"]


def test_knative_is_given_nothing_that_it_refuses(with_component: Callable[[str], Objects]) -> None:
    objects = with_component("knative")
    (server,) = objects["ServingRuntime", "forgery", "forgery-tensorflow"]["spec"]["containers"]
    service = objects["InferenceService", "forgery", "forgery"]["spec"]
    (door,) = service["transformer"]["containers"]
    assert not any("securityContext" in service[component] for component in ("predictor", "transformer"))
    for container in (server, door):
        user = container["securityContext"]
        assert (user["runAsNonRoot"], user["runAsUser"]) == (True, 10001)
        assert not [each for each in container.get("env", []) if "fieldRef" in each.get("valueFrom", {})]
    # Knative moves an HTTP probe to the container's port, and the predictor's speaks gRPC.
    assert set(server["livenessProbe"]) - {"periodSeconds", "timeoutSeconds", "failureThreshold"} == {"tcpSocket"}


def test_requests_inside_scale_the_components_apart(with_component: Callable[..., Objects]) -> None:
    from serving.metrics import INSIDE

    objects = with_component("autoscaling-keda")
    service = objects["InferenceService", "forgery", "forgery"]
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
    for component in ("transformer", "predictor"):
        scaled = objects["ScaledObject", "forgery", f"forgery-{component}"]["spec"]
        assert scaled["scaleTargetRef"]["name"] == f"forgery-{component}"  # KServe's Deployment of that component
        (trigger,) = scaled["triggers"]
        (metric,) = INSIDE.describe()
        assert trigger["metadata"]["query"] == f'sum({metric.name}{{namespace="forgery", component="{component}"}})'
        drained_s = service["spec"][component]["terminationGracePeriodSeconds"]
        (slowly,) = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["policies"]
        assert (slowly["type"], slowly["value"]) == ("Pods", 1)
        assert slowly["periodSeconds"] >= drained_s  # one has ended before the next one goes


def test_nobody_waits_for_nobody(with_component: Callable[..., Objects]) -> None:
    service = with_component("knative", "scale-to-zero")["InferenceService", "forgery", "forgery"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    for component in ("transformer", "predictor"):
        spec = service["spec"][component]
        assert (spec["minReplicas"], spec["scaleMetric"]) == (0, "concurrency")
        assert spec["maxReplicas"] > 1


def test_the_gateway_opens_the_service_to_the_outside(with_component: Callable[[str], Objects]) -> None:
    service = with_component("gateway")["InferenceService", "forgery", "forgery"]
    assert "networking.kserve.io/visibility" not in service["metadata"].get("labels", {})
    assert [port["name"] for port in service["spec"]["transformer"]["containers"][0]["ports"]] == ["http1", "grpc-port"]


def test_images_can_be_named_by_digest_in_one_place(tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    overlay = tmp_path / "manifests/overlays/production/serving/kustomization.yaml"
    names, digest = ("transformer", "predictor", "train-python"), "sha256:" + "0" * 64
    entries = [
        {"name": f"localhost/forgery/{name}", "newName": f"registry.example/{name}", "digest": digest} for name in names
    ]
    overlay.write_text(overlay.read_text() + yaml.safe_dump({"images": entries}))
    images = {container["image"] for pod in pods(render(overlay.parent)).values() for container in pod["containers"]}
    assert {f"registry.example/{name}@{digest}" for name in names} <= images
    assert not [image for image in images if image.startswith("localhost/")]


def test_the_page_asks_the_transformer_and_calls_nobody_else(with_component: Callable[[str], Objects]) -> None:
    objects = with_component("ui")
    (container,) = objects["Deployment", "forgery", "forgery-ui"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "FORGERY_URL", "value": "http://forgery-transformer"} in container["env"]
    allowed = objects["NetworkPolicy", "forgery", "forgery-ui"]["spec"]["egress"][0]["to"][0]["podSelector"]
    assert (
        allowed["matchLabels"]
        == objects["NetworkPolicy", "forgery", "forgery-transformer"]["spec"]["podSelector"]["matchLabels"]
    )
    test_containers_are_locked_down(objects)


def test_the_key_of_the_bucket_is_with_what_ships_and_not_with_what_decodes(
    with_component: Callable[[str], Objects],
) -> None:
    objects = with_component("payload-log")
    decoder, shipper = objects["InferenceService", "forgery", "forgery"]["spec"]["transformer"]["containers"]
    assert [each["name"] for each in decoder["env"]] == ["FORGERY_PAYLOAD_LOG"]
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= {each["name"] for each in shipper["env"]}
    assert shipper["image"] == TRAIN_IMAGE
    folder, target, _ = shipper["args"]
    assert (folder, target) == (decoder["env"][0]["value"], MonitoringConfig().payloads)
    test_containers_are_locked_down(objects)


def test_the_runs_account_may_make_a_training_job_where_workers_are_added(tmp_path: Path) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    overlay = tmp_path / "manifests/overlays/dev/runs/kustomization.yaml"
    overlay.write_text(overlay.read_text() + "components: [../../../components/workers]\n")
    objects = render(overlay.parent)
    rules = objects["Role", "kubeflow", "forgery-workers"]["rules"]
    assert {"apiGroups": ["kubeflow.org"], "resources": ["tfjobs"], "verbs": ["get", "create", "delete"]} in rules
    (subject,) = objects["RoleBinding", "kubeflow", "forgery-workers"]["subjects"]
    assert ("ServiceAccount", "kubeflow", subject["name"]) in objects
