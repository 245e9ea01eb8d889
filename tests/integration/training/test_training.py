import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from forgery.bundle import Bundle, seal
from forgery.config import RunConfig
from forgery.engine import Engine
from forgery.errors import InvalidConfig, SourceError, TrainingFailed
from forgery.golden import check_golden
from forgery.training.export import read_draft
from forgery.training.result import TrainingResult
from forgery.training.train import train

CONFIG = {
    "training": {"epochs": 12, "batch_size": 16, "patience": 12, "objective": "false_alarm:0.1"},
    "tracking": "",
    "checkpoints": "",
    "seed": 5,
}


def config(**training: Any) -> RunConfig:
    return RunConfig.read(CONFIG | {"training": CONFIG["training"] | training})  # type: ignore[operator]


@pytest.fixture(scope="module")
def trained(evidence_set: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult]:
    folder = tmp_path_factory.mktemp("trained")
    return folder / "draft", train(evidence_set.path, folder / "draft", config(), None, "run-1", folder / "logs")


@pytest.fixture(scope="module")
def champion(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    import shutil

    folder = tmp_path_factory.mktemp("champion") / "bundle"
    shutil.copytree(trained[0], folder)
    (folder / "draft.json").unlink()
    return seal(folder, read_draft(trained[0]).info)


def test_training_learns_to_tell_the_classes_apart(trained: Any, evidence_set: Any) -> None:
    draft, result = trained
    assert result.validation["roc_auc"] > 0.95
    assert result.history["val_loss"][result.best_epoch - 1] == min(result.history["val_loss"])
    scores = Engine(read_draft(draft)).predict(evidence_set.maps["validation"])["probability_forged"]
    forged = np.array(evidence_set.labels["validation"], bool)
    assert scores[forged].mean() > scores[~forged].mean() + 0.5


def test_a_draft_says_where_it_comes_from_and_proves_itself(trained: Any) -> None:
    draft = read_draft(trained[0])
    assert draft.info.lineage.run_id == "run-1"
    assert draft.info.lineage.dataset_digest == "d" * 64
    assert draft.info.lineage.config["training"]["epochs"] == 12
    assert draft.info.metrics == {}
    check_golden(draft, Engine(draft))
    kept = ["draft.json", "golden", "model.keras", "model.tflite", "saved_model"]
    assert sorted(path.name for path in draft.path.iterdir()) == kept


def test_the_saved_threshold_and_temperature_are_those_that_were_measured(trained: Any, evidence_set: Any) -> None:
    draft, result = read_draft(trained[0]), trained[1]
    scores = Engine(draft).predict(evidence_set.maps["validation"])["probability_forged"]
    forged = np.array(evidence_set.labels["validation"], bool)
    accuracy = float(np.mean((scores >= draft.info.decision.threshold) == forged))
    assert accuracy == pytest.approx(result.validation["accuracy"])
    assert draft.info.temperature == result.temperature


def test_the_threshold_is_chosen_by_the_objective_asked_for(trained: Any, evidence_set: Any) -> None:
    rule = read_draft(trained[0]).info.decision
    scores = Engine(read_draft(trained[0])).predict(evidence_set.maps["validation"])["probability_forged"]
    authentic = ~np.array(evidence_set.labels["validation"], bool)
    assert rule.objective == "false_alarm:0.1"
    assert np.mean(scores[authentic] >= rule.threshold) <= 0.1
    assert rule.coverage is not None
    assert rule.risk is not None


def test_equal_seeds_give_equal_weights(trained: Any, evidence_set: Any, tmp_path: Path) -> None:
    train(evidence_set.path, tmp_path / "again", config(), None, "run-1")
    # The SavedModel's functions are numbered per process, so its bytes agree between processes alone.
    for name in ("model.keras", "golden/golden.json", "draft.json"):
        assert (tmp_path / "again" / name).read_bytes() == (trained[0] / name).read_bytes()


def test_streamed_maps_and_no_champion_to_go_on_from(evidence_set: Any, tmp_path: Path) -> None:
    options = config(cache_mb=0, continue_from_champion=True)
    assert train(evidence_set.path, tmp_path / "out", options, None, "r").validation["roc_auc"] > 0.9
    assert read_draft(tmp_path / "out").info.lineage.continued_from is None


def test_tensorboard_events_hold_every_epoch(trained: Any) -> None:
    from tensorflow.core.util.event_pb2 import Event

    files = list((trained[0].parent / "logs" / "validation").iterdir())
    events = [Event.FromString(raw.numpy()) for raw in tf.data.TFRecordDataset([str(file) for file in files])]
    losses = {
        event.step: value.simple_value for event in events for value in event.summary.value if value.tag == "loss"
    }
    np.testing.assert_allclose([losses[step] for step in sorted(losses)], trained[1].history["val_loss"], rtol=1e-6)


def test_curves_are_one_page_that_loads_nothing(trained: Any) -> None:
    page = trained[1].curves_html()
    assert page.count("<svg") >= 3
    assert "best epoch" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert json.dumps(trained[1].to_dict())


def test_training_goes_on_from_the_champion(champion: Bundle, evidence_set: Any, tmp_path: Path) -> None:
    options = config(continue_from_champion=True, epochs=1)
    result = train(evidence_set.path, tmp_path / "out", options, champion, "run-2")
    assert result.validation["roc_auc"] > 0.95  # one epoch from scratch does not come near
    assert read_draft(tmp_path / "out").info.lineage.continued_from == champion.digest


@pytest.mark.parametrize("field", ["recipe", "backbone"])
def test_a_champion_of_another_kind_is_no_start(
    make_bundle: Any, evidence_set: Any, tmp_path: Path, field: str
) -> None:
    bundle = make_bundle()
    other = {"recipe": "ela1_q75_gain15_32_bilinear", "backbone": "xception"}[field]
    stranger = Bundle(bundle.path, bundle.digest, bundle.info.model_copy(update={field: other}))
    with pytest.raises(InvalidConfig, match=f"cannot continue.*{other}"):
        train(evidence_set.path, tmp_path / "out", config(continue_from_champion=True), stranger, "r")
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_ends_training_and_leaves_nothing(evidence_set: Any, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"epoch \d+: lower training\.learning_rate"):
        train(evidence_set.path, tmp_path / "out", config(learning_rate=1e30), None, "r")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("counts", "split"), [((8, 0), "validation"), ((8, 1), "validation"), ((1, 8), "train")])
