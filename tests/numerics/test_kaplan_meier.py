"""Kaplan and Meier's curve worked by hand in fractions; conventions of intervals and quantiles."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.kaplan_meier import KaplanMeier, kaplan_meier, quantiles

EXACT = {"rtol": 1e-10, "atol": 1e-12}
Z = NormalDist().inv_cdf(0.975)


def curve(duration, churned, entry=None, **options) -> KaplanMeier:
    late = None if entry is None else np.array(entry)
    return kaplan_meier(day_counts(np.array(duration), np.array(churned, dtype=bool), entry=late), **options)


# Ten rows. Day 2: two churn and one is censored among 8 (one entered at 1, two are late); day 4: one censored; day 5:
# two churn of 5; day 7: one churns of 3 and one is censored; day 9: one censored.
DURATION = [2, 2, 2, 4, 5, 5, 7, 7, 9, 1]
CHURNED = [1, 1, 0, 0, 1, 1, 1, 0, 0, 0]
ENTRY = [0, 0, 0, 1, 0, 2, 3, 0, 0, 0]
TIMES = [1, 2, 4, 5, 7, 9]
AT_RISK = [7, 7, 6, 5, 3, 1]
EVENTS = [0, 2, 0, 2, 1, 0]


def test_by_hand_with_ties_late_entry_and_censoring_tied_with_churn() -> None:
    survival, sum_of_terms, hazard = Fraction(1), Fraction(0), Fraction(0)
    expected = []
    for n, d in zip(AT_RISK, EVENTS, strict=True):
        survival *= 1 - Fraction(d, n)
        sum_of_terms += Fraction(d, n * (n - d))
        hazard += Fraction(d, n)
        expected.append((survival, survival**2 * sum_of_terms, hazard))
    assert expected[-1][0] == Fraction(5, 7) * Fraction(3, 5) * Fraction(2, 3) == Fraction(2, 7)
    km = curve(DURATION, CHURNED, ENTRY)
    assert km.time.tolist() == TIMES
    np.testing.assert_allclose(km.survival, [float(s) for s, _, _ in expected], **EXACT)
    np.testing.assert_allclose(km.std_error**2, [float(v) for _, v, _ in expected], **EXACT)
    np.testing.assert_allclose(km.cumulative_hazard, [float(h) for _, _, h in expected], **EXACT)


def test_interval_types_by_hand() -> None:
    # 1 of 4 churns: S = 3/4, Greenwood's variance (3/4)^2 (1/12) = 3/64
    s, se = 0.75, math.sqrt(3 / 64)
    ends = {
        "plain": (s - Z * se, 1.0),
        "log": (s * math.exp(-Z * se / s), 1.0),
        "log-log": (
            s ** math.exp(Z * se / (s * -math.log(s))),
            s ** math.exp(-Z * se / (s * -math.log(s))),
        ),
    }
    for ci, (lower, upper) in ends.items():
        km = curve([1, 2, 2, 2], [1, 0, 0, 0], ci=ci)
        np.testing.assert_allclose([km.lower[0], km.upper[0]], [lower, upper], **EXACT)


def test_level_widens_the_interval() -> None:
    narrow, wide = (curve(DURATION, CHURNED, ci="plain", level=level) for level in (0.5, 0.99))
    np.testing.assert_allclose(narrow.survival - narrow.lower, 0.6744897501960817 * narrow.std_error, **EXACT)
    inside = narrow.std_error > 0
    assert (wide.lower[inside] < narrow.lower[inside]).all()


@pytest.mark.parametrize(("ci", "at_one"), [("log-log", math.nan), ("log", 1.0), ("plain", 1.0)])
def test_limits_at_survival_one_and_zero(ci: str, at_one: float) -> None:
    km = curve([1, 2], [0, 1], ci=ci)
    assert km.survival.tolist() == [1.0, 0.0]
    np.testing.assert_equal([km.lower[0], km.upper[0], km.std_error[0]], [at_one, at_one, 0.0])
    np.testing.assert_equal([km.lower[1], km.upper[1], km.std_error[1]], [math.nan] * 3)


def test_a_risk_set_that_empties_by_censoring_refills() -> None:
    # all seen before day 4 are gone by then, at survival 2/3; three enter on day 5, one churns on day 8
    km = curve([2, 3, 4, 8, 9, 10], [1, 0, 0, 1, 0, 0], [0, 0, 0, 5, 5, 5])
    np.testing.assert_allclose(km.survival, [2 / 3] * 3 + [4 / 9] * 3, **EXACT)
    variance = Fraction(4, 9) ** 2 * (Fraction(1, 6) + Fraction(1, 6))
    np.testing.assert_allclose(km.std_error[-1] ** 2, float(variance), **EXACT)


def test_after_all_at_risk_churned_survival_stays_zero() -> None:
    km = curve([2, 3, 8, 9], [1, 1, 1, 0], [0, 0, 5, 5])
    assert km.survival.tolist() == [0.5, 0.0, 0.0, 0.0]
    assert np.isnan(km.std_error[1:]).all()
    assert np.isnan(km.upper[1:]).all()
    assert np.isfinite(km.cumulative_hazard).all()


def test_without_censoring_the_curve_is_the_share_left_and_its_variance_binomial() -> None:
    days = np.array([1, 2, 2, 3, 5, 5, 5, 9])
    km = curve(days, np.ones(8))
    share = np.array([(days > t).mean() for t in km.time])
    np.testing.assert_allclose(km.survival, share, **EXACT)
    np.testing.assert_allclose(km.std_error[:-1], np.sqrt(share * (1 - share) / 8)[:-1], **EXACT)


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(1, 15), st.booleans()), min_size=1, max_size=50),
    st.sampled_from(["log-log", "log", "plain"]),
)
def test_survival_never_rises_and_limits_hold_it(rows: list[tuple[int, int, bool]], ci: str) -> None:
    entry, stay, churned = (np.array(column) for column in zip(*rows, strict=True))
    km = curve(entry + stay, churned, entry, ci=ci)
    assert (np.diff(km.survival, prepend=1.0) <= 0).all()
    assert (np.diff(km.cumulative_hazard, prepend=0.0) >= 0).all()
    known = ~np.isnan(km.lower)
    assert np.array_equal(known, ~np.isnan(km.upper))
    assert (km.lower[known] <= km.survival[known] + 1e-12).all()
    assert (km.upper[known] >= km.survival[known] - 1e-12).all()
    assert ((km.lower[known] >= 0) & (km.upper[known] <= 1)).all()


def test_quantile_midway_where_the_curve_is_flat_at_the_level() -> None:
    km = curve([1, 2, 3, 4], [1, 1, 1, 1])
    assert quantiles(km, np.array([0.25, 0.3, 0.5, 0.75, 0.9, 1.0])).time.tolist() == [
        1.5,
        2.0,
        2.5,
        3.5,
        4.0,
        4.0,
    ]


def test_a_flat_end_reaches_to_the_last_day() -> None:
    # survival is 1/2 from day 2 to the end of follow-up on day 7
    km = curve([1, 2, 4, 7], [1, 1, 0, 0])
    found = quantiles(km, np.array([0.25, 0.5, 0.6])).time
    np.testing.assert_equal(found, [1.5, 4.5, math.nan])


def test_rounding_does_not_hide_a_flat_level() -> None:
    # products such as 9/10 * 8/9 * ... are not quite 1 - k/10 in floating point
    km = curve(np.arange(1, 11), np.ones(10))
    assert (km.survival != 1 - np.arange(1, 11) / 10).any()
    assert quantiles(km, np.arange(1, 10) / 10).time.tolist() == [k + 0.5 for k in range(1, 10)]


def test_quantile_limits_read_the_limits_of_the_curve() -> None:
    km = curve(DURATION * 4, CHURNED * 4)
    found = quantiles(km, np.array([0.5]))
    assert found.lower[0] == km.time[np.argmax(km.lower <= 0.5)]
    assert found.upper[0] == km.time[np.argmax(km.upper <= 0.5)]
    assert found.lower[0] <= found.time[0] <= found.upper[0]


def test_limits_that_rise_again_and_begin_as_null_count_from_their_first_crossing() -> None:
    time, zero = np.arange(1, 8), np.zeros(7)
    survival = np.array([1, 0.9, 0.7, 0.6, 0.5, 0.4, 0.3])
    upper = np.array([np.nan, 0.95, 0.45, 0.65, 0.62, 0.55, 0.52])
    found = quantiles(KaplanMeier(time, survival, zero, survival, upper, zero), np.array([0.1, 0.45, 0.5, 0.6]))
    np.testing.assert_equal(found.upper, [3.0, 3.0, 3.0, math.nan])


def test_quantile_limits_are_null_where_the_limit_is() -> None:
    km = curve([1, 2], [1, 1], ci="plain")  # limits end as null on day 2, where survival is 0
    found = quantiles(km, np.array([1.0]))
    assert found.time.tolist() == [2.0]
    assert np.isnan(found.upper[0])


def test_given_standard_errors_replace_greenwoods() -> None:
    km = curve([1, 2, 2, 2], [1, 0, 0, 0], ci="plain", std_error=np.array([0.1, 0.1]))
    np.testing.assert_allclose(km.lower, 0.75 - Z * 0.1, **EXACT)


def test_unknown_interval_and_several_groups_are_refused() -> None:
    with pytest.raises(InputError, match=r"not 'log_log'\. Did you mean 'log-log'\?"):
        curve([1], [1], ci="log_log")
    counts = day_counts(np.array([1, 2]), np.array([True, True]), group=np.array([0, 1]), n_groups=2)
    with pytest.raises(InputError, match="one group, not 2"):
        kaplan_meier(counts)


def test_arrays_are_read_only() -> None:
    km = curve([1, 2], [1, 0])
    with pytest.raises(ValueError, match="read-only"):
        km.survival[0] = 0.0
