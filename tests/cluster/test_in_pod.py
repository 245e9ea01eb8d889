"""A rollback as a pipeline's step does it: in a pod, on the training image, with the account's rights alone."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from compiled_tasks import task_containers
from step_pods import container_log, ended, start

from components.envelope import TRAIN_IMAGE
from forgery.bundle import Bundle
from forgery.config import RunConfig
from forgery.rollout.port import Revision
from pipelines.compile import COMPILED

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

STEP = """
from forgery.steps import step
from forgery.steps.rollback import rollback
with step("rollback"):
    print(rollback("kserve:{namespace}/forgery", 0, "", "in-a-pod"))
"""


def test_a_step_in_a_pod_rolls_back(
    place: Any, runs: str, put: Callable[..., Revision], make_bundle: Callable[..., Bundle]
) -> None:
    first = put(make_bundle(bias=0.0, seed=0), "a")
    put(make_bundle(bias=2.0, seed=2), "c")
    code = STEP.format(namespace=place.namespace)
    container = {"name": "main", "image": TRAIN_IMAGE, "command": ["python3", "-c", code]}
    start(runs, [container])
    phase = ended(runs)
    log = container_log(runs, "main")
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
    start(runs, containers)
    phase = ended(runs, timeout_s=600)
    logs = {name: container_log(runs, name) for name in (each["name"] for each in containers)}
    assert phase == "Succeeded", "\n".join(f"== {name}\n{log[-2000:]}" for name, log in logs.items())
    newest = place.service().history()[-1]
    assert newest.storage_uri == place.service().read().storage_uri
    served = httpx.get(f"{place.url()}/v2/models/forgery", timeout=10).json()
    assert newest.model_version in served["versions"]