def test_a_split_without_both_classes_is_refused(
    make_evidence: Any, tmp_path: Path, counts: tuple[int, int], split: str
) -> None:
    evidence = make_evidence(counts=counts, shards=1)
    with pytest.raises(SourceError, match=f"the {split} split has"):
        train(evidence.path, tmp_path / "out", config(), None, "r")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_killed_training_leaves_nothing_and_can_be_repeated(evidence_set: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = (
        "import sys; from pathlib import Path; from forgery.config import RunConfig; "
        "from forgery.training.train import train; import logging; logging.basicConfig(level=20); "
        f"train(Path({str(evidence_set.path)!r}), Path({str(out)!r}), RunConfig.read({{'tracking': '', "
        "'checkpoints': '', 'training': {'epochs': 500, 'patience': 500}}), None, 'r')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 2:" in line:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    process.stderr.close()
    assert not out.exists()
    train(evidence_set.path, out, config(epochs=1), None, "r")
    assert read_draft(out).info.backbone == "cnn"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_what_half_precision_has_learnt_is_served_in_float32(evidence_set: Any, tmp_path: Path, precision: str) -> None:
    result = train(evidence_set.path, tmp_path / "out", config(precision=precision, epochs=6), None, "r")
    assert result.validation["roc_auc"] > 0.9
    draft = read_draft(tmp_path / "out")
    check_golden(draft, Engine(draft))
    assert draft.info.no_lite_model == ""
    assert (draft.path / "model.tflite").exists()
    served = tf.saved_model.load(draft.path / "saved_model").signatures["serving_default"]
    assert {output.dtype for output in served.structured_outputs.values()} == {tf.float32}
    inner = [
        operation for function in served.graph._functions.values() for operation in function.graph.get_operations()
    ]
    assert not {tf.float16, tf.bfloat16} & {output.dtype for operation in inner for output in operation.outputs}
