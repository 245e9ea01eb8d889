"""The page's own HTML: every name and sentence from outside is escaped here, and nowhere else."""

from collections.abc import Sequence
from html import escape as escape_html

from ui.cases import Case
from ui.endpoint import Answer, Model
from ui.findings import Finding
from ui.scale import scale_svg
from ui.verdict import LIMITS, explain, percent, words

VERSION_LENGTH = 12
_DOT = '<span class="dot" aria-hidden="true"></span>'


def escape(text: str) -> str:
    """Text for HTML on one line: a blank one would end the HTML and begin Markdown."""
    return escape_html(" ".join(text.split()))


def masthead(model: Model | None) -> str:
    """Name, and whether a model answers."""
    if model is None or not model.versions:
        state = "the endpoint does not answer" if model is None else "no model answers yet"
        shown = f'<span class="state away">{_DOT}{state}</span>'
    else:
        version = escape(model.versions[0][:VERSION_LENGTH])
        shown = f'<span class="state">{_DOT}model <code>{version}</code> answers</span>'
    return f'<div class="masthead"><b>Forgery</b><span>picture forensics</span>{shown}</div>'


def welcome() -> str:
    """What the page is for."""
    return (
        '<div class="welcome"><h1>Was this picture edited?</h1>'
        "<p>Drop a picture. You get a verdict, the evidence it rests on, and what it can’t tell. "
        "Files are sent as they are and not kept.</p></div>"
    )


def section(title: str) -> str:
    """The heading of a part."""
    return f'<h2 class="section">{escape(title)}</h2>'


def quiet(text: str) -> str:
    """A line beside the matter."""
    return f'<p class="quiet">{escape(text)}</p>'


def verdict_card(name: str, answer: Answer, picture: str) -> str:
    """The verdict: words, icon, colour, numbers on a scale, limits.

    Args:
        name: Of the file.
        answer: For it.
        picture: Data URI of the picture.
    """
    told = words(answer.label)
    tone = answer.label if answer.label in ("forged", "authentic", "inconclusive") else ""
    return (
        f'<div class="verdict {tone}" data-verdict="{escape(answer.label)}">'
        f'<img class="picture" src="{picture}" alt="The picture {escape(name)}">'
        f'<div><p class="file">{escape(name)}</p>'
        f'<div class="headline" role="heading" aria-level="1">{_icon(told.icon)}{escape(told.headline)}</div>'
        f'<p class="why">{escape(explain(answer))}</p>{scale_svg(answer)}'
        f'<p class="limits">{escape(LIMITS)}</p></div></div>'
    )


def _icon(path: str) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{path}"></path></svg>'


def refusal_card(case: Case) -> str:
    """Why there is no verdict."""
    return (
        '<div class="verdict refused" role="alert"><div>'
        f'<p class="file">{escape(case.chosen.name)}</p>'
        '<div class="headline" role="heading" aria-level="1">No verdict</div>'
        f'<p class="why">{escape(case.error)}</p></div></div>'
    )


def finding_list(found: Sequence[Finding]) -> str:
    """Findings, each with a mark that is not colour alone."""
    return f'<div class="findings" role="list">{"".join(map(_finding, found))}</div>'


def _finding(finding: Finding) -> str:
    mark, spoken = {"notable": ("!", "Worth a second look: "), "plain": ("·", "")}[finding.weight]
    return (
        f'<div role="listitem" class="{finding.weight}"><span class="mark" aria-hidden="true">{mark}</span>'
        f'<span><span class="sr">{spoken}</span><b>{escape(finding.title)}</b><br>{escape(finding.text)}</span></div>'
    )


def record_table(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values."""
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f'<table class="record">{body}</table>'


def record_rows(case: Case, answer: Answer, model_name: str, quality: str) -> list[tuple[str, str]]:
    """What is kept of a case."""
    info = answer.info
    rows = [("File", case.chosen.name), ("SHA-256", case.sha256)]
    if info:
        size = f"{info.get('width')} × {info.get('height')} pixels"
        rows.append(("Picture", f"{info.get('format')}, {size}, {len(case.chosen.encoded) / 1000:,.0f} kB"))
    rows += [
        ("Probability", f"{percent(answer.probability_forged)} forged, calibrated"),
        ("Threshold", percent(answer.threshold)),
        ("Model", f"{model_name}, version {answer.model_version}"),
        ("Its quality", quality),
        ("Asked", f"{case.asked_at:%Y-%m-%d %H:%M:%S} UTC, answered in {answer.seconds * 1000:.0f} ms"),
    ]
    return rows


def card_link(address: str) -> str:
    """A link to the model card."""
    return f'<p class="quiet"><a href="{escape(address)}" target="_blank" rel="noopener">Model card</a></p>'


def self_matches_figure(png: str) -> str:
    """The picture with its repeated regions, at its data URI."""
    return f'<img class="spectrum" src="{png}" alt="The picture, with regions that repeat outlined and joined">'


def spectrum_figure(png: str) -> str:
    """The spectrum, at its data URI."""
    return f'<img class="spectrum" src="{png}" alt="Log magnitude of the picture’s Fourier transform">'


def example_figure(address: str, title: str) -> str:
    """One example to choose."""
    return f'<img class="example" src="{address}" alt="Example: {escape(title)}">'


def viewing_mark() -> str:
    """That what is shown was not what the model saw."""
    return (
        '<p class="viewed">Recomputed here for viewing only. The model did not see this, and it changes no verdict.</p>'
    )
