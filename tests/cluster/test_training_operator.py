"""Training by two workers under Kubeflow's training operator itself; skipped where a cluster does not run it."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_commands import fetch_json, kubectl
from compiled_tasks import task_containers
from step_pods import container_log, ended, start

from forgery.config import RunConfig
from forgery.errors import TrainingFailed
from forgery.jobs.follow import run_job
from forgery.jobs.kubeflow import KubeflowJobs
from forgery.jobs.manifest import training_job
from forgery.rollout.cluster import connect_cluster
from pipelines.compile import COMPILED

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

WORKERS = Path(__file__).parents[2] / "manifests/components/workers/roles.yaml"
EPOCHS = 12


@pytest.fixture
def namespace(runs: str, operated: bool, apply_to: Callable[[str, str], None]) -> str:
    """A namespace for runs whose account may have workers."""
    if not operated:
        pytest.skip("no training operator in the cluster")
    apply_to(runs, WORKERS.read_text())
    return runs


def train(place: Any, namespace: str, **training: Any) -> None:
    """Start the tasks of the compiled pipeline up to the training, with the YAML's images and commands."""
    config = RunConfig.read(
        {
            "source": "demo:120",
            "recipe": "ela1_q90_gain15_32_bilinear",
            "backbone": "cnn",
            "variants": [],
            "training": {"epochs": EPOCHS, "patience": EPOCHS, "batch_size": 16} | training,
            "data": {"min_class_pictures": 5},
            "checkpoints": f"{place.bundles}/checkpoints-{uuid.uuid4().hex[:6]}",
            "service": f"kserve:{place.namespace}/forgery",
            "workers": 2,
            "tracking": "",
        }
    )
    containers = task_containers(COMPILED / "training.yaml", config.model_dump())
    names = [each["name"] for each in containers]
    containers = containers[: names.index("train") + 1]
    containers[-1]["name"] = "main"  # as Argo calls it
    start(namespace, containers)


def wait_until_said(namespace: str, wanted: str, timeout_s: float = 400) -> None:
    """What the training step says, its first worker's lines among it."""
    ends = time.monotonic() + timeout_s
    while wanted not in (log := container_log(namespace, "main")):
        assert ended(namespace, timeout_s=1) not in ("Succeeded", "Failed"), log
        assert time.monotonic() < ends, log


def worker_pods(namespace: str) -> list[str]:
    pods = fetch_json("pods", "--namespace", namespace, "--selector", "training.kubeflow.org/replica-type=worker")
    return sorted(each["metadata"]["name"] for each in pods["items"])


def test_two_workers_train_and_a_lost_one_comes_back(place: Any, namespace: str) -> None:
    train(place, namespace)
    wait_until_said(namespace, "epoch 2:")
    first, second = worker_pods(namespace)
    assert (first[-9:], second[-9:]) == ("-worker-0", "-worker-1")
    kubectl("delete", "pod", second, "--namespace", namespace, "--grace-period=0", "--force")
    phase, log = ended(namespace, timeout_s=400), container_log(namespace, "main")
    assert phase == "Succeeded", log
    assert "going on from" in log
    assert f"epoch {EPOCHS}:" in log
    assert f"epoch {EPOCHS + 1}:" not in log
    # The step has removed the job, and the operator its pods.
    kubectl("wait", "--for=delete", f"pod/{first}", f"pod/{second}", "--namespace", namespace, "--timeout=60s")
    assert not fetch_json("tfjobs", "--namespace", namespace)["items"]


def test_what_no_restart_mends_ends_the_job_with_the_workers_words(place: Any, namespace: str) -> None:
    train(place, namespace, learning_rate=1e30)
    phase, log = ended(namespace, timeout_s=400), container_log(namespace, "main")
    assert phase == "Failed", log
    assert "lower training.learning_rate" in log
    assert not fetch_json("tfjobs", "--namespace", namespace)["items"]


def test_a_job_that_had_failed_is_begun_anew(namespace: str) -> None:
    jobs = KubeflowJobs(connect_cluster(), namespace)
    step_pod = {"spec": {"containers": [{"name": "main", "image": "localhost/forgery/train-python:0.1.0"}]}}
    code = "import json, os; print('worker', json.loads(os.environ['TF_CONFIG'])['task']); {}"

    def job(end: str) -> dict[str, Any]:
        made = training_job("forgery-train-again", 2, ["python3", "-c", code.format(end)], step_pod)
        made["spec"]["tfReplicaSpecs"]["Worker"]["restartPolicy"] = "Never"
        return made

    with pytest.raises(TrainingFailed, match=r"forgery-train-again failed: .*Worker replica\(s\) failed"):
        run_job(jobs, job("raise SystemExit(3)"), poll_s=0.5)
    run_job(jobs, job(""), poll_s=0.5)
    assert any("'index': 0" in line for line in jobs.chief_log("forgery-train-again", ""))
