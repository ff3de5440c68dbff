"""The chance that a monitored campaign has crossed: one look in closed form, many against paths that are drawn."""

import numpy as np
import pytest
from scipy.stats import norm

from churnsurv.numerics.campaign_power import two_curves
from churnsurv.numerics.monitored_power import crossing_chances, monitored_power

SCALE, ALPHA = 0.3, 0.05


def bound(information):
    return np.sqrt((information + 1 / SCALE**2) * (2 * np.log(1 / ALPHA) + np.log1p(information * SCALE**2)))


def test_one_look_is_a_normal_tail():
    information, theta = 300.0, 0.2
    edge, sd = bound(information), np.sqrt(information)
    expected = norm.sf((edge - theta * information) / sd) + norm.cdf((-edge - theta * information) / sd)
    found = crossing_chances(theta, np.array([information]), prior_scale=SCALE, alpha=ALPHA)
    assert found[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("theta", [0.0, 0.12, -0.2])
def test_many_looks_agree_with_paths(theta):
    information = np.cumsum(np.concatenate([np.linspace(2, 16, 30), np.linspace(16, 5, 20)]))
    steps, rng = np.diff(np.append(0.0, information)), np.random.default_rng(7)
    paths = np.cumsum(rng.normal(theta * steps, np.sqrt(steps), (20_000, steps.size)), axis=1)
    crossed = np.maximum.accumulate(np.abs(paths) >= bound(information), axis=1).mean(axis=0)
    found = crossing_chances(theta, information, prior_scale=SCALE, alpha=ALPHA)
    # three simulation errors
    np.testing.assert_allclose(found, crossed, atol=3 * 0.5 / np.sqrt(20_000))


def test_without_effect_it_stays_below_alpha_however_long():
    found = crossing_chances(0.0, np.geomspace(1.0, 1e6, 400), prior_scale=SCALE, alpha=ALPHA)
    assert np.all(np.diff(found) >= 0)
    assert 0.01 < found[-1] < ALPHA


def test_more_users_a_day_show_a_lift_sooner():
    curves = two_curves(0.99 ** np.arange(1, 31), measure="hazard_ratio", lift=1.3)
    slow, fast = (
        monitored_power(curves, n_users=6000, per_day=rate, holdout=0.2, prior_scale=SCALE, alpha=ALPHA)
        for rate in (100, 400)
    )
    assert slow.crossed.size == 60 + 29
    assert fast.crossed.size == 15 + 29
    assert fast.expected_days < slow.expected_days
    # the same users bring the same evidence in the end, looked at more or less often
    assert fast.crossed[-1] == pytest.approx(slow.crossed[-1], abs=0.02)
    assert slow.expected_days == pytest.approx(1 + (1 - slow.crossed[:-1]).sum())
