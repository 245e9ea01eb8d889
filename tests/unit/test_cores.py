import os
from pathlib import Path

import pytest

from forgery import cores


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("?", 8),
    ],
)
def test_a_containers_limit_counts_where_it_is_less(
    limit: str, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    monkeypatch.setattr(cores, "_CGROUP_LIMIT", tmp_path / "cpu.max")
    assert cores.available_cores() == found


def test_without_a_limit_every_core_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "_CGROUP_LIMIT", tmp_path / "none")
    assert cores.available_cores() == 8
