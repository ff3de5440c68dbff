"""Complete outcomes and values of arms: by hand, against accumulated means, and against least squares."""

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.accumulated import accumulated_mean
from churnsurv.numerics.ridge import RidgeRegression
from churnsurv.numerics.targeting import arm_model, arm_values, complete_outcomes, follow_up_terms

HORIZON = 6


@pytest.fixture(scope="module")
def followed_up():
    """Amounts by day of 40 rows, 15 of which are not followed to the horizon."""
    rng = np.random.default_rng(2)
    amount = rng.integers(0, 5, (40, HORIZON)).astype(float)
    followed = np.where(np.arange(40) < 15, rng.integers(1, HORIZON, 40), HORIZON + 3)
    inside = followed[:, None] >= np.arange(1, HORIZON + 1)
    G = inside.mean(axis=0)
    m = (amount * inside).sum(axis=0) / inside.sum(axis=0)
    return amount, followed, inside, G, m


def test_complete_outcomes_have_the_mean_and_error_of_accumulated_means(followed_up):
    amount, followed, inside, G, m = followed_up
    W = (amount * inside / G).sum(axis=1)
    Y = complete_outcomes(W, followed, np.zeros(40, int), [m], [G])
    user, day = np.nonzero(inside)
    known = accumulated_mean(followed - 1, user=user, day=day, amount=amount[user, day], horizon=HORIZON - 1)
    assert Y.mean() == pytest.approx(known.estimate, abs=1e-12)
    np.testing.assert_allclose((Y - Y.mean()) / 40, known.influence, atol=1e-14)
    assert Y.std() < W.std()


def test_terms_of_follow_up_say_nothing_on_average_and_nothing_where_all_are_followed(followed_up):
    followed = followed_up[1]
    arm = np.arange(40) % 2
    weights = [(followed[arm == a][:, None] >= np.arange(1, HORIZON + 1)).mean(axis=0) for a in (0, 1)]
    terms = follow_up_terms(followed, arm, weights, arm, 2)
    assert terms.shape == (40, 8)
    np.testing.assert_allclose(terms.mean(axis=0), 0, atol=1e-12)
    assert (terms[arm == 0][:, 4:] == 0).all()
    assert not follow_up_terms(np.full(40, 9), arm, [np.ones(HORIZON)] * 2, arm, 2).any()


def test_whoever_is_followed_to_the_horizon_is_taken_as_seen():
    W = np.array([3.0, 0.0])
    found = complete_outcomes(W, np.array([4, 9]), np.zeros(2, int), [np.array([1.0, 0.5])], [np.ones(2)])
    assert found.tolist() == W.tolist()


def test_with_covariates_the_mean_effect_is_that_of_least_squares_with_slopes_of_each_arm():
    rng = np.random.default_rng(3)
    n = 300
    x, arm = rng.normal(size=(n, 2)), (rng.random(n) < 0.8).astype(int)
    y = 1 + arm * (0.5 + x[:, 0]) + x @ [1.0, -2.0] + rng.normal(size=n)
    model = arm_model(y, arm, 2, stratum=np.zeros(n, int), n_strata=1, covariates=x)
    values = arm_values(y, arm, model)
    centred = x - x.mean(axis=0)
    full = np.column_stack([np.ones(n), arm, centred, centred * arm[:, None]])
    lin = np.linalg.lstsq(full, y, rcond=None)[0]
    assert (values[:, 1] - values[:, 0]).mean() == pytest.approx(lin[1], abs=1e-10)
    plain = arm_values(y, arm, arm_model(y, arm, 2, stratum=np.zeros(n, int), n_strata=1))
    assert np.var(values[:, 1] - values[:, 0]) < 0.5 * np.var(plain[:, 1] - plain[:, 0])


def test_strata_are_weighed_by_their_size_and_known_propensities_are_used():
    y = np.array([1.0, 3, 0, 10, 4, 6])
    arm, stratum = np.array([1, 1, 0, 1, 0, 0]), np.array([0, 0, 0, 1, 1, 1])
    model = arm_model(y, arm, 2, stratum=stratum, n_strata=2)
    values = arm_values(y, arm, model)
    assert (values[:, 1] - values[:, 0]).mean() == pytest.approx(0.5 * (2 - 0) + 0.5 * (10 - 5), abs=1e-12)
    # Hajek's mean of an arm, each row counting for 1 / e
    e = np.array([0.5, 0.25, 0.5, 0.5, 0.8, 0.5])
    known = arm_values(y, arm, arm_model(y, arm, 2, stratum=np.zeros(6, int), n_strata=1, propensity=e))
    own = arm == 1
    centre = np.average(y[own], weights=1 / e[own])
    assert known[:, 1].mean() == pytest.approx(centre, abs=1e-12)


def test_a_stratum_without_an_arm_is_refused():
    with pytest.raises(InputError, match="arm 0 has nobody in stratum 1"):
        arm_model(np.ones(3), np.array([0, 1, 1]), 2, stratum=np.array([0, 0, 1]), n_strata=2)


def test_a_covariate_that_does_not_vary_or_repeats_another_changes_nothing():
    rng = np.random.default_rng(4)
    x, arm, y = rng.normal(size=50), np.arange(50) % 2, rng.normal(size=50)
    zero = np.zeros(50, int)
    one = arm_model(y, arm, 2, stratum=zero, n_strata=1, covariates=x[:, None]).mean
    two = arm_model(y, arm, 2, stratum=zero, n_strata=1, covariates=np.column_stack([x, 2 * x, np.ones(50)])).mean
    np.testing.assert_allclose(one, two, atol=1e-10)


def test_ridge_is_the_penalised_fit_with_the_least_error_by_generalised_cross_validation():
    rng = np.random.default_rng(6)
    X, n = rng.normal(size=(80, 3)) * [1, 10, 0.1], 80
    y = X @ [0.4, 0.0, 2.0] + rng.normal(size=n)
    fit = RidgeRegression().fit(X, y)
    Z, r = (X - X.mean(0)) / X.std(0), y - y.mean()

    def error(penalty):
        hat = Z @ np.linalg.solve(Z.T @ Z + n * penalty * np.eye(3), Z.T)
        return np.mean((r - hat @ r) ** 2) / (1 - (1 + np.trace(hat)) / n) ** 2

    penalties = np.logspace(-4, 4, 49)
    assert fit.penalty_ == pytest.approx(penalties[np.argmin([error(p) for p in penalties])])
    slopes = np.linalg.solve(Z.T @ Z + n * fit.penalty_ * np.eye(3), Z.T @ r) / X.std(0)
    np.testing.assert_allclose(fit.coef_, slopes, atol=1e-10)
    np.testing.assert_allclose(fit.predict(X).mean(), y.mean(), atol=1e-12)
    flat = RidgeRegression().fit(np.ones((5, 2)), np.arange(5.0))
    assert flat.predict(np.zeros((1, 2))).tolist() == [2.0]
    with pytest.raises(InputError, match="missing or infinite"):
        RidgeRegression().fit(np.array([[np.nan]]), np.ones(1))
