"""Two processes that train together over gRPC on this machine, against one with the same batches in all."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forgery.config import RunConfig
from forgery.engine import Engine
from forgery.errors import InvalidConfig
from forgery.golden import check_golden
from forgery.training.export import read_draft
from forgery.training.map_split import Piece, deal, open_split
from forgery.training.reading import encoded
from forgery.training.train import train
from forgery.training.workers import alone, join_workers
from serving.sockets import free_ports

SCRIPT = Path(__file__).with_name("train_as_worker.py")
OPTIONS = {"epochs": 6, "batch_size": 16, "patience": 6, "learning_rate": 5e-4}


def settings(**changes: Any) -> dict[str, Any]:
    return {"tracking": "", "checkpoints": "", "seed": 5, "training": OPTIONS} | changes


@contextlib.contextmanager
def workers(evidence: Path, folder: Path, config: dict[str, Any]) -> Iterator[list["subprocess.Popen[str]"]]:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    with contextlib.ExitStack() as stack:
        started = []
        for index in range(2):
            variables = {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
            command = [sys.executable, str(SCRIPT), str(evidence), str(folder / f"draft-{index}"), json.dumps(config)]
            log = stack.enter_context((folder / f"worker-{index}.log").open("w"))
            process = subprocess.Popen(
                command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=log, text=True
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(process)
        yield started


@pytest.mark.slow
def test_two_workers_learn_as_one_does(make_evidence: Any, tmp_path: Path) -> None:
    evidence = make_evidence(counts=(192, 32), shards=4)  # 48 maps a shard: as many steps for one as for two
    one = train(evidence.path, tmp_path / "one", RunConfig.read(settings()), None, "run").history
    with workers(evidence.path, tmp_path, settings()) as started:
        two = json.loads(started[0].communicate(timeout=300)[0].splitlines()[-1])
        assert [process.wait(60) for process in started] == [0, 0], (tmp_path / "worker-1.log").read_text()[-2000:]
    assert len(two["loss"]) == len(one["loss"])
    # Their batches are of other maps, and batch norm sees half of each: the curves are alike, not equal.
    np.testing.assert_allclose(two["loss"], one["loss"], atol=0.08)
    assert two["val_loss"][-1] == pytest.approx(one["val_loss"][-1], abs=0.08)
    assert two["val_auc"][-1] > 0.95
    draft = read_draft(tmp_path / "draft-0")
    check_golden(draft, Engine(draft))
    assert not (tmp_path / "draft-1").exists()  # the chief alone writes


def twins(evidence: Any) -> Path:
    """The same maps once more: a second shard for a second worker, whose gradients are then the first one's."""
    path = evidence.path
    rows = [json.loads(line) for line in (path / "index.jsonl").read_text().splitlines()]
    copies = [row | {"shard": row["shard"].replace("00000", "00001")} for row in rows]
    for shard in list((path / "shards").iterdir()):
        shutil.copy(shard, shard.with_name(shard.name.replace("00000", "00001")))
    (path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows + copies))
    return Path(path)


@pytest.mark.slow
def test_workers_that_are_killed_go_on_and_end_with_the_weights_of_one(make_evidence: Any, tmp_path: Path) -> None:
    half = settings(training=OPTIONS | {"batch_size": 8})
    single = make_evidence(counts=(48, 24), shards=1)
    one = train(single.path, tmp_path / "one", RunConfig.read(half), None, "run").history
    both, config = twins(single), settings(checkpoints=f"file://{tmp_path / 'kept'}")
    with workers(both, tmp_path, config) as started:
        wait_for("epoch 3:", tmp_path / "worker-0.log")
        for process in started:
            os.kill(process.pid, signal.SIGKILL)
    with workers(both, tmp_path, config) as started:
        again = json.loads(started[0].communicate(timeout=300)[0].splitlines()[-1])
        assert [process.wait(60) for process in started] == [0, 0]
    assert all("going on from" in (tmp_path / f"worker-{index}.log").read_text() for index in range(2))
    for name in ("loss", "val_loss", "auc"):
        np.testing.assert_allclose(again[name], one[name], rtol=2e-3, atol=2e-5, err_msg=name)
    assert not list((tmp_path / "kept" / "training").iterdir())


def wait_for(text: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_map_is_one_workers(make_evidence: Any, workers: int) -> None:
    evidence = make_evidence(shards=5)
    parts = [open_split(evidence.path, "train", index, workers) for index in range(workers)]
    names = [shard.content.name for part in parts for shard in part.shards]
    assert sorted(names) == [f"train-{number:05d}.tar" for number in range(5)]
    assert {part.counts for part in parts} == {(12, 12)}
    assert {part.most for part in parts} == {max(len(part.labels) for part in parts)}


def test_shards_are_dealt_by_their_maps() -> None:
    assert deal({"a": 10, "b": 9, "c": 8, "d": 1}, 2) == [[Piece("a"), Piece("d")], [Piece("b"), Piece("c")]]


def test_shards_larger_than_a_workers_share_are_cut() -> None:
    assert deal({"a": 9}, 2) == [[Piece("a", 0, 2)], [Piece("a", 1, 2)]]
    assert deal({"a": 5000, "b": 10}, 2) == [[Piece("a", 0, 2), Piece("b")], [Piece("a", 1, 2)]]
    assert deal({"a": 9, "b": 4}, 3) == [[Piece("b")], [Piece("a", 0, 3), Piece("a", 2, 3)], [Piece("a", 1, 3)]]
    assert deal({"a": 1}, 2) == [[Piece("a")], []]


@pytest.mark.parametrize("where", ["in files", "in packs"])
def test_one_shard_is_shared_with_each_class_evenly(make_evidence: Any, in_packs: Any, where: str) -> None:
    evidence = make_evidence(counts=(24, 12), shards=1)
    if where == "in packs":
        evidence = in_packs(evidence)
    alone, *parts = [open_split(evidence.path, "train", *share) for share in ((0, 1), (0, 3), (1, 3), (2, 3))]
    assert [(len(part.labels), int(part.labels.sum())) for part in parts] == [(8, 4)] * 3
    pngs = [png for part in parts for png, _ in encoded(part).as_numpy_iterator()]
    assert sorted(pngs) == sorted(png for png, _ in encoded(alone).as_numpy_iterator())


def test_more_workers_than_maps_are_refused(make_evidence: Any) -> None:
    evidence = make_evidence(counts=(24, 4), shards=1)
    with pytest.raises(InvalidConfig, match="workers is 5, and the validation split has 4 maps"):
        open_split(evidence.path, "validation", 0, 5)


@pytest.mark.parametrize("cluster", ["", '{"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"index": 0}}'])
def test_a_single_worker_needs_no_strategy(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", cluster)
    assert join_workers() == alone()


def test_clusters_of_another_kind_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"ps": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "ps"}}')
    with pytest.raises(InvalidConfig, match="must name workers alone"):
        join_workers()
