"""Recipes of whole pictures from photographs to a table, with a tiny network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.generated.__main__ import BEGIN, END, main


@pytest.mark.slow
def test_writes_its_table_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    random = np.random.default_rng(0)
    for index in range(10):
        coarse = Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8)).resize((560, 540))
        coarse.save(photographs / f"{index}.jpg")
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n{END}\nafter\n")
    arguments = ["--out", str(tmp_path / "out"), "--photographs", str(photographs), "--page", str(page)]
    arguments += ["--recipes", "rgb1_16", "--epochs", "1"]
    assert main(arguments) == 0
    written = page.read_text()
    head, _, row = written.splitlines()[3:6]
    assert head.startswith("| recipe | ROC AUC, raw | ROC AUC, harmonised | ROC AUC, matched | ROC AUC, shared |")
    assert row.startswith("| `rgb1_16` | 0.")
    assert "old" not in written
    assert written.endswith("after\n")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json")}
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json")} == kept
