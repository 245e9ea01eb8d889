"""The probability against the threshold, drawn."""

from ui.endpoint import Answer
from ui.verdict import percent

_TRACK_Y = 34
_TRACK_HEIGHT = 12
_HEIGHT = 104


def scale_svg(answer: Answer) -> str:
    """An SVG as wide as its place, from authentic on the left to forged on the right.

    Zones and marker take their colours from the style sheet (`.zone-*`, `.scale-*`); every one is named in words too.
    Positions are per cent, so that text keeps its size on a phone.
    """
    low, high = answer.band or (answer.threshold, answer.threshold)
    parts = [
        _zone("authentic", 0, low),
        _zone("inconclusive", low, high),
        _zone("forged", high, 1),
        _threshold(answer, low, high),
        _ends(),
        _marker(answer),
    ]
    return (
        f'<svg class="scale" role="img" aria-label="{describe(answer)}" width="100%" height="{_HEIGHT}">'
        f"{''.join(parts)}</svg>"
    )


def describe(answer: Answer) -> str:
    """The drawing in words, for those who do not see it."""
    text = (
        f"Probability of forgery {percent(answer.probability_forged)}, on a scale from authentic to forged. "
        f"Threshold {percent(answer.threshold)}."
    )
    if answer.band is None:
        return text + " The endpoint does not tell its inconclusive band."
    if answer.band[0] == answer.band[1]:
        return text + " This model has no inconclusive band."
    return text + f" Inconclusive between {percent(answer.band[0])} and {percent(answer.band[1])}."


def _zone(name: str, start: float, end: float) -> str:
    if end <= start:
        return ""
    return (
        f'<rect class="zone-{name}" x="{start:.2%}" width="{end - start:.2%}" y="{_TRACK_Y}" height="{_TRACK_HEIGHT}">'
        f"<title>{name}</title></rect>"
    )


def _threshold(answer: Answer, low: float, high: float) -> str:
    note = f"threshold {percent(answer.threshold)}"
    if high > low:
        note += f" · inconclusive {percent(low).removesuffix(' %')}–{percent(high)}"
    top, bottom = _TRACK_Y - 4, _TRACK_Y + _TRACK_HEIGHT
    return (
        f'<line class="scale-threshold" x1="{answer.threshold:.2%}" x2="{answer.threshold:.2%}" y1="{top}" '
        f'y2="{bottom + 34}"/>'
        f'<text class="scale-note" y="{bottom + 50}" {_anchored(answer.threshold)}>{note}</text>'
    )


def _ends() -> str:
    y = _TRACK_Y + _TRACK_HEIGHT + 20
    return (
        f'<text class="scale-note" x="0" y="{y}">authentic</text>'
        f'<text class="scale-note" x="100%" y="{y}" text-anchor="end">forged</text>'
    )


def _marker(answer: Answer) -> str:
    x, middle = answer.probability_forged, _TRACK_Y + _TRACK_HEIGHT / 2
    return (
        f'<text class="scale-value" y="20" {_anchored(x)}>{percent(x)}</text>'
        f'<circle class="scale-marker" cx="{x:.2%}" cy="{middle}" r="9"/>'
    )


def _anchored(position: float) -> str:
    """Text at a position, kept inside the drawing."""
    if position < 0.2:
        return 'x="0"'
    if position > 0.8:
        return 'x="100%" text-anchor="end"'
    return f'x="{position:.2%}" text-anchor="middle"'
