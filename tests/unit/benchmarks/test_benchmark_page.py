import importlib
import sys
from types import ModuleType

import pytest
from pydantic import ValidationError

from benchmarks import __main__ as runner
from benchmarks.page import with_rows
from benchmarks.rows import Row


@pytest.mark.parametrize(
    ("ratio", "goal", "met"),
    [(1.35, "<= 1.35", True), (1.36, "<= 1.35", False), (1.8, ">= 1.8", True), (1, ">= 2", False)],
)
def test_goal_is_a_comparison(ratio: float, goal: str, met: bool) -> None:
    assert Row(name="x", ratio=ratio, goal=goal).met is met


def test_goal_that_is_no_comparison_is_refused() -> None:
    with pytest.raises(ValidationError):
        Row(name="x", ratio=1, goal="fast")


def test_every_module_that_is_listed_can_measure() -> None:
    assert runner.names()
    for name in runner.names():
        assert callable(importlib.import_module(f"benchmarks.{name}").measure)


def test_rows_are_printed_tabled_and_a_missed_goal_fails(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("benchmarks.made_up")
    rows = [Row(name="ELA over bare codec", ratio=1.2, goal="<= 1.35"), Row(name="two cores", ratio=1.5, goal=">= 1.8")]
    monkeypatch.setattr(module, "measure", lambda: rows, raising=False)
    monkeypatch.setitem(sys.modules, "benchmarks.made_up", module)
    monkeypatch.setattr(runner, "names", lambda: ["made_up"])
    monkeypatch.setattr(runner, "PAGE", tmp_path / "benchmarks.md")
    assert runner.main([]) == 1
    assert capsys.readouterr().out.splitlines() == [row.model_dump_json() for row in rows]
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| ELA over bare codec | 1.20 | <= 1.35 | yes |" in page
    assert "| two cores | 1.50 | >= 1.8 | no |" in page


def test_part_of_the_benchmarks_does_not_replace_the_page(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("benchmarks.made_up")
    monkeypatch.setattr(module, "measure", lambda: [Row(name="a", ratio=1, goal="<= 2")], raising=False)
    monkeypatch.setitem(sys.modules, "benchmarks.made_up", module)
    monkeypatch.setattr(runner, "names", lambda: ["made_up"])
    monkeypatch.setattr(runner, "PAGE", tmp_path / "benchmarks.md")
    assert runner.main(["made_up"]) == 0
    assert not (tmp_path / "benchmarks.md").exists()


def test_unknown_benchmark_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        runner.main(["nothing"])
    assert "no benchmark 'nothing'" in capsys.readouterr().err


BEFORE = """# Title
<!-- t -->

Words of then.

### Raw

| system | folds | area |
|---|---|---|
| a | 0, 1 | .5 |
| b | 0, 1 | .6 |
| z | 0 | .7 |

### Shared

| system | folds | area |
|---|---|---|
| b | 0, 1 | .3 |

<!-- /t -->
after
"""
WRITTEN = """
Words of now.

### Raw

As they are.

| system | folds | area |
|---|---|---|
| a | 0, 1, 2 | .55 |
| c | 0 | .1 |
| z | 0 | .71 |
"""
AFTER = """# Title
<!-- t -->

Words of now.

### Raw

As they are.

| system | folds | area |
|---|---|---|
| a | 0, 1, 2 | .55 |
| b | 0, 1 | .6 |
| c | 0 | .1 |
| z | 0 | .71 |

<!-- /t -->
after
"""


def test_rows_of_what_was_not_run_stay_in_their_place() -> None:
    assert with_rows(BEFORE, WRITTEN, "<!-- t -->", "<!-- /t -->") == AFTER


def test_rows_are_known_by_several_cells_where_one_is_not_enough() -> None:
    page = "<t>\n| s | save | x |\n|---|---|---|\n| a, 0 | none | 1 |\n| a, 0 | 90 | 2 |\n</t>"
    new = "| s | save | x |\n|---|---|---|\n| a, 0 | 90 | 3 |\n"
    rows = [line for line in with_rows(page, new, "<t>", "</t>", named_by=2).splitlines() if line.startswith("| a")]
    assert rows == ["| a, 0 | none | 1 |", "| a, 0 | 90 | 3 |"]


def test_rows_of_a_table_with_other_columns_do_not_stay() -> None:
    new = WRITTEN.replace("| area |", "| accuracy |")
    assert "| b |" not in with_rows(BEFORE, new, "<!-- t -->", "<!-- /t -->")
