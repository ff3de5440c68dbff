"""Net benefit by hand, by its definition, and its derivative in the weight of each row."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics import decision as module
from churnsurv.numerics.censoring import Drawn, followed
from churnsurv.numerics.decision import net_benefit

from .jackknife import derivatives, table

AT = np.array([0.1, 0.3, 0.5, 0.8])


def predictions(n: int = 60) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.02, 0.95, n)


def test_ten_rows_by_hand() -> None:
    duration = np.array([1, 2, 2, 3, 4, 4, 5, 6, 6, 6])
    churned = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 0], dtype=bool)
    p = np.array([9, 8, 7, 6, 1, 5, 2, 3, 1, 1]) / 10
    found = net_benefit(followed(duration, churned), 4, p, np.array([0.5]))
    # five are contacted: churn on days 1, 2, 3, censored on 2 and 4: S(4) = 4/5 * 3/4 * 1/2
    left = 4 / 5 * 3 / 4 * 1 / 2
    np.testing.assert_allclose(found.estimate, [0.5 * ((1 - left) - left)], rtol=1e-14)
    greenwood = 1 / (5 * 4) + 1 / (4 * 3) + 1 / (2 * 1)
    g = 1 - 2 * left
    variance = g**2 * 0.25 / 10 + (0.5 * 2 * left) ** 2 * greenwood
    np.testing.assert_allclose(found.std_error, [np.sqrt(variance)], rtol=1e-14)
    assert (found.contacted.tolist(), found.churned.tolist()) == ([0.5], [pytest.approx(1 - left)])


@pytest.mark.parametrize("late", [False, True])
def test_the_influence_is_the_derivative(late: bool) -> None:
    of, p = table(51, n=60, late=late), predictions()

    def found(weights):
        return net_benefit(followed(of.duration, of.churned, entry=of.entry, drawn=Drawn(weights)), 9, p, AT)

    slopes = derivatives(lambda w: found(w).estimate, of.weights)
    expected = np.sqrt(np.square(slopes * of.weights[:, None]).sum(axis=0))
    np.testing.assert_allclose(found(of.weights).std_error, expected, rtol=1e-6)


def test_the_short_formula_is_the_jackknife_and_the_table_is_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    of, p = table(52, n=60), predictions()
    rows = followed(of.duration, of.churned)
    short = net_benefit(rows, 9, p, AT)
    by_row = net_benefit(rows, 9, p, AT, by_row=True)
    monkeypatch.setattr(module, "_CELLS", 0)
    counted = net_benefit(rows, 9, p, AT)
    for other in (by_row, counted):
        for name in ("estimate", "std_error", "contacted", "churned"):
            np.testing.assert_allclose(getattr(other, name), getattr(short, name), rtol=1e-11)


def test_frequencies_are_repeated_rows() -> None:
    of, p = table(53, n=60), predictions()
    times = np.random.default_rng(0).integers(1, 4, 60)
    again = np.repeat(np.arange(60), times)
    few = net_benefit(followed(of.duration, of.churned, drawn=Drawn(times.astype(float), True)), 9, p, AT)
    many = net_benefit(followed(of.duration[again], of.churned[again]), 9, p[again], AT)
    np.testing.assert_allclose([few.estimate, few.std_error], [many.estimate, many.std_error], rtol=1e-12)


def test_without_censoring_it_is_the_plain_definition() -> None:
    of, p = table(54, n=60), predictions()
    found = net_benefit(followed(of.duration, np.ones(60, dtype=bool)), 7, p, AT)
    for j, t in enumerate(AT):
        above, gone = p >= t, of.duration <= 7
        expected = (above & gone).mean() - (above & ~gone).mean() * t / (1 - t)
        np.testing.assert_allclose(found.estimate[j], expected, rtol=1e-12, atol=1e-15)


def test_nobody_contacted_is_worth_nothing_and_lost_follow_up_is_not_known() -> None:
    duration, churned = np.array([3, 4, 9, 9]), np.array([False, True, False, True])
    p = np.array([0.9, 0.2, 0.2, 0.3])
    found = net_benefit(followed(duration, churned), 8, p, np.array([0.1, 0.5, 0.95]))
    assert np.isnan(found.estimate).tolist() == [False, True, False]
    assert (found.estimate[2], found.std_error[2], found.contacted[2]) == (0, 0, 0)
    assert np.isnan(found.churned[2])


def test_a_threshold_is_reached_by_a_prediction_equal_to_it() -> None:
    rows = followed(np.array([1, 9]), np.array([True, False]))
    assert net_benefit(rows, 5, np.array([0.5, 0.4]), np.array([0.5])).contacted.tolist() == [0.5]
