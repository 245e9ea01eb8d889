"""The cost model's arithmetic, on figures that are known."""

import pytest

from benchmarks.scale.protocol import MANY_PHOTOGRAPHS, PHOTOGRAPHS
from benchmarks.scale.report import (
    MOST_ARGUMENT_BYTES,
    STEPS,
    collected_bytes,
    goals,
    manifest_row_bytes,
    parts,
    tables,
)
from forgery.evidence_parts import MOST_PARTS


def measured(step: str, size: int, place: str = "", **figures: float) -> dict[str, object]:
    common = {"read_bytes": 10 * size, "written_bytes": size, "time_s": 1.0, "maps": size, "reused": 0}
    return {"place": place or str(size), "size": size, "step": step, **common, **figures}


@pytest.fixture
def rows() -> list[dict[str, object]]:
    """Time grows as the pictures, memory not at all; all is known to the second run of photographs."""
    found = [measured(step, size, cpu_s=size / 1000, peak_mb=100.0) for size in (1000, 10_000) for step in STEPS]
    found += [measured(f"{step}, 1 % more", 10_000, cpu_s=1.0, peak_mb=100.0) for step in ("ingest", "ela")]
    for step, place, size in (("ingest", MANY_PHOTOGRAPHS, 3000), ("ela", PHOTOGRAPHS, 200)):
        found += [measured(step, size, place, cpu_s=cpu_s, peak_mb=1.0) for cpu_s in (50.0, 1.0)]
    return found


def test_linear_steps_have_exponent_one_and_meet_the_goals(rows) -> None:
    page = tables(rows, "a machine")
    assert "| ela | 1.00 | 0.00 |" in page
    assert {row.name.split(":")[0]: row.met for row in goals(rows) if "a picture" in row.name} == {
        "ingest": True,
        "ela": True,
        "evaluate": True,
    }


def test_a_missed_goal_is_told_with_its_ratio(rows) -> None:
    for row in rows:
        if row["step"] == "ela, 1 % more":
            row["cpu_s"] = 3.0
    (missed,) = [row for row in goals(rows) if row.name.startswith("ela: second") and "tiny" in row.name]
    assert (missed.ratio, missed.met) == (pytest.approx(0.3), False)
    assert "| 0.30 | <= 0.05 | no |" in tables(rows, "a machine")


def test_photographs_have_goals_of_their_own_and_are_no_size(rows) -> None:
    told = {row.name: row.ratio for row in goals(rows) if "photographs" in row.name}
    assert list(told.values()) == [pytest.approx(0.02)] * 2
    assert [name.split(":")[0] for name in told] == ["ingest", "ela"]
    page = tables(rows, "a machine")
    assert "| 3000 of 1024x768 | ingest | 1.0 |" in page
    assert "peak memory, 10000 / 1000" in page


def test_sizes_that_were_not_measured_go_on_along_the_line(rows) -> None:
    page = tables(rows, "a machine")
    assert f"| ela | {1e6 / 1000 / 3600:.2f} | {1e8 / 1000 / 3600:.2f} | 0.1 | 0.1 |" in page


def test_what_grows_with_the_parts() -> None:
    assert [parts(size) for size in (10**4, 10**6, 10**8)] == [2, 160, MOST_PARTS]
    assert 300 < manifest_row_bytes() < 600


def test_all_parts_there_may_be_fit_into_one_argument_with_a_fifth_to_spare() -> None:
    assert MOST_PARTS * collected_bytes() < 0.8 * MOST_ARGUMENT_BYTES
