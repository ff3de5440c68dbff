"""Causes that are known for a part of the events: shares by day, and the variance that they add."""

import numpy as np
import pytest

from churnsurv.numerics.competing import CauseRows, aalen_johansen, cause_counts
from churnsurv.numerics.incidence_variance import jackknife_variance
from churnsurv.numerics.reasons import missing_at_random


def found(duration, outcome, **how):
    rows = CauseRows(np.array(duration), np.array(outcome), **how)
    counts = cause_counts(rows, n_causes=3)[0]
    return counts, [missing_at_random(counts, rows, cause=k, unknown=2) for k in (0, 1)]


def test_days_without_a_known_cause_take_the_nearest_ones():
    """Ten rows. Day 1: cause 1; day 3: unknown, as near to day 1 as to day 5; day 5: causes 1, 2; day 6: unknown."""
    _, (first, second) = found([1, 3, 5, 5, 6, 7, 7, 7, 7, 7], [1, 3, 1, 2, 3, 0, 0, 0, 0, 0])
    # each event is worth 1/10, as nobody is censored before
    np.testing.assert_allclose(first.incidence, [0.1, 0.1 + 0.2 / 3, 0.2 + 0.2 / 3, 0.25 + 0.2 / 3, 0.25 + 0.2 / 3])
    np.testing.assert_allclose(second.incidence, [0, 0.1 / 3, 0.1 + 0.1 / 3, 0.15 + 0.1 / 3, 0.15 + 0.1 / 3])


def test_with_all_causes_known_it_is_aalen_and_johansen():
    rng = np.random.default_rng(0)
    rows = CauseRows(rng.integers(1, 20, 100), rng.integers(0, 3, 100))
    counts, both = found(rows.duration, rows.outcome)
    curves = aalen_johansen(counts)
    plain = jackknife_variance(counts, curves, rows, np.eye(3)[:, :, None])
    for k, one in enumerate(both):
        np.testing.assert_allclose(one.incidence, curves.incidence[k], rtol=1e-13)
        # the parts are uncorrelated in expectation, not in each sample
        np.testing.assert_allclose(one.variance[3:], plain[k, 3:], rtol=0.35)


def test_incidences_and_survival_sum_to_one():
    rng = np.random.default_rng(1)
    counts, both = found(rng.integers(1, 60, 200), rng.integers(0, 4, 200))
    total = both[0].incidence + both[1].incidence + aalen_johansen(counts).survival
    np.testing.assert_allclose(total, 1, atol=1e-13)


def test_no_known_cause_says_nothing():
    _, (first, _) = found([1, 2, 3], [3, 3, 0])
    assert np.isnan(first.incidence).all()
    assert np.isnan(first.variance).all()


@pytest.mark.parametrize("share_known", [0.3, 0.8])
def test_the_variance_is_that_of_repeated_samples(share_known):
    """2,000 samples of 150 rows: cause known for a part, whatever it is."""
    rng = np.random.default_rng(2)
    values, variances = [], []
    for _ in range(2000):
        duration = rng.integers(1, 11, 150)
        outcome = rng.choice(3, 150, p=[0.4, 0.25, 0.35])
        outcome[(outcome > 0) & (rng.random(150) > share_known)] = 3
        counts, (one, _) = found(duration, outcome)
        at = np.searchsorted(counts.time, 8, side="right") - 1
        values.append(one.incidence[at])
        variances.append(one.variance[at])
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.12)
