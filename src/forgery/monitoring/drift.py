"""Whether what the service sees is still what its model was measured on: pure functions of two samples."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from forgery.monitoring.payloads import PictureFacts, Scored
from forgery.monitoring.reference import Reference

NUMBERS: Final = {
    "probability_forged": "Score",
    "ela_mean": "Mean error level",
    "ela_deviation": "Deviation of error levels",
    "ela_p99": "99th percentile of error levels",
}
MIXES: Final = {"format": "Format", "quality": "Quality of JPEGs"}
TITLES: Final = NUMBERS | MIXES
# Of estimated qualities: messengers and thumbnails, the web, editors, cameras.
_QUALITY_BANDS: Final = ((0, "below 60"), (60, "60–74"), (75, "75–84"), (85, "85–94"), (95, "95–100"))
_BINS: Final = 10
# Added to every count, so that a bin empty on one side gives a large figure and not an infinite one.
_PSEUDO_COUNT: Final = 0.5
_FIGURES: Final = ("psi", "distance")


class DriftRule(BaseModel):
    """When a column has shifted: both the size of the shift and the evidence for it must be enough.

    By custom (Siddiqi, Credit Risk Scorecards, 2006) an index of .1 is worth a look and one of .25 a shift.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    psi: float = Field(0.2, ge=0, description="Least population stability index that counts as a shift.")
    alpha: float = Field(
        0.01, gt=0, lt=1, description="Part of unshifted windows that may be called shifted, all columns together."
    )
    min_pictures: int = Field(200, ge=20, description="Fewer pictures in the window give no verdict.")


@dataclass(frozen=True)
class Shift:
    """One column of both samples.

    Attributes:
        psi: Population stability index, from 0.
        distance: Largest distance of the distribution functions (Kolmogorov-Smirnov), 0-1; for a mix, half the sum of
            differences of shares.
        p_value: Of as large a distance without a shift.
        drifted: By the rule.
    """

    column: str
    kind: Literal["number", "mix"]
    psi: float
    distance: float
    p_value: float
    drifted: bool

    @property
    def title(self) -> str:
        """For people."""
        return TITLES[self.column]


@dataclass(frozen=True)
class Drift:
    """The verdict on a window: `shifts` is empty where there was none to give."""

    drifted: bool
    reason: str
    pictures: int
    shifts: tuple[Shift, ...] = ()

    @property
    def scalars(self) -> dict[str, float]:
        """The figures for a table of metrics."""
        figures = {f"{name}_{shift.column}": getattr(shift, name) for shift in self.shifts for name in _FIGURES}
        return {"drifted": float(self.drifted), "pictures": float(self.pictures), **figures}


def compare(reference: Reference | None, window: Sequence[Scored], rule: DriftRule) -> Drift:
    """Compare a window of the payload log with the reference of the model that answered it.

    Pictures that share a source are no independent draws, so the reference counts as many as it has groups. Each
    column is tested at `alpha` divided by their number (Bonferroni).
    """
    if reference is None or not reference.pictures:
        return Drift(False, "no verdict: the model's bundle holds no reference", len(window))
    if len(window) < rule.min_pictures:
        return Drift(False, f"no verdict: {len(window)} pictures, fewer than {rule.min_pictures}", len(window))
    weight, alpha = reference.groups / len(reference.pictures), rule.alpha / len(TITLES)
    found = [_of_numbers(column, reference.pictures, window, weight) for column in NUMBERS]
    found += [_of_mix(column, reference.pictures, window, weight) for column in MIXES]
    shifts = tuple(
        Shift(column, kind, size, distance, p_value, bool(size >= rule.psi and p_value < alpha))
        for column, kind, size, distance, p_value in found
    )
    named = [shift.title[0].lower() + shift.title[1:] for shift in shifts if shift.drifted]
    reason = f"shifted: {', '.join(named)}" if named else "no shift"
    return Drift(bool(named), f"{reason} in {len(window)} pictures", len(window), shifts)


_Found = tuple[str, Literal["number", "mix"], float, float, float]


def _of_numbers(column: str, reference: Sequence[Scored], window: Sequence[Scored], weight: float) -> _Found:
    expected, found = (values(rows, column) for rows in (reference, window))
    distance, p_value = kolmogorov_smirnov(expected, found, weight)
    return column, "number", psi(*binned(expected, found)), distance, p_value


def _of_mix(column: str, reference: Sequence[Scored], window: Sequence[Scored], weight: float) -> _Found:
    _, expected, found = mix(reference, window, column)
    distance = 0.5 * np.abs(expected / expected.sum() - found / found.sum()).sum()
    return column, "mix", psi(expected, found), float(distance), homogeneity(expected * weight, found)


def values(rows: Sequence[Scored], column: str) -> NDArray[np.float64]:
    """A column of numbers, [n]."""
    return np.array([getattr(row, column) for row in rows], np.float64)


def mix(
    reference: Sequence[PictureFacts], window: Sequence[PictureFacts], column: str
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Names of the kinds that occur, and how often in either sample."""
    of = quality_band if column == "quality" else (lambda row: row.format)
    expected, found = Counter(map(of, reference)), Counter(map(of, window))
    names = sorted(expected | found)
    rows = [np.array([counter[name] for name in names], np.float64) for counter in (expected, found)]
    return names, rows[0], rows[1]


def quality_band(row: PictureFacts) -> str:
    """The band of a picture's estimated JPEG quality."""
    if row.jpeg_quality is None:
        return "no JPEG"
    return [name for least, name in _QUALITY_BANDS if row.jpeg_quality >= least][-1]


def binned(expected: ArrayLike, found: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of two samples in bins that hold a tenth of `expected` each, fewer where values repeat."""
    edges = np.unique(np.quantile(np.asarray(expected), np.linspace(0, 1, _BINS + 1)[1:-1], method="inverted_cdf"))
    counts = [
        np.bincount(np.searchsorted(edges, np.asarray(each), side="left"), minlength=len(edges) + 1)
        for each in (expected, found)
    ]
    return counts[0].astype(np.float64), counts[1].astype(np.float64)


def psi(expected: ArrayLike, found: ArrayLike) -> float:
    """Population stability index of two rows of counts, [k] each: the sum of (q - p) ln(q / p) over bins."""
    rows = [np.asarray(each, np.float64) + _PSEUDO_COUNT for each in (expected, found)]
    p, q = (row / row.sum() for row in rows)
    return float(((q - p) * np.log(q / p)).sum())


def kolmogorov_smirnov(expected: ArrayLike, found: ArrayLike, weight: float = 1.0) -> tuple[float, float]:
    """Largest distance of two samples' distribution functions, and its p-value without a shift.

    The p-value is the asymptotic one; values that repeat make it larger than it is, never smaller.

    Args:
        expected: [m].
        found: [n].
        weight: Part of `expected` that counts as independent draws, in (0, 1].
    """
    from scipy.stats import ks_2samp, kstwobign

    first, second = np.asarray(expected), np.asarray(found)
    distance = float(ks_2samp(first, second, method="asymp").statistic)
    m, n = max(1.0, len(first) * weight), len(second)
    return distance, float(kstwobign.sf(distance * np.sqrt(m * n / (m + n))))


def homogeneity(expected: NDArray[np.float64], found: NDArray[np.float64]) -> float:
    """The p-value of two rows of counts under one distribution (chi-squared); 1 where there is one kind alone."""
    from scipy.stats import chi2_contingency

    table = np.stack([expected, found])
    table = table[:, table.sum(axis=0) > 0]
    return float(chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 else 1.0
