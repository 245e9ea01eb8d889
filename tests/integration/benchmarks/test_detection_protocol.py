"""The detection protocol from pictures to tables, on generated pictures and a tiny network."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detection import __main__ as command
from benchmarks.detection.protocol import Protocol
from benchmarks.detection.systems import System
from benchmarks.detection.views import VIEWS
from forgery.config import TrainingOptions
from forgery.histories import MATCHED
from forgery.recipes.blocks import BlocksRecipe

OPTIONS = TrainingOptions(epochs=1, batch_size=16)
RECIPE = BlocksRecipe(cells=16, matches=False)
TINY = System("tiny", RECIPE.name, "blocks", (MATCHED,), OPTIONS, forgeries=True, varied=True, pasted=True)


@pytest.mark.slow
def test_writes_tables_and_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SYSTEMS", {"tiny": TINY})
    arguments = ["demo:40", "--out", str(tmp_path), "--systems", "tiny", "--folds", "0"]
    assert command.main(arguments) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["systems"]) == {"tiny", "always-forged", "majority", "file-size", "header-only"}
    assert set(results["systems"]["tiny"]["views"]) == set(VIEWS)
    assert results["systems"]["tiny"]["views"]["matched"]["control"] is not None
    page = (tmp_path / "results.md").read_text()
    assert all(f"### {view.capitalize()}" in page for view in VIEWS)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert command.main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == written
    _folds_part_groups(Protocol("demo:40", tmp_path))


def _folds_part_groups(protocol: Protocol) -> None:
    pictures = protocol.pictures
    for group in set(pictures.groups):
        assert len(set(pictures.folds[pictures.groups == group])) == 1
    forged = [pictures.forged[pictures.of_fold(fold)] for fold in range(5)]
    assert all(np.any(each) and not np.all(each) for each in forged)
