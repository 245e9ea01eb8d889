"""The benchmark of other last saves goes on where it was stopped."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.detection import resaving
from benchmarks.detection.resaving import LAST_SAVES, measure
from forgery.last_saves import LastSave

SYSTEM = "blocks"
PICTURES = 40


def protocol(out: Path) -> Any:
    """Half of the pictures forged, half of these copy-moves, each a group; the answer is the evidence."""
    index = np.arange(PICTURES)
    pictures = SimpleNamespace(
        forged=index % 2 == 1, copy_moves=index % 4 == 1, groups=index, of_fold=lambda fold: index
    )
    detector = SimpleNamespace(answers=lambda maps: (maps, None))
    return SimpleNamespace(out=out, pictures=pictures, detector=lambda system, fold: detector)


def test_a_run_that_was_stopped_measures_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[LastSave] = []
    budget = 3

    def maps(*of: Any) -> Any:
        if len(asked) == budget:
            raise KeyboardInterrupt
        asked.append(of[-1])
        return np.random.default_rng(len(asked)).normal(size=PICTURES)

    monkeypatch.setattr(resaving, "_maps", maps)
    with pytest.raises(KeyboardInterrupt):
        measure(protocol(tmp_path), [SYSTEM], 0)
    budget = len(LAST_SAVES)
    rows = measure(protocol(tmp_path), [SYSTEM], 0)
    assert asked == list(LAST_SAVES.values())
    assert [row.last_save for row in rows] == list(LAST_SAVES)
    assert measure(protocol(tmp_path), [SYSTEM], 0) == rows
