"""Areas under curves by hand in fractions, and their errors against derivatives."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.cluster import clustered_rows
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.rmst import area_under_curve, clustered_area_influence
from churnsurv.numerics.weighted_counts import Steps, steps_of, weighted_steps

# ten rows, one of them late: at risk 9, 9, 6, 5, 3, 1 as in the test of the curve
DURATION = np.array([2, 2, 2, 4, 5, 5, 7, 7, 9, 1])
CHURNED = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 0], dtype=bool)
ENTRY = np.array([0, 0, 0, 1, 0, 2, 3, 0, 0, 0])
STEPS = {2: (7, 2), 5: (5, 2), 7: (3, 1)}  # day: at risk, churned


def by_hand(horizon: Fraction) -> tuple[Fraction, Fraction]:
    """Area and Greenwood-type variance, step by step in fractions."""
    corners = [Fraction(0), *(Fraction(day) for day in STEPS if day < horizon), horizon]
    survival, areas = Fraction(1), []
    for k in range(len(corners) - 1):
        if k:
            n, d = STEPS[int(corners[k])]
            survival *= 1 - Fraction(d, n)
        areas.append(survival * (corners[k + 1] - corners[k]))
    variance = Fraction(0)
    for k, day in enumerate(corners[1:-1], start=1):
        n, d = STEPS[int(day)]
        variance += sum(areas[k:]) ** 2 * Fraction(d, n * (n - d))
    return sum(areas, Fraction(0)), variance


@pytest.mark.parametrize("horizon", [Fraction(1), Fraction(2), Fraction(5), Fraction(13, 2), Fraction(9)])
def test_ten_rows_by_hand(horizon: Fraction) -> None:
    steps = steps_of(day_counts(DURATION, CHURNED, entry=ENTRY))
    area, variance = by_hand(horizon)
    found = area_under_curve(steps, horizon=float(horizon))
    assert found.area == pytest.approx(float(area), rel=1e-14)
    assert found.std_error**2 == pytest.approx(float(variance), rel=1e-13)


def test_a_curve_that_ends_at_zero_has_the_variance_of_a_mean() -> None:
    # nobody censored: the area is the mean of min(T, horizon), its variance that of the sample over n
    days = np.array([1.0, 2, 2, 3, 5, 8, 8, 9])
    steps = steps_of(day_counts(days, np.ones(8, bool)))
    for horizon in (4.0, 9.0, 20.0):
        found = area_under_curve(steps, horizon=horizon)
        cut = np.minimum(days, horizon)
        assert found.area == pytest.approx(cut.mean(), rel=1e-14)
        assert found.std_error == pytest.approx(cut.std() / np.sqrt(8), rel=1e-13)
        rows = clustered_rows(steps.time, days, np.ones(8, bool), np.arange(8))
        influence = clustered_area_influence(steps, found.remaining, rows)
        np.testing.assert_allclose(influence, (cut - cut.mean()) / 8, rtol=1e-12)


def test_before_the_first_churn_nothing_varies() -> None:
    found = area_under_curve(Steps(np.array([5]), np.array([3.0]), np.array([1.0])), horizon=5)
    assert (found.area, found.std_error) == (5.0, 0.0)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 7), st.booleans(), st.integers(0, 3), st.sampled_from([0.2, 1, 3])),
        min_size=1, max_size=20,
    ),
    st.integers(1, 12),
)  # fmt: skip
def test_influence_is_the_derivative_in_the_weights(rows: list[tuple], horizon: int) -> None:
    entry = np.array([r[0] for r in rows])
    duration, churned = entry + np.array([r[1] for r in rows]), np.array([r[2] for r in rows])
    cluster, weights = np.array([r[3] for r in rows]), np.array([r[4] for r in rows], dtype=float)
    counts = day_counts(duration, churned, entry=entry)

    def area(w: np.ndarray) -> float:
        return area_under_curve(weighted_steps(counts, duration, churned, w, entry=entry), horizon=horizon).area

    steps = weighted_steps(counts, duration, churned, weights, entry=entry)
    placed = clustered_rows(steps.time, duration, churned, cluster, entry=entry, weights=weights, n_clusters=4)
    found = clustered_area_influence(steps, area_under_curve(steps, horizon=horizon).remaining, placed)
    for c in range(4):
        h = 1e-5 * (cluster == c)
        slope = (area(weights * (1 + h)) - area(weights * (1 - h))) / 2e-5
        assert found[c] == pytest.approx(slope, abs=2e-8)
