"""Weights in counts: frequencies are repeated rows, sampling weights are sums, and empty means empty."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.weighted_counts import frequency_counts, steps_of, weighted_steps

ROWS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 6), st.booleans(), st.integers(1, 5), st.booleans()),
    min_size=1,
    max_size=30,
)


def arrays(rows: list[tuple], late: bool) -> tuple:
    entry = np.array([r[0] for r in rows])
    duration = np.array([r[1] for r in rows]) + entry
    churned = np.array([r[2] for r in rows])
    return duration, churned, np.array([r[3] for r in rows], dtype=float), entry if late else None


@given(ROWS, st.booleans())
def test_a_frequency_is_a_row_repeated(rows: list[tuple], late: bool) -> None:
    duration, churned, weights, entry = arrays(rows, late)
    found = frequency_counts(day_counts(duration, churned, entry=entry), duration, churned, weights, entry=entry)
    times = weights.astype(int)
    again = day_counts(
        np.repeat(duration, times), np.repeat(churned, times), entry=None if entry is None else np.repeat(entry, times)
    )
    for name in ("time", "n_at_risk", "n_events", "n_censored", "entry_time", "n_entered", "n_rows", "n_no_risk"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name), err_msg=name)
        assert getattr(found, name).dtype == getattr(again, name).dtype


@given(ROWS, st.booleans())
def test_sampling_weights_are_summed(rows: list[tuple], late: bool) -> None:
    duration, churned, weights, entry = arrays(rows, late)
    weights = weights / 7
    counts = day_counts(duration, churned, entry=entry)
    found = weighted_steps(counts, duration, churned, weights, entry=entry)
    start = np.full(duration.size, -1) if entry is None else entry
    for k, t in enumerate(counts.time):
        at_risk = (start < t) & (duration >= t)
        np.testing.assert_allclose(found.n_at_risk[k], weights[at_risk].sum(), rtol=1e-13)
        np.testing.assert_allclose(found.n_events[k], weights[at_risk & (duration == t) & churned].sum(), rtol=1e-13)
    everybody = counts.n_events[0] == counts.n_at_risk[0]
    np.testing.assert_array_equal(found.n_events[everybody], found.n_at_risk[everybody])
    assert (found.n_events[~everybody] < found.n_at_risk[~everybody]).all()


def test_the_last_of_a_risk_set_is_exact_after_heavy_rows_have_left() -> None:
    # a row of weight 1e12 leaves on day 1; what is left is .1 and .2, not 1e12 less 1e12
    duration, churned = np.array([1, 2, 3, 7]), np.array([False, True, True, True])
    weights = np.array([1e12, 0.1, 0.2, 0.3])
    found = weighted_steps(day_counts(duration, churned), duration, churned, weights)
    np.testing.assert_allclose(found.n_at_risk[1:], [0.6, 0.5, 0.3], rtol=1e-15)
    late = np.array([0, 0, 0, 5])
    found = weighted_steps(day_counts(duration, churned, entry=late), duration, churned, weights, entry=late)
    assert found.n_at_risk[2] == found.n_events[2] == 0.2  # everybody who is there churns on day 3
    assert found.n_at_risk[3] == found.n_events[3] == 0.3  # and the next enters on day 5, into an empty set


def test_by_hand() -> None:
    duration, churned = np.array([2, 2, 4, 5, 5]), np.array([True, False, True, True, False])
    weights, entry = np.array([1.5, 0.5, 2.0, 1.0, 3.0]), np.array([0, 0, 2, 0, 4])
    found = weighted_steps(day_counts(duration, churned, entry=entry), duration, churned, weights, entry=entry)
    assert found.time.tolist() == [2, 4, 5]
    assert found.n_at_risk.tolist() == [float(Fraction(3)), 3.0, 4.0]
    assert found.n_events.tolist() == [1.5, 2.0, 1.0]
    assert found.after(2).time.tolist() == [4, 5]


def test_counts_without_weights_are_steps() -> None:
    counts = day_counts(np.array([1, 3]), np.array([True, True]))
    steps = steps_of(counts)
    assert steps.n_at_risk.dtype == np.float64
    assert steps_of(steps) is steps
