"""Limits for skewed amounts: where the law is normal, classes of equal users, the moved quantiles, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from churnsurv.errors import InputError
from churnsurv.numerics import bootstrap_t
from churnsurv.numerics.bootstrap_t import student_law


def law_of(values, **keywords):
    v = (values - values.mean()) / values.size
    settings = {"estimate": 1.0, "std_error": 0.5, "level": 0.95, **keywords}
    return student_law(v, np.zeros(values.size, dtype=int), **settings)


def test_symmetric_amounts_have_the_normal_law():
    found = law_of(np.linspace(-1, 1, 501))
    assert found.how == "normal"
    assert (found.low, found.high) == pytest.approx((ndtri(0.025), ndtri(0.975)), abs=1e-12)
    assert found.p_value == pytest.approx(0.0455, abs=1e-4)


def test_classes_of_equal_users_have_the_law_of_the_users(monkeypatch):
    """Mostly zeros: drawn as classes or one by one, the law is the same up to the chance of the draws."""
    rng = np.random.default_rng(2)
    values = np.where(rng.random(3000) < 0.03, 100.0, 0.0)
    by_class = law_of(values, draws=20_000)
    monkeypatch.setattr(bootstrap_t, "_COMPRESSED", 10**9)
    one_by_one = law_of(values, draws=2000)
    assert by_class.how == one_by_one.how == "bootstrap-t"
    assert by_class.low == pytest.approx(one_by_one.low, abs=0.12)
    assert by_class.high == pytest.approx(one_by_one.high, abs=0.12)


def test_resamples_tend_to_the_moved_quantiles(monkeypatch):
    values = np.random.default_rng(5).exponential(1, 4000)
    resampled = law_of(values, draws=9999)
    monkeypatch.setattr(bootstrap_t, "_MOST", 10)
    moved = law_of(values)
    assert (resampled.how, moved.how) == ("bootstrap-t", "skewness")
    assert resampled.low == pytest.approx(moved.low, abs=0.06)
    assert resampled.high == pytest.approx(moved.high, abs=0.06)
    assert moved.low < ndtri(0.025)
    assert moved.p_value == pytest.approx(law_of(values, draws=9999).p_value, abs=0.01)


def test_a_limit_at_zero_has_the_p_value_of_the_level():
    values = np.random.default_rng(6).exponential(1, 300)
    law = law_of(values)
    at_limit = law_of(values, estimate=0.5 * law.high)
    assert at_limit.p_value == pytest.approx(0.05, abs=0.002)


def test_the_same_seed_gives_the_same_digits_and_no_spread_gives_none():
    values = np.random.default_rng(6).exponential(1, 300)
    assert law_of(values, seed=3) == law_of(values, seed=3)
    assert law_of(values, seed=3) != law_of(values, seed=4)
    assert np.isnan(law_of(np.zeros(5)).p_value)
    with pytest.raises(InputError, match="draws must be at least 99"):
        law_of(values, draws=10)


def test_limits_cover_a_skewed_mean_better_than_normal_ones():
    """Means of 60 amounts, log-normal with sigma 1: the lower tail is the one that normal limits miss."""
    rng = np.random.default_rng(12)
    truth, hits = np.exp(0.5), np.zeros(2)
    for k in range(300):
        values = np.exp(rng.standard_normal(60))
        error = values.std() / np.sqrt(60)
        law = law_of(values, estimate=values.mean(), std_error=error, seed=k, draws=499)
        t = (values.mean() - truth) / error
        hits += [law.low <= t <= law.high, abs(t) <= 1.96]
    assert hits[0] / 300 > 0.91
    assert hits[0] > hits[1]


def test_limits_are_never_inside_the_normal_ones_and_a_giant_is_told_of():
    z = ndtri(0.975)
    for seed in range(5):
        law = law_of(np.exp(2 * np.random.default_rng(seed).standard_normal(80)), draws=499)
        assert law.low <= -z
        assert law.high >= z
        assert law.p_value >= law_of(np.linspace(-1, 1, 80)).p_value - 1e-12
    values = np.ones(100)
    values[0] = 1000.0
    assert law_of(values).largest == pytest.approx(0.99, abs=0.001)
