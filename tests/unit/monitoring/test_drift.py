"""The drift rule as a pure function: figures against their definitions, verdicts against drawn samples."""

import numpy as np
import pytest
from scipy import stats

from forgery.monitoring.drift import (
    DriftRule,
    binned,
    compare,
    homogeneity,
    kolmogorov_smirnov,
    psi,
    quality_band,
)
from forgery.monitoring.payloads import Scored
from forgery.monitoring.reference import Reference


def rows(count: int, seed: int, moved: float = 0.0, quality: int = 90, format_name: str = "JPEG") -> tuple[Scored, ...]:
    random = np.random.default_rng(seed)
    return tuple(
        Scored(
            format=format_name,
            jpeg_quality=quality if format_name == "JPEG" else None,
            ela_mean=5 + level + moved,
            ela_deviation=3 + abs(level),
            ela_p99=int(20 + 5 * level),
            probability_forged=float(1 / (1 + np.exp(-score))),
        )
        for level, score in random.normal(0, 1, (count, 2))
    )


RULE = DriftRule()


def reference(count: int = 600, groups: int = 600, **changes: float) -> Reference:
    return Reference(split="validation", groups=groups, pictures=rows(count, 0, **changes))


def test_equal_counts_have_no_psi_and_shares_are_what_counts() -> None:
    assert psi([10, 20, 30], [10, 20, 30]) == 0
    assert psi([1000, 2000], [100, 200]) == pytest.approx(0, abs=1e-4)


def test_psi_is_its_definition() -> None:
    expected, found = np.array([400.5, 600.5]), np.array([700.5, 300.5])
    p, q = expected / expected.sum(), found / found.sum()
    assert psi([400, 600], [700, 300]) == pytest.approx(((q - p) * np.log(q / p)).sum())


def test_a_kind_never_seen_before_is_a_large_shift_and_not_an_infinite_one() -> None:
    assert 1 < psi([500, 0], [250, 250]) < np.inf


def test_bins_hold_a_tenth_each_and_fewer_where_values_repeat() -> None:
    expected, found = binned(np.arange(1000), [-5.0, 5000.0])
    assert expected == pytest.approx(100, abs=1)
    assert (found[0], found[-1]) == (1, 1)
    assert len(binned(np.zeros(50), np.ones(50))[0]) == 2


def test_distance_is_scipys_and_fewer_independent_draws_are_less_evidence() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0, 1, 900), random.normal(0.2, 1, 700)
    distance, p_value = kolmogorov_smirnov(first, second)
    known = stats.ks_2samp(first, second, method="asymp")
    assert distance == pytest.approx(known.statistic)
    assert p_value == pytest.approx(known.pvalue, rel=0.35)
    assert kolmogorov_smirnov(first, second, weight=0.1)[1] > p_value


def test_one_kind_alone_is_no_evidence() -> None:
    assert homogeneity(np.array([50.0, 0]), np.array([70.0, 0])) == 1.0


@pytest.mark.parametrize(
    ("quality", "band"), [(None, "no JPEG"), (1, "below 60"), (59, "below 60"), (60, "60–74"), (100, "95–100")]
)
def test_qualities_fall_into_bands(quality: int | None, band: str) -> None:
    assert quality_band(rows(1, 0)[0].model_copy(update={"jpeg_quality": quality})) == band


def test_the_same_stream_is_silent() -> None:
    drift = compare(reference(), rows(400, 1), RULE)
    assert (drift.drifted, drift.reason) == (False, "no shift in 400 pictures")
    assert len(drift.shifts) == 6


def test_a_shift_is_named() -> None:
    drift = compare(reference(), rows(400, 1, moved=2.0, quality=50), RULE)
    assert {shift.column for shift in drift.shifts if shift.drifted} == {"ela_mean", "quality"}
    assert drift.reason == "shifted: mean error level, quality of JPEGs in 400 pictures"


def test_a_small_shift_is_no_alarm_however_many_pictures_prove_it() -> None:
    drift = compare(reference(5000, 5000), rows(20_000, 1, moved=0.15), RULE)
    (mean,) = (shift for shift in drift.shifts if shift.column == "ela_mean")
    assert mean.p_value < 1e-6
    assert not drift.drifted


def test_few_groups_are_little_evidence() -> None:
    window = rows(400, 1, moved=0.8)
    assert compare(reference(600, 600), window, RULE).drifted
    assert not compare(reference(600, 6), window, RULE).drifted


def test_too_few_pictures_and_bundles_without_reference_give_no_verdict() -> None:
    few = compare(reference(), rows(20, 1, moved=9), RULE)
    assert (few.drifted, few.shifts) == (False, ())
    assert "fewer than 200" in few.reason
    assert "no reference" in compare(None, rows(400, 1), RULE).reason
    assert compare(reference(), rows(20, 1, moved=9), DriftRule(min_pictures=20)).drifted


def test_unshifted_windows_are_called_shifted_no_more_often_than_asked() -> None:
    population = reference()
    called = sum(compare(population, rows(300, seed), DriftRule(psi=0, alpha=0.05)).drifted for seed in range(1, 201))
    assert called <= 20  # 5 % are 10 of 200; 20 would be exceeded once in a thousand
