"""Trainings that are killed and started again, against one that nobody disturbed."""

import hashlib
import json
import logging
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgery.s3 import s3_client
from forgery.training.checkpoints import Checkpoints, training_key

SCRIPT = Path(__file__).with_name("train_and_die.py")
# 64 maps: four steps an epoch. Streamed, so that the order of shards and the window are restored too.
STEPS = 4
OPTIONS = {"epochs": 4, "batch_size": 16, "patience": 4, "cache_mb": 0, "checkpoint_steps": 1, "crops": 0.2}


@dataclass(frozen=True)
class Process:
    status: int
    said: dict[str, Any]


def run(evidence: Path, out: Path, checkpoints: str, when: str = "", **training: Any) -> Process:
    config = {"tracking": "", "seed": 5, "checkpoints": checkpoints, "training": OPTIONS | training}
    command = [sys.executable, str(SCRIPT), str(evidence), str(out), json.dumps(config), when]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr[-3000:]
    return Process(done.returncode, json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {})


def content(draft: Path) -> dict[str, str]:
    files = sorted(path for path in draft.rglob("*") if path.is_file())
    return {str(path.relative_to(draft)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def undisturbed(evidence_set: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Process]:
    out = tmp_path_factory.mktemp("undisturbed") / "draft"
    return out, run(evidence_set.path, out, "")


@pytest.mark.slow
def test_a_killed_training_comes_to_the_same_weights_bit_by_bit(
    evidence_set: Any, in_packs: Any, undisturbed: Any, tmp_path: Path
) -> None:
    place, out = f"file://{tmp_path / 'checkpoints'}", tmp_path / "draft"
    packed = in_packs(evidence_set)  # where the maps lie changes nothing, not even from one process to the next
    for when, evidence in (
        ("+6", evidence_set),
        ("8", packed),
        (str(4 * STEPS), packed),
    ):  # within, after, before export
        assert run(evidence.path, out, place, when).status == -signal.SIGKILL
        assert not out.exists()
    done = run(packed.path, out, place)
    assert done.said["history"] == undisturbed[1].said["history"]
    assert content(out) == content(undisturbed[0])
    assert done.said["steps"] == 0
    assert not list((tmp_path / "checkpoints" / "training").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "checkpoints", "draft", "packed"]


@pytest.mark.slow
def test_a_killed_training_goes_on_from_a_bucket_and_loses_less_than_an_epoch(
    evidence_set: Any, undisturbed: Any, tmp_path: Path, s3_bucket: str
) -> None:
    place, out = f"s3://{s3_bucket}/deep", tmp_path / "draft"
    run(evidence_set.path, out, place, "+7", checkpoint_steps=0)
    kept = [str(each.object_name) for each in s3_client().list_objects(s3_bucket, recursive=True)]
    assert [name.rsplit("/", 1)[1] for name in kept] == ["000000000004.npz"]
    done = run(evidence_set.path, out, place, checkpoint_steps=0)
    assert done.said["steps"] == STEPS * 3
    assert done.said["history"] == undisturbed[1].said["history"]
    assert not list(s3_client().list_objects(s3_bucket, recursive=True))


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    kept = Checkpoints(str(tmp_path), "key")
    kept.write(7, {"network/0": np.arange(3, dtype=np.float32)}, '{"epoch": 2}')
    return kept


def test_a_checkpoint_comes_back_as_it_was(kept: Checkpoints) -> None:
    found = kept.read(kept.latest())
    assert found is not None
    assert found.progress == '{"epoch": 2}'
    np.testing.assert_array_equal(found.arrays["network/0"], [0, 1, 2])


def test_the_newest_alone_is_kept(kept: Checkpoints, tmp_path: Path) -> None:
    kept.write(12, {}, "")
    assert [path.name for path in (tmp_path / "training" / "key").iterdir()] == ["000000000012.npz"]


def test_one_of_several_workers_reads_and_never_writes(kept: Checkpoints, tmp_path: Path) -> None:
    other = Checkpoints(str(tmp_path), "key", writes=False)
    other.write(12, {}, "")
    other.clear()
    assert other.latest() == kept.latest() == 7


def test_a_damaged_checkpoint_costs_a_warning(
    kept: Checkpoints, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "training" / "key" / "000000000007.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING):
        assert kept.read(kept.latest()) is None
    assert "cannot be read, training starts anew" in caplog.text


def test_a_bucket_that_does_not_answer_costs_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    kept = Checkpoints("s3://nowhere/at-all", "key")
    kept.write(1, {}, "")
    assert kept.latest() == 0
    assert "no checkpoints are kept: AWS_ACCESS_KEY_ID is not set" in caplog.text


def test_other_data_or_options_are_another_training(make_evidence: Any) -> None:
    one, other = make_evidence(seed=0).path, make_evidence(seed=1, counts=(26, 12)).path
    keys = {training_key(one, {"seed": 0}), training_key(one, {"seed": 1}), training_key(other, {"seed": 0})}
    assert len(keys) == 3
    assert training_key(one, {"seed": 0}) in keys
