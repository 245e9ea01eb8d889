"""One case on one page, as HTML that needs nothing else: for a file, a mail, or a printer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

import forgery
from ui.cases import Case
from ui.findings import Finding
from ui.quality import UNKNOWN
from ui.scale import scale_svg
from ui.verdict import LIMITS, explain, percent, words
from ui.views import channels, data_uri, is_upright, lossless_uri, stretched, view

_FOLDER = Path(__file__).parent
_NAMES = {
    "ela": "Error levels, as the model saw them",
    "heatmap": "Where the model looked",
    "self_matches": "Regions that repeat",
    "spectrum": "Spectrum",
}


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("case.html")


def render_report(case: Case, found: list[Finding], model_name: str, quality: str = UNKNOWN) -> str:
    """The report of a case that has an answer.

    Args:
        case: With its answer; pictures that it holds are shown.
        found: Findings of the same file.
        model_name: The model's name in the protocol.
        quality: How good it was measured to be.

    Raises:
        ValueError: The case has no answer.
    """
    answer = case.answer
    if answer is None:
        raise ValueError("a case without an answer has no report")
    heatmap = answer.pictures.get("heatmap")
    picture = view(case.chosen.encoded, heatmap is not None and is_upright(case.chosen.encoded, heatmap))
    picture.thumbnail((640, 640))
    return _template().render(
        words=words(answer.label),
        label=answer.label,
        explanation=explain(answer),
        scale=Markup(scale_svg(answer)),  # noqa: S704  # drawn from numbers alone
        figures=[("The picture", data_uri(picture)), *_figures(answer.pictures, picture.size)],
        findings=found,
        facts=_facts(case, model_name, quality),
        limits=LIMITS,
    )


def _figures(pictures: Mapping[str, bytes], size: tuple[int, int]) -> list[tuple[str, str]]:
    shown = []
    for name, title in _NAMES.items():
        if name in pictures:
            png = pictures[name]
            shown.append((title, lossless_uri(stretched(channels(png)[0], size)) if name == "ela" else data_uri(png)))
    return shown


def _facts(case: Case, model_name: str, quality: str) -> list[tuple[str, str]]:
    answer = case.answer
    if answer is None:
        return []
    info = answer.info
    size = f"{info.get('width', '?')} x {info.get('height', '?')} px, {info.get('format', 'unknown format')}"
    band = "not told" if answer.band is None else f"{percent(answer.band[0])} to {percent(answer.band[1])}"
    return [
        ("File", case.chosen.name),
        ("SHA-256 of the file", case.sha256),
        ("Size", f"{size}, {len(case.chosen.encoded):,} bytes"),
        ("Probability of forgery", f"{answer.probability_forged:.6f}, calibrated"),
        ("Threshold", f"{answer.threshold:.6f}; inconclusive band: {band}"),
        ("Model", f"{model_name}, version {answer.model_version}"),
        ("Its quality", quality),
        ("Asked", f"{case.asked_at:%Y-%m-%d %H:%M:%S} UTC, answered in {answer.seconds:.2f} s"),
        ("Report", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, forgery {forgery.__version__}"),
    ]
