"""The report, the scale and the card: what they say, and that strangers' text stays text."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from ui import markup
from ui.endpoint import Answer
from ui.findings import Finding
from ui.report import render_report
from ui.scale import describe, scale_svg
from ui.verdict import LIMITS, explain, percent

HOSTILE = '<img src=x onerror=alert(1)>\n\n# "photo".jpg'


class Tags(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_report_tells_verdict_hashes_versions_and_times(make_case: Any) -> None:
    case = make_case()
    html = render_report(case, [Finding("No camera data", "Usual.")], "forgery")
    for text in ("Looks forged", case.sha256, "c0ffee" * 5, "2026-03-04 05:06:07 UTC", "No camera data", LIMITS):
        assert text in html


def test_a_report_needs_nothing_from_elsewhere_and_runs_nothing(make_case: Any) -> None:
    for tag, attributes in Tags(render_report(make_case(), [], "forgery")).found:
        assert tag not in ("script", "link", "iframe")
        assert all((attributes.get(name) or "data:").startswith("data:") for name in ("src", "href"))


@pytest.mark.parametrize("drawn", ["report", "card", "refusal"])
def test_a_file_name_stays_text(make_case: Any, answer: Answer, drawn: str) -> None:
    html = {
        "report": lambda: render_report(make_case(HOSTILE), [], "forgery"),
        "card": lambda: markup.verdict_card(HOSTILE, answer, "data:,"),
        "refusal": lambda: markup.refusal_card(make_case(HOSTILE, error="No.")),
    }[drawn]()
    assert not any("onerror" in attributes for _, attributes in Tags(html).found)
    assert "&lt;img" in html


@pytest.mark.parametrize("drawn", ["card", "refusal"])
def test_a_card_is_one_piece_of_html_whatever_the_name(make_case: Any, answer: Answer, drawn: str) -> None:
    html = (
        markup.verdict_card(HOSTILE, answer, "data:,")
        if drawn == "card"
        else markup.refusal_card(make_case(HOSTILE, "No."))
    )
    assert "\n" not in html


def test_a_report_without_an_answer_is_refused(make_case: Any) -> None:
    with pytest.raises(ValueError, match="no report"):
        render_report(make_case(error="No."), [], "forgery")


def test_the_scale_has_the_zones_of_the_rule_and_the_marker_at_the_probability(answer: Answer) -> None:
    drawn = scale_svg(answer)
    zones = {name: (x, width) for name, x, width in re.findall(r'zone-(\w+)" x="([\d.%]+)" width="([\d.%]+)"', drawn)}
    assert zones == {
        "authentic": ("0.00%", "40.00%"),
        "inconclusive": ("40.00%", "15.00%"),
        "forged": ("55.00%", "45.00%"),
    }
    assert 'class="scale-marker" cx="93.40%"' in drawn


def test_no_band_is_drawn_where_there_is_none(answer: Answer) -> None:
    assert "zone-inconclusive" not in scale_svg(replace(answer, band=None))
    assert "does not tell" in describe(replace(answer, band=None))
    assert "has no inconclusive band" in describe(replace(answer, band=(0.47, 0.47)))


@pytest.mark.parametrize(("value", "text"), [(0.0, "under 0.1 %"), (1.0, "over 99.9 %"), (0.934, "93.4 %")])
def test_no_probability_is_told_as_certain(value: float, text: str) -> None:
    assert percent(value) == text


def test_the_sentence_agrees_with_the_label(answer: Answer) -> None:
    assert "above its threshold of 47.0 %" in explain(answer)
    assert "below its threshold" in explain(replace(answer, label="authentic", probability_forged=0.1))
    assert "between 40.0 % and 55.0 %" in explain(replace(answer, label="inconclusive", probability_forged=0.5))
