"""Charts as inline SVG, coloured by the style sheet of `base.html.j2`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from forgery.metrics import Estimate
from forgery.reports import figure, render

_WIDTH, _HEIGHT = 520, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 44
_COLOURS = 6


@dataclass(frozen=True)
class Series:
    """One line of a chart; x and y of the same length; `quiet` draws a thin dashed reference."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    quiet: bool = False


@dataclass(frozen=True)
class _Tick:
    position: float
    text: str


@dataclass(frozen=True)
class _Line:
    name: str
    points: str
    style: str


class _Axis:
    """Maps a range of values to pixels and finds round tick values."""

    def __init__(self, low: float, high: float, start_px: float, end_px: float) -> None:
        step = _round_step((high - low) / 5) if high > low else 1.0
        self.low = float(np.floor(low / step + 1e-9) * step)
        self.high = float(np.ceil(high / step - 1e-9) * step)
        if self.high <= self.low:
            self.high = self.low + step
        self._start, self._end, self._step = start_px, end_px, step

    def at(self, value: float) -> float:
        return round(self._start + (value - self.low) / (self.high - self.low) * (self._end - self._start), 1)

    def ticks(self) -> list[_Tick]:
        count = round((self.high - self.low) / self._step)
        values = [self.low + index * self._step for index in range(count + 1)]
        return [_Tick(self.at(value), f"{value:.6g}".replace("-", "−")) for value in values]


def _round_step(step: float) -> float:
    magnitude = 10 ** np.floor(np.log10(step))
    return float(magnitude * min((1, 2, 5, 10), key=lambda each: abs(each - step / magnitude)))


def line_chart(
    series: Sequence[Series],
    title: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Markup:
    """Lines over shared axes with a legend, as markup.

    Points that are not finite are left out and break the line. Ranges default to those of the data.
    """
    x_low, x_high = x_range or _range(each.x for each in series)
    y_low, y_high = y_range or _range(each.y for each in series)
    x_axis = _Axis(x_low, x_high, _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
    lines: list[_Line] = []
    legend: list[tuple[str, str]] = []
    for index, each in enumerate(series):
        style = "quiet" if each.quiet else f"series s{index % _COLOURS}"
        lines += [_Line(each.name, points, style) for points in _runs(each, x_axis, y_axis)]
        legend.append((each.name, style))
    frame = {"left": _LEFT, "right": _WIDTH - _RIGHT, "top": _TOP, "bottom": _HEIGHT - _BOTTOM}
    return _markup(
        "line_chart.html.j2",
        title=title,
        x_label=x_label,
        y_label=y_label,
        x_ticks=x_axis.ticks(),
        y_ticks=y_axis.ticks(),
        lines=lines,
        legend=legend,
        width=_WIDTH,
        height=_HEIGHT,
        frame=frame,
    )


def _markup(template: str, **context: object) -> Markup:
    # The template has escaped what it was given.
    return Markup(render(template, **context))  # noqa: S704


def _range(values: Iterable[Sequence[float]]) -> tuple[float, float]:
    finite = [value for each in values for value in each if np.isfinite(value)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _runs(series: Series, x_axis: _Axis, y_axis: _Axis) -> list[str]:
    points = list(zip(series.x, series.y, strict=True))
    breaks = [-1, *(index for index, point in enumerate(points) if not np.isfinite(point).all()), len(points)]
    runs = [points[start + 1 : end] for start, end in pairwise(breaks)]
    return [" ".join(f"{x_axis.at(x)},{y_axis.at(y)}" for x, y in run) for run in runs if run]


@dataclass(frozen=True)
class Row:
    """One line of an interval chart; `quiet` rows (baselines) are drawn in grey."""

    name: str
    estimate: Estimate
    quiet: bool = False


def interval_chart(rows: Sequence[Row], title: str, marks: Sequence[float] = (0, 0.25, 0.5, 0.75, 1)) -> Markup:
    """Figures in [0, 1] as dots with their intervals as whiskers, one row each, as markup."""
    left, right, row_px, top = 104, 300, 26, 8
    axis = _Axis(0, 1, left, right)
    drawn = [
        {
            "name": row.name,
            "value": figure(row.estimate.value),
            "style": "quiet" if row.quiet else f"series s{index % _COLOURS}",
            "y": top + row_px * (index + 0.5),
            "x": axis.at(row.estimate.value),
            "low": axis.at(row.estimate.low),
            "high": axis.at(row.estimate.high),
        }
        for index, row in enumerate(rows)
    ]
    ticks = [_Tick(axis.at(mark), f"{mark:g}") for mark in marks]
    bottom = top + row_px * len(rows)
    return _markup("interval_chart.html.j2", title=title, rows=drawn, ticks=ticks, left=left, top=top, bottom=bottom)
