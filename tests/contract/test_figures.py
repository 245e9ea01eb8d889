"""Figures that are told twice are the same."""

import re
from pathlib import Path

import pytest

from benchmarks.detection.systems import DEFAULT

ROOT = Path(__file__).resolve().parents[2]
VIEWS = ("Raw", "Harmonised", "Matched", "Shared")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@pytest.mark.parametrize("view", VIEWS)
def test_the_readme_has_the_figures_of_the_detection_page(view: str) -> None:
    page = (ROOT / "docs/detection.md").read_text().split(f"### {view}\n")[1].split("\n### ")[0]
    measured = next(cells(line) for line in page.splitlines() if line.startswith(f"| {DEFAULT} |"))
    told = next(cells(line) for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| {view}: "))
    assert told[1:] == [measured[3], measured[6], measured[8], measured[9]], "the README's table is out of date"
    folds = "all five folds" if measured[2] == "0, 1, 2, 3, 4" else f"folds {measured[2]} of five"
    assert folds in re.sub(r"\s+", " ", (ROOT / "README.md").read_text())
