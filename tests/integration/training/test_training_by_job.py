"""The training step with two workers, from end to end: the operator's part is played by processes on this machine."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from forgery.config import RunConfig
from forgery.engine import Engine
from forgery.errors import InvalidConfig, TrainingFailed
from forgery.golden import check_golden
from forgery.jobs.port import JobStatus
from forgery.jobs.training import train_by_job
from forgery.training.export import read_draft
from serving.sockets import free_ports

POD = {"spec": {"containers": [{"name": "main", "image": "train"}]}}


class Operator:
    """Starts the processes that a TFJob's pods would be, once."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.processes: list[subprocess.Popen[bytes]] = []
        self.deleted = False

    def own_pod(self) -> dict[str, Any]:
        return POD

    def create(self, job: Any) -> bool:
        spec = job["spec"]["tfReplicaSpecs"]["Worker"]
        command = spec["template"]["spec"]["containers"][0]["command"]
        addresses = [f"127.0.0.1:{port}" for port in free_ports(spec["replicas"])]
        for index in range(spec["replicas"]):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            with (self._log.parent / f"{index}.log").open("wb") as log:
                variables = os.environ | {"TF_CONFIG": json.dumps(config)}
                self.processes.append(subprocess.Popen(command, env=variables, stderr=log))
        return True

    def status(self, name: str) -> JobStatus | None:
        if not self.processes:
            return None
        codes = [process.poll() for process in self.processes]
        if any(codes):
            return JobStatus("failed", f"exit codes {codes}")
        return JobStatus("running" if codes[0] is None else "succeeded")

    def chief_log(self, name: str, since: str) -> list[str]:
        return []

    def delete(self, name: str) -> None:
        self.deleted = True
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def operator(tmp_path: Path) -> Any:
    operator = Operator(tmp_path / "logs" / "x")
    (tmp_path / "logs").mkdir()
    yield operator
    operator.delete("")


def config(tmp_path: Path, **training: Any) -> RunConfig:
    training = {"epochs": 3, "batch_size": 16} | training
    return RunConfig.read(
        {"tracking": "", "checkpoints": f"file://{tmp_path}/kept", "workers": 2, "training": training}
    )


@pytest.mark.slow
def test_the_step_brings_back_what_two_workers_have_learnt(
    evidence_set: Any, in_packs: Any, operator: Any, tmp_path: Path
) -> None:
    out, logs = tmp_path / "draft", tmp_path / "events"
    result = train_by_job(operator, in_packs(evidence_set).path, out, config(tmp_path), None, "run-7", logs, poll_s=0.2)
    assert result.epochs == 3
    draft = read_draft(out)
    check_golden(draft, Engine(draft))
    assert draft.info.lineage.run_id == "run-7"
    assert (logs / "validation").is_dir()
    assert operator.deleted
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_worker_that_refuses_says_why_in_the_step(evidence_set: Any, operator: Any, tmp_path: Path) -> None:
    wrong = config(tmp_path, learning_rate=1e30)
    with pytest.raises(TrainingFailed, match=r"lower training\.learning_rate"):
        train_by_job(operator, evidence_set.path, tmp_path / "x", wrong, None, "run", tmp_path / "events", poll_s=0.2)
    assert operator.deleted


def test_workers_need_a_place_to_meet_and_a_batch_to_share(evidence_set: Any, operator: Any, tmp_path: Path) -> None:
    for wrong, message in (
        (config(tmp_path).model_copy(update={"checkpoints": ""}), "name one, or workers=1"),
        (config(tmp_path, batch_size=15), "15 is no multiple of 2"),
    ):
        with pytest.raises(InvalidConfig, match=message):
            train_by_job(operator, evidence_set.path, tmp_path / "x", wrong, None, "run", tmp_path / "events")
    assert not operator.processes
