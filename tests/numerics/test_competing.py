"""Aalen and Johansen's curves and their variances: by hand in fractions, by brute force, and by what must hold."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics.cluster import clustered_std_error
from churnsurv.numerics.competing import CauseRows, aalen_johansen, cause_counts, incidence_limits
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.incidence_variance import delta_variance, jackknife_variance
from churnsurv.numerics.kaplan_meier import kaplan_meier

EACH = np.eye(2)[:, :, None]


def by_definition(rows, t, cause, weights):
    """F_k(t) with exact weights: a loop over the days and the rows."""
    survival, incidence = Fraction(1), Fraction(0)
    entries = [-1] * len(rows.duration) if rows.entry is None else rows.entry.tolist()
    table = list(zip(entries, rows.duration.tolist(), rows.outcome.tolist(), weights, strict=True))
    for day in sorted({d for e, d, k, _ in table if d <= t and k > 0 and e < d}):
        at_risk = sum(w for e, d, _, w in table if e < day <= d)
        events = sum(w for e, d, k, w in table if e < d == day and k > 0)
        mine = sum(w for e, d, k, w in table if e < d == day and k == cause)
        incidence += survival * mine / at_risk
        survival *= 1 - Fraction(events) / at_risk
    return incidence


def influences(rows, t, cause):
    """The derivative of F_k(t) in the weight of each row, in fractions: F is rational in it, and secants close in."""
    n, step = len(rows.duration), Fraction(1, 10**9)
    found = []
    for i in range(n):
        up, down = ([Fraction(1) + s * step * (j == i) for j in range(n)] for s in (1, -1))
        secant = (by_definition(rows, t, cause, up) - by_definition(rows, t, cause, down)) / (2 * step)
        found.append(float(secant))
    return np.array(found)


TEN = CauseRows(
    np.array([1, 2, 2, 2, 3, 4, 4, 5, 6, 6]),
    np.array([1, 1, 2, 0, 2, 1, 0, 2, 1, 0]),
)


def test_ten_rows_by_hand():
    """Days 1 ... 6: Y = 10, 9, 6, 5, 3, 2; cause 1 has 1, 1, 0, 1, 0, 1 events and cause 2 has 0, 1, 1, 0, 1, 0."""
    counts = cause_counts(TEN, n_causes=2)[0]
    assert counts.n_at_risk.tolist() == [10, 9, 6, 5, 3, 2]
    curves = aalen_johansen(counts)
    s = [Fraction(9, 10), Fraction(7, 10), Fraction(7, 12), Fraction(7, 15), Fraction(14, 45), Fraction(7, 45)]
    first = [Fraction(1, 10), Fraction(1, 5), Fraction(1, 5), Fraction(19, 60), Fraction(19, 60), Fraction(17, 36)]
    second = [0, Fraction(1, 10), Fraction(13, 60), Fraction(13, 60), Fraction(67, 180), Fraction(67, 180)]
    np.testing.assert_allclose(curves.survival, [float(x) for x in s], rtol=1e-14)
    np.testing.assert_allclose(curves.incidence[0], [float(x) for x in first], rtol=1e-14)
    np.testing.assert_allclose(curves.incidence[1], [float(x) for x in second], rtol=1e-14, atol=1e-16)


def test_delta_variance_by_hand():
    """F_1(2) of the ten rows: one event of the cause on day 1, one of each on day 2, where F_1(2) - F_1(2) is 0."""
    s1, s2, p1, p2 = Fraction(9, 10), Fraction(7, 10), Fraction(1, 10), Fraction(9, 10) / 9
    later = Fraction(1, 10)  # F_1(2) - F_1(1)
    own = (1 - later / s1) ** 2 * p1**2 + (1 - 0 / s2) ** 2 * p2**2
    counts = cause_counts(TEN, n_causes=2)[0]
    found = delta_variance(counts, aalen_johansen(counts))[0, 1]
    assert found == pytest.approx(float(own), rel=1e-13)


@pytest.mark.parametrize("late", [False, True])
def test_jackknife_is_the_sum_of_squared_derivatives(late):
    rng = np.random.default_rng(5)
    n = 14
    duration = rng.integers(2, 9, n)
    entry = np.where(rng.random(n) < 0.5, rng.integers(0, 3, n), 0) if late else None
    rows = CauseRows(duration, rng.integers(0, 3, n), entry)
    counts = cause_counts(rows, n_causes=2)[0]
    found = jackknife_variance(counts, aalen_johansen(counts), rows, EACH)
    cluster = rng.integers(0, 5, n)
    by_cluster = jackknife_variance(
        counts, aalen_johansen(counts), CauseRows(duration, rows.outcome, entry, cluster=cluster), EACH
    )
    for at, day in enumerate(counts.time.tolist()):
        if aalen_johansen(counts).survival[at] == 0:
            break  # a derivative in the weight of somebody who is not there is no longer smooth
        for cause in (1, 2):
            u = influences(rows, day, cause)
            assert found[cause - 1, at] == pytest.approx((u**2).sum(), rel=1e-7, abs=1e-16)
            sums = np.bincount(cluster, u)
            assert by_cluster[cause - 1, at] == pytest.approx((sums**2).sum(), rel=1e-7, abs=1e-16)


@st.composite
def rows_strategy(draw, *, whole=True):
    n = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    duration = rng.integers(0, draw(st.integers(1, 30)), n)
    entry = np.minimum(rng.integers(0, 12, n), duration) if draw(st.booleans()) else None
    if not whole and draw(st.booleans()):
        duration = duration + rng.random(n)
    return CauseRows(duration, rng.integers(0, 4, n), entry), rng


@settings(max_examples=60, deadline=None)
@given(rows_strategy(whole=False))
def test_incidences_and_survival_sum_to_one_and_rise(made):
    rows, _ = made
    counts = cause_counts(rows, n_causes=3)[0]
    curves = aalen_johansen(counts)
    np.testing.assert_allclose(curves.survival + curves.incidence.sum(axis=0), 1, rtol=0, atol=1e-13)
    assert (np.diff(curves.incidence, axis=1) >= 0).all()
    variance = jackknife_variance(counts, curves, rows, np.eye(3)[:, :, None])
    assert np.isfinite(variance).all()
    assert (variance >= 0).all()


@settings(max_examples=40, deadline=None)
@given(rows_strategy())
def test_frequencies_are_repeated_rows(made):
    rows, rng = made
    times = rng.integers(1, 4, len(rows.duration))
    weighted = CauseRows(rows.duration, rows.outcome, rows.entry, times.astype(float), frequency=True)
    repeated = rows.take(np.repeat(np.arange(len(times)), times))
    one, many = (cause_counts(r, n_causes=3)[0] for r in (weighted, repeated))
    assert one.n_at_risk.tolist() == many.n_at_risk.tolist()
    assert one.n_events.tolist() == many.n_events.tolist()
    curves = aalen_johansen(one)
    np.testing.assert_allclose(curves.incidence, aalen_johansen(many).incidence, rtol=1e-13)
    share = np.eye(3)[:, :, None]
    ours, theirs = (jackknife_variance(c, aalen_johansen(c), r, share) for c, r in ((one, weighted), (many, repeated)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-17)
    np.testing.assert_allclose(delta_variance(one, curves), delta_variance(many, curves), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(rows_strategy(), st.floats(0.01, 100))
def test_the_unit_of_sampling_weights_does_not_matter(made, unit):
    rows, rng = made
    w = rng.uniform(0.5, 3, len(rows.duration))
    both = [CauseRows(rows.duration, rows.outcome, rows.entry, w * u) for u in (1, unit)]
    counts = [cause_counts(r, n_causes=3)[0] for r in both]
    curves = [aalen_johansen(c) for c in counts]
    np.testing.assert_allclose(curves[0].incidence, curves[1].incidence, rtol=1e-11)
    found = [jackknife_variance(c, a, r, np.eye(3)[:, :, None]) for c, a, r in zip(counts, curves, both, strict=True)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-7, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(rows_strategy())
def test_each_row_as_its_own_cluster_changes_nothing(made):
    rows, _ = made
    counts = cause_counts(rows, n_causes=3)[0]
    alone = CauseRows(rows.duration, rows.outcome, rows.entry, cluster=np.arange(len(rows.duration)))
    share, curves = np.eye(3)[:, :, None], aalen_johansen(counts)
    ours, theirs = (jackknife_variance(counts, curves, r, share) for r in (rows, alone))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-17)


@settings(max_examples=40, deadline=None)
@given(rows_strategy())
def test_one_cause_is_kaplan_and_meier_with_greenwoods_error_and_limits(made):
    rows, _ = made
    rows = CauseRows(rows.duration, (rows.outcome > 0).astype(int))
    counts = cause_counts(rows, n_causes=1)[0]
    curves = aalen_johansen(counts)
    km = kaplan_meier(day_counts(rows.duration, rows.outcome > 0))
    np.testing.assert_allclose(1 - curves.incidence[0], km.survival, atol=1e-14)
    inside = (km.survival > 1e-9) & (km.survival < 1)
    error = np.sqrt(jackknife_variance(counts, curves, rows, np.ones((1, 1, 1))))[0]
    np.testing.assert_allclose(error[inside], km.std_error[inside], rtol=1e-8)
    lower, upper = incidence_limits(curves.incidence[0], error, level=0.95, ci="log-log")
    np.testing.assert_allclose(1 - lower[inside], km.upper[inside], rtol=1e-8)
    np.testing.assert_allclose(1 - upper[inside], km.lower[inside], rtol=1e-8, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(rows_strategy())
def test_one_cause_with_late_entry_and_clusters_is_kaplan_and_meiers_jackknife(made):
    rows, rng = made
    cluster, churned = rng.integers(0, 6, len(rows.duration)), rows.outcome > 0
    rows = CauseRows(rows.duration, churned.astype(int), rows.entry, cluster=cluster)
    counts = cause_counts(rows, n_causes=1)[0]
    if counts.time.size == 0:
        return
    ours = np.sqrt(jackknife_variance(counts, aalen_johansen(counts), rows, np.ones((1, 1, 1))))[0]
    of_days = day_counts(rows.duration, churned, entry=rows.entry)
    theirs = clustered_std_error(of_days, rows.duration, churned, cluster, entry=rows.entry)
    known = ~np.isnan(theirs)  # null at survival 0, where the incidence still has an error
    np.testing.assert_allclose(ours[known], theirs[known], rtol=1e-7, atol=1e-9)


def test_groups_are_counted_as_if_alone():
    rng = np.random.default_rng(3)
    n = 400
    rows = CauseRows(rng.integers(0, 40, n), rng.integers(0, 4, n), None)
    group = rng.integers(0, 5, n)
    for duration in (rows.duration, rows.duration + 0.25):
        made = CauseRows(duration, rows.outcome, np.minimum(rng.integers(0, 9, n), duration))
        for g, one in enumerate(cause_counts(made, n_causes=3, group=group, n_groups=5)):
            alone = cause_counts(made.take(np.flatnonzero(group == g)), n_causes=3)[0]
            for name in ("time", "at_risk", "events", "n_at_risk", "n_censored", "mass", "entry_time", "entered"):
                np.testing.assert_array_equal(getattr(one, name), getattr(alone, name), err_msg=name)
            assert (one.n_rows, one.n_no_risk) == (alone.n_rows, alone.n_no_risk)


def test_risk_at_any_time_is_a_count_of_rows():
    rng = np.random.default_rng(4)
    duration = rng.integers(2, 30, 200)
    entry = np.minimum(rng.integers(0, 20, 200), duration)
    counts = cause_counts(CauseRows(duration, rng.integers(0, 2, 200), entry), n_causes=1)[0]
    times = np.arange(0, 35) + 0.5
    assert counts.risk_at(times).tolist() == [((entry < t) & (t <= duration)).sum() for t in times]


def test_where_nobody_is_left_nothing_is_left_to_vary():
    rows = CauseRows(np.array([1, 2, 5]), np.array([1, 2, 1]), np.array([0, 0, 3]))
    counts = cause_counts(rows, n_causes=2)[0]
    curves = aalen_johansen(counts)
    assert curves.survival.tolist() == [0.5, 0.0, 0.0]
    assert curves.incidence.tolist() == [[0.5, 0.5, 0.5], [0.0, 0.5, 0.5]]
    assert np.isfinite(jackknife_variance(counts, curves, rows, EACH)).all()
    assert np.isfinite(delta_variance(counts, curves)).all()


def test_limits():
    incidence, error = np.array([0.0, 0.2, 1.0]), np.array([0.0, 0.05, 0.0])
    lower, upper = incidence_limits(incidence, error, level=0.9, ci="log-log")
    assert np.isnan(lower).tolist() == np.isnan(upper).tolist() == [True, False, True]
    z = 1.6448536269514722
    s = z * 0.05 / (0.8 * np.log(0.8))
    np.testing.assert_allclose([lower[1], upper[1]], 1 - 0.8 ** np.exp([s, -s]), rtol=1e-13)
    lower, upper = incidence_limits(incidence, error, level=0.9, ci="plain")
    np.testing.assert_allclose([lower[1], upper[1]], [0.2 - z * 0.05, 0.2 + z * 0.05])
    with pytest.raises(InputError, match="Did you mean 'plain'"):
        incidence_limits(incidence, error, level=0.9, ci="plane")
