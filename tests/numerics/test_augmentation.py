"""Joint covariance of arms, clusters, and covariates: by hand, by brute force, and against the formula of slopes."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.augmentation import adjusted_vector, arm_moments, shared_clusters


def columns_of(values):
    return lambda rows: values[:, rows]


def two_arms(n0, n1, seed, slopes=(2.0, 0.5)):
    """An outcome with slopes of its own in each arm, and influences on both arms' means."""
    rng = np.random.default_rng(seed)
    arm = np.repeat([0, 1], [n0, n1])
    x = rng.standard_normal(arm.size)
    y = arm + np.array(slopes)[arm] * x + rng.standard_normal(arm.size)
    means = np.array([[y[arm == a].mean(), x[arm == a].mean()] for a in (0, 1)])
    n = np.array([n0, n1])
    influence = (np.stack([y, x]) - means[arm].T) / n[arm]
    return arm, x, y, means, influence, n


def test_for_two_arms_it_is_the_formula_of_arm_specific_slopes():
    """theta = (1 - pi) beta1 + pi beta0, each slope by least squares in its arm, with covariates that vary alike."""
    arm, x, y, _, _, n = two_arms(40, 160, seed=3)
    # the same values of x in every arm, four times as often in the large one: they vary alike
    x = np.concatenate([x[:40], np.tile(x[:40] + 0.3, 4)])
    y = arm + np.where(arm == 0, 2.0, 0.5) * x + 0.1 * np.sin(17 * np.arange(200))
    means = np.array([[y[arm == a].mean(), x[arm == a].mean()] for a in (0, 1)])
    influence = (np.stack([y, x]) - means[arm].T) / n[arm]
    found = adjusted_vector(means, arm_moments(columns_of(influence), arm, 2, 2), n * 10**9, n_covariates=1)
    beta = [np.polyfit(x[arm == a], y[arm == a], 1)[0] for a in (0, 1)]
    theta = 0.2 * beta[1] + 0.8 * beta[0]
    difference = means[1] - means[0]
    assert found.estimate[1, 0] - found.estimate[0, 0] == pytest.approx(difference[0] - theta * difference[1], rel=1e-8)


def test_equal_slopes_of_one_remove_all_of_the_covariate():
    arm, x, _, means, influence, n = two_arms(30, 50, seed=1)
    y = 3 * x + 2 * arm
    means = np.array([[y[arm == a].mean(), x[arm == a].mean()] for a in (0, 1)])
    influence = (np.stack([y, x]) - means[arm].T) / n[arm]
    found = adjusted_vector(means, arm_moments(columns_of(influence), arm, 2, 2), n, n_covariates=1)
    c = np.array([-1.0, 1.0])
    assert c @ found.estimate[:, 0] == pytest.approx(2.0, abs=1e-10)
    assert c @ found.covariance[:, 0, :, 0] @ c == pytest.approx(0, abs=1e-12)


def test_loadings_give_back_estimate_and_variance():
    arm, _, _, means, influence, n = two_arms(60, 300, seed=5)
    found = adjusted_vector(means, arm_moments(columns_of(influence), arm, 2, 2), n, n_covariates=1)
    c = np.array([[-1.0], [1.0]])
    load = np.einsum("aq,aqbm->bm", c, found.loading)
    each = np.einsum("mi,im->i", influence, load[arm])
    assert np.sum(load * means) == pytest.approx(float(found.estimate[1, 0] - found.estimate[0, 0]), rel=1e-12)
    scale = (n / (n - found.lost))[arm] ** 2
    variance = np.einsum("aq,aqbr,br->", c, found.covariance, c)
    assert np.sum(scale * each**2) == pytest.approx(variance, rel=1e-10)
    assert found.lost.sum() == pytest.approx(1.0)
    assert found.lost[0] > found.lost[1]  # the small arm pays for the slope


def test_repeated_and_constant_covariates_add_nothing():
    arm, _, _, means, influence, n = two_arms(60, 80, seed=8)
    once = adjusted_vector(means, arm_moments(columns_of(influence), arm, 2, 2), n, n_covariates=1)
    more = influence[[0, 1, 1, 1]] * np.array([1, 1, 5, 0])[:, None]
    wide = means[:, [0, 1, 1, 1]] * np.array([1, 1, 5, 0])
    again = adjusted_vector(wide, arm_moments(columns_of(more), arm, 4, 2), n, n_covariates=3)
    np.testing.assert_allclose(again.estimate, once.estimate, rtol=1e-9)
    np.testing.assert_allclose(again.covariance, once.covariance, rtol=1e-9)
    assert again.used == 1


def test_too_few_users_for_slopes_are_refused():
    arm, _, _, means, influence, n = two_arms(3, 3, seed=2)
    moments = arm_moments(columns_of(influence), arm, 2, 2)
    with pytest.raises(InputError, match="too few to fit slopes"):
        adjusted_vector(means, moments, np.array([2, 2]), n_covariates=1)
    del n


@pytest.mark.parametrize("with_strata", [False, True])
def test_clusters_against_brute_force(with_strata, monkeypatch):
    monkeypatch.setattr("churnsurv.numerics.augmentation._CLUSTER_ROWS", 7)
    rng = np.random.default_rng(11)
    n, n_arms, q = 80, 3, 2
    arm, cluster, stratum = rng.integers(0, n_arms, n), rng.integers(0, 30, n), rng.integers(0, 2, n)
    values = rng.standard_normal((q, n))
    between = rng.standard_normal((2, n_arms, q)) if with_strata else None
    found = arm_moments(
        columns_of(values), arm, q, n_arms, clusters=shared_clusters(cluster, arm, n_arms), stratum=stratum,
        between=between,
    )  # fmt: skip
    full = np.zeros((n, n_arms, q))
    full[np.arange(n), arm] = values.T
    extra = 0.0
    if between is not None:
        # moments take own and between parts as unrelated where a row stands alone: cells sum to zero in use
        full += between[stratum]
        alone = np.bincount(cluster)[cluster] == 1
        own = np.zeros((n, n_arms, q))
        own[np.arange(n), arm] = values.T
        cross = np.einsum("iaq,ibr->aqbr", own, between[stratum])
        extra = cross + np.einsum("aqbr->braq", cross)
        del alone
    sums = np.zeros((30, n_arms, q))
    np.add.at(sums, cluster, full)
    np.testing.assert_allclose(found, np.einsum("caq,cbr->aqbr", sums, sums) - extra, atol=1e-10)


def test_who_shares_a_cluster():
    assert shared_clusters(np.array([3, 1, 2]), np.zeros(3, dtype=int), 1) is None
    found = shared_clusters(np.array([10**12, 5, 10**12, 5, 9]), np.array([0, 1, 0, 0, 1]), 2)
    assert sorted(found.rows.tolist()) == [0, 1, 2, 3]
    assert found.per_arm.tolist() == [2, 2]
