"""The drift report: the window beside the reference, as one self-contained HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from forgery.monitoring.drift import MIXES, NUMBERS, TITLES, Drift, DriftRule, mix, values
from forgery.monitoring.payloads import Scored
from forgery.monitoring.reference import Reference
from forgery.monitoring.window import Window
from forgery.reports import render
from forgery.reports.charts import Series, line_chart

# Points of a distribution function: more than a chart is wide would not be seen.
_POINTS: Final = 100


@dataclass(frozen=True)
class Mix:
    """Shares of one column's kinds in the reference and in the window, 0-1."""

    title: str
    rows: tuple[tuple[str, float, float], ...]


def report_html(drift: Drift, reference: Reference | None, window: Window, rule: DriftRule, model_version: str) -> str:
    """Render the report; without a verdict it says why, and shows what was logged."""
    compared = reference if drift.shifts else None
    return render(
        "drift.html.j2",
        drift=drift,
        window=window,
        rule=rule,
        model_version=model_version,
        reference=reference,
        charts=[_chart(column, compared.pictures, window.pictures) for column in NUMBERS] if compared else [],
        mixes=[_mix(column, compared.pictures, window.pictures) for column in MIXES] if compared else [],
    )


def _chart(column: str, reference: Sequence[Scored], window: Sequence[Scored]) -> str:
    shares = np.linspace(0, 1, _POINTS)
    lines = [
        Series(name, np.quantile(values(rows, column), shares).tolist(), shares.tolist())
        for name, rows in (("reference", reference), ("window", window))
    ]
    return line_chart(lines, TITLES[column], TITLES[column].lower(), "part of the pictures up to it", y_range=(0, 1))


def _mix(column: str, reference: Sequence[Scored], window: Sequence[Scored]) -> Mix:
    names, expected, found = mix(reference, window, column)
    shares = zip(names, expected / expected.sum(), found / found.sum(), strict=True)
    return Mix(TITLES[column], tuple((name, float(before), float(now)) for name, before, now in shares))
