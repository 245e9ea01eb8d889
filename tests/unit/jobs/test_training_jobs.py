"""The job of a training with several workers: its manifest, its adapter, and how a step follows it."""

import logging
from typing import Any

import pytest

from forgery.errors import ServiceUnavailable, TrainingFailed
from forgery.jobs.follow import run_job
from forgery.jobs.kubeflow import KubeflowJobs, connect_jobs
from forgery.jobs.manifest import training_job
from forgery.jobs.port import JobStatus
from forgery.rollout.cluster import Refused

STEP_POD = {
    "spec": {
        "serviceAccountName": "forgery-pipeline",
        "nodeName": "node-3",
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "containers": [
            {"name": "wait", "image": "argoexec"},
            {
                "name": "main",
                "image": "localhost/forgery/train-python:0.1.0",
                "command": ["/var/run/argo/argoexec"],
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
                "securityContext": {"runAsNonRoot": True, "runAsUser": 10001},
                "env": [
                    {"name": "KFP_POD_NAME", "value": "x"},
                    {
                        "name": "AWS_ACCESS_KEY_ID",
                        "valueFrom": {"secretKeyRef": {"name": "forgery-bucket", "key": "k"}},
                    },
                ],
                "volumeMounts": [{"name": "kfp-launcher", "mountPath": "/kfp-launcher"}],
            },
        ],
    }
}
JOB = training_job("forgery-train-abc", 3, ["python", "-m", "x"], STEP_POD)


def test_workers_are_the_steps_pod_once_more() -> None:
    worker = JOB["spec"]["tfReplicaSpecs"]["Worker"]
    pod = worker["template"]["spec"]
    (container,) = pod["containers"]
    assert worker["replicas"] == 3
    assert container["name"] == "tensorflow"
    assert container["image"] == "localhost/forgery/train-python:0.1.0"
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert [each["name"] for each in container["env"]] == ["AWS_ACCESS_KEY_ID"]
    assert container["command"] == ["python", "-m", "x"]
    assert pod["tolerations"] == STEP_POD["spec"]["tolerations"]
    assert "nodeName" not in pod
    assert pod["automountServiceAccountToken"] is False


def test_a_pod_that_is_no_steps_is_refused() -> None:
    with pytest.raises(ServiceUnavailable, match="no container 'main'"):
        training_job("x", 2, [], {"spec": {"containers": [{"name": "shell"}]}})


class Jobs:
    """Jobs by hand: statuses come one after the other, the last one stays."""

    def __init__(self, *statuses: JobStatus | None, there: bool = False) -> None:
        self.statuses, self.there = list(statuses), there
        self.did: list[str] = []

    def own_pod(self) -> dict[str, Any]:
        return STEP_POD

    def create(self, job: Any) -> bool:
        self.did.append("create")
        return not self.there

    def status(self, name: str) -> JobStatus | None:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def chief_log(self, name: str, since: str) -> list[str]:
        lines = ['2026-01-01T00:00:01Z {"level": "info", "message": "epoch 1"}', "2026-01-01T00:00:02Z E0000 [7]"]
        return [line for line in lines if line > since]

    def delete(self, name: str) -> None:
        self.did.append("delete")


RUNNING, DONE, FAILED = JobStatus("running"), JobStatus("succeeded"), JobStatus("failed", "backoff limit exceeded")


def test_a_job_is_created_and_followed_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    jobs = Jobs(None, RUNNING, RUNNING, DONE)
    with caplog.at_level(logging.INFO):
        run_job(jobs, JOB, poll_s=0)
    assert jobs.did == ["create"]
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if line.startswith("worker 0")] == ["worker 0: epoch 1", "worker 0: E0000 [7]"]


def test_a_step_that_is_tried_again_follows_the_job_that_runs() -> None:
    jobs = Jobs(RUNNING, RUNNING, DONE, there=True)
    run_job(jobs, JOB, poll_s=0)
    assert "delete" not in jobs.did


def test_a_job_that_failed_before_is_begun_anew() -> None:
    jobs = Jobs(FAILED, RUNNING, None, RUNNING, DONE)
    run_job(jobs, JOB, poll_s=0)
    assert jobs.did == ["delete", "create"]


@pytest.mark.parametrize(
    ("statuses", "message"),
    [([None, RUNNING, FAILED], "failed: backoff limit exceeded"), ([None, RUNNING, None], "was removed")],
)
def test_a_job_that_fails_or_vanishes_fails_the_step(statuses: list[JobStatus | None], message: str) -> None:
    with pytest.raises(TrainingFailed, match=message):
        run_job(Jobs(*statuses), JOB, poll_s=0)


def test_what_a_worker_says_ends_the_job_at_once() -> None:
    jobs = Jobs(None, RUNNING)
    with pytest.raises(TrainingFailed, match="lower the rate"):
        run_job(jobs, JOB, lambda: "lower the rate", poll_s=0)
    assert jobs.did == ["create", "delete"]


class Api:
    """Answers by method and path; an int is a refusal."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def request(self, method: str, path: str, body: object = None, query: Any = None) -> Any:
        answer = self.answers[f"{method}_{path.rsplit('/', 1)[1].replace('-', '_')}"]
        if isinstance(answer, int):
            raise Refused(answer, "no")
        return answer


def jobs_of(**answers: Any) -> KubeflowJobs:
    return KubeflowJobs(Api(**answers), "runs")  # type: ignore[arg-type]


def test_creating_what_is_there_says_so() -> None:
    assert jobs_of(POST_tfjobs={}).create(JOB)
    assert not jobs_of(POST_tfjobs=409).create(JOB)


def test_a_cluster_without_the_operator_is_told() -> None:
    with pytest.raises(ServiceUnavailable, match="install Kubeflow's training operator, or set workers=1"):
        jobs_of(POST_tfjobs=404).create(JOB)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "waiting"),
        ([("Created", "True")], "waiting"),
        ([("Created", "True"), ("Running", "True")], "running"),
        ([("Created", "True"), ("Running", "False"), ("Restarting", "True")], "waiting"),
        ([("Created", "True"), ("Running", "False"), ("Succeeded", "True")], "succeeded"),
        ([("Created", "True"), ("Running", "False"), ("Failed", "True")], "failed"),
    ],
)
def test_a_jobs_state_is_that_of_its_conditions(conditions: list[tuple[str, str]], expected: str) -> None:
    status = {"conditions": [{"type": kind, "status": holds, "message": kind} for kind, holds in conditions]}
    found = jobs_of(GET_a={"status": status}).status("a")
    assert found is not None
    assert found.state == expected


def test_no_job_has_no_state_and_needs_no_removal() -> None:
    assert jobs_of(GET_a=404).status("a") is None
    jobs_of(DELETE_a=404).delete("a")


def test_lines_come_once() -> None:
    log = "2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:02.5Z two\n"
    jobs = jobs_of(GET_log=log)
    assert jobs.chief_log("a", "") == log.splitlines()
    assert jobs.chief_log("a", "2026-01-01T00:00:01.5Z one") == ["2026-01-01T00:00:02.5Z two"]
    assert jobs_of(GET_log=400).chief_log("a", "") == []


def test_outside_of_a_cluster_several_workers_are_refused() -> None:
    with pytest.raises(ServiceUnavailable, match="here set workers=1"):
        connect_jobs()
