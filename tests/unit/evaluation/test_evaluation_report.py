import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError

from forgery.evaluation.examples import Example
from forgery.evaluation.report import report_html
from forgery.evaluation.scores import Comparison
from forgery.metrics import Estimate
from forgery.reports import count, figure, percent, render, size
from forgery.reports.charts import Row, Series, interval_chart, line_chart


def points_of(chart: str) -> list[str]:
    return re.findall(r'points="([^"]*)"', chart)


def test_the_report_stands_alone_and_shows_champion_beside_challenger(comparison: Comparison) -> None:
    page = report_html(comparison, draws=50)
    assert page.startswith("<!doctype html>")
    assert not re.findall(r"https?://|<script|@import|src=\"(?!data:)", page)
    assert "prefers-color-scheme: dark" in page
    assert comparison.champion is not None
    for scores in (comparison.challenger, comparison.champion):
        assert f"AUC {scores.metrics['roc_auc'].value:.3f}" in page
    assert "Gain, paired" in page
    assert "never proof" in page


def test_names_of_pictures_cannot_inject_html(comparison: Comparison) -> None:
    example = Example(
        "<script>alert(1)</script>", "forged", "authentic", 0.1, False, "<b>", "data:,", "data:,", "data:,"
    )
    page = report_html(comparison, [example], draws=50)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "(&lt;b&gt;)" in page


def test_a_template_that_lacks_a_value_fails_instead_of_leaving_a_hole() -> None:
    with pytest.raises(UndefinedError, match="'reason' is undefined"):
        render("verdict.md.j2", checks=())


def test_a_line_chart_is_well_formed_and_spans_its_axes() -> None:
    chart = line_chart([Series("a < b", (0, 1), (0, 1))], "Title & more", "x", "y", (0, 1), (0, 1))
    ElementTree.fromstring(chart)
    assert points_of(chart) == ["52.0,316.0 508.0,12.0"]


def test_points_that_are_no_number_break_the_line() -> None:
    chart = line_chart([Series("loss", (1, 2, 3, 4, 5), (3.0, 2.0, math.nan, 1.0, math.inf))], "t", "x", "y")
    assert [len(points.split()) for points in points_of(chart)] == [2, 1]


@pytest.mark.parametrize("y", [(), (math.nan,), (0.7,), (0.0, 0.0), (1e-9, 2e-9), (-5.0, 1e6)])
def test_any_data_gives_a_chart_with_rising_ticks(y: tuple[float, ...]) -> None:
    chart = line_chart([Series("loss", tuple(range(len(y))), y)], "t", "epoch", "loss")
    ElementTree.fromstring(chart)
    positions = [float(each) for each in re.findall(r'<line class="grid" x1="([\d.]+)" x2="\1"', chart)]
    assert positions == sorted(set(positions))
    assert len(positions) >= 2


def test_an_interval_chart_has_a_row_with_dot_and_whisker_for_each_estimate() -> None:
    rows = [Row("Model", Estimate(value=0.5, low=0.25, high=0.75)), Row("Base", Estimate(value=0, low=0, high=0), True)]
    chart = interval_chart(rows, "F1")
    ElementTree.fromstring(chart)
    assert '<circle cx="202.0"' in chart
    assert 'x1="153.0" x2="251.0"' in chart
    assert chart.count("<circle") == 2
    assert 'class="quiet"' in chart


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (figure(-0.0125), "−0.013"),
        (percent(0.954), "95\u202f%"),
        (count(1234567), "1\u202f234\u202f567"),
        (size(999), "999 B"),
        (size(354_400), "354.4 kB"),
        (size(14_000_000), "14.0 MB"),
        (size(3e9), "3.0 GB"),
    ],
)
def test_values_read_the_same_everywhere(shown: Any, expected: str) -> None:
    assert shown == expected
