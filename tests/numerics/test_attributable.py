"""Exposures per activity: by hand, against statsmodels, and the influence of a user by what moves when it is moved."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics import attributable as module
from churnsurv.numerics.attributable import (
    ExposureFit,
    Occasions,
    attributable,
    bruzzi_share,
    clustered,
    coefficient_influence,
    fit_exposures,
)

BOTH = np.array([[True, False], [False, True], [True, True]])


def two_groups(without: tuple[int, int], with_it: tuple[int, int]) -> ExposureFit:
    """One cell: (occasions, events) without and with one exposure."""
    n, d = np.array([without, with_it], dtype=np.float64).T
    return fit_exposures(Occasions(n, d, np.zeros(2, np.int64), np.array([[0.0], [1.0]])), ["crash"])


class Rows:
    """Occasions of 200 users in three cells, one user after the other."""

    def __init__(self, n: int = 3_000) -> None:
        rng = np.random.default_rng(5)
        self.user = np.sort(rng.integers(0, 200, n))
        cell, x = rng.integers(0, 3, n), rng.random((n, 2)) < [0.2, 0.1]
        own = rng.normal(0, 0.4, 200)[self.user]
        h = np.exp(np.array([-2.5, -2.0, -1.2])[cell] + x @ [0.7, -0.3] + own)
        self.event = rng.random(n) < -np.expm1(-h)
        self.pattern = cell * 4 + x[:, 0] * 2 + x[:, 1]
        self.cell, self.x = cell, x.astype(np.float64)

    def occasions(self, weight: np.ndarray | None = None) -> Occasions:
        w = np.ones(self.user.size) if weight is None else weight
        code = np.arange(12)
        exposures = np.stack([code // 2 % 2, code % 2], axis=1).astype(np.float64)
        n, d = np.bincount(self.pattern, w, 12), np.bincount(self.pattern, w * self.event, 12)
        return Occasions(n, d, code // 4, exposures)

    def fit(self, weight: np.ndarray | None = None) -> ExposureFit:
        return fit_exposures(self.occasions(weight), ["crash", "lag"])


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Rows()


def test_two_groups_by_hand() -> None:
    # 1 in 10 without, 2 in 5 with it: 15 of 30 events would have been
    fit = two_groups((100, 10), (50, 20))
    np.testing.assert_allclose(np.exp(fit.coefficients), np.log(3 / 5) / np.log(9 / 10), rtol=1e-10)
    np.testing.assert_allclose(fit.level, np.log(-np.log(9 / 10)), rtol=1e-10)
    found = attributable(fit, np.array([[True]]))
    np.testing.assert_allclose(found.share, 1 / 2, rtol=1e-10)
    np.testing.assert_allclose(found.expected, 30, rtol=1e-10)


def test_variances_by_hand() -> None:
    # independent occasions: the logarithm of a hazard has variance p / (n (1 - p) log(1 - p)^2)
    fit = two_groups((100, 10), (50, 20))
    pattern = np.repeat([0, 0, 1, 1], [90, 10, 30, 20])
    event = np.repeat([False, True, False, True], [90, 10, 30, 20])
    covariance = clustered(coefficient_influence(fit, np.eye(1)), fit.chance, pattern, event, np.arange(150)).sandwich
    by_hand = sum(p / (n * (1 - p) * np.log(1 - p) ** 2) for n, p in ((100, 0.1), (50, 0.4)))
    np.testing.assert_allclose(covariance, [[by_hand]], rtol=1e-9)
    # share = 1 - p0 n / events: log(1 - share) = log(150 d0) - log(100 (d0 + d1)), d of multinomial occasions
    found = attributable(fit, np.array([[True]]))
    variance = clustered(found.influence, fit.chance, pattern, event, np.arange(150)).sandwich
    cells = np.array([90, 10, 30, 20])  # occasions by group and event
    gradient = np.array([-1 / 100, 1 / 10 - 1 / 100 - 1 / 30, 0, -1 / 30])
    total = cells @ gradient**2 - (cells @ gradient) ** 2 / 150
    np.testing.assert_allclose(variance, [[total]], rtol=1e-9)


def test_it_is_the_glm_of_statsmodels_with_clusters(rows: Rows) -> None:
    import statsmodels.api as sm

    fit = rows.fit()
    X = np.column_stack([rows.x, np.eye(3)[rows.cell]])
    family = sm.families.Binomial(sm.families.links.CLogLog())
    theirs = sm.GLM(rows.event.astype(float), X, family=family).fit(
        cov_type="cluster", cov_kwds={"groups": rows.user, "use_correction": False}, tol=1e-13
    )
    np.testing.assert_allclose(np.append(fit.coefficients, fit.level), theirs.params, rtol=1e-8)
    covariance = clustered(
        coefficient_influence(fit, np.eye(2)), fit.chance, rows.pattern, rows.event, rows.user
    ).sandwich
    np.testing.assert_allclose(covariance, theirs.cov_params()[:2, :2], rtol=1e-7)


def test_the_influence_of_a_user_is_what_moves_with_its_weight(rows: Rows) -> None:
    fit = rows.fit()
    shares = attributable(fit, BOTH)
    influence = np.concatenate([coefficient_influence(fit, np.eye(2)), shares.influence], axis=2)
    step = 1e-5
    for user in (3, 77, 150):
        mine = rows.user == user
        own = influence[rows.event[mine].astype(int), rows.pattern[mine]].sum(axis=0)
        ends = []
        for sign in (-1, 1):
            moved = rows.fit(np.where(mine, 1 + sign * step, 1.0))
            ends.append(np.append(moved.coefficients, np.log1p(-attributable(moved, BOTH).share)))
        np.testing.assert_allclose(own, (ends[1] - ends[0]) / (2 * step), rtol=1e-4, atol=1e-9)


def test_influences_sum_to_zero_and_chunks_make_no_difference(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = rows.fit()
    influence = attributable(fit, BOTH).influence
    values = influence[rows.event.astype(int), rows.pattern]
    np.testing.assert_allclose(values.sum(axis=0), 0, atol=1e-8)
    whole = clustered(influence, fit.chance, rows.pattern, rows.event, rows.user)
    sums = np.zeros((200, 3))
    np.add.at(sums, rows.user, values)
    np.testing.assert_allclose(whole.sandwich, sums.T @ sums, rtol=1e-10)
    monkeypatch.setattr(module, "_CHUNK", 90)
    parts = clustered(influence, fit.chance, rows.pattern, rows.event, rows.user)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-10)
    np.testing.assert_allclose(parts.df, whole.df, rtol=1e-10)


def test_where_churn_is_rare_it_is_bruzzis_share() -> None:
    rng = np.random.default_rng(1)
    n = rng.integers(200_000, 400_000, 8).astype(float)
    cell, x = np.repeat([0, 1], 4), np.tile([[0.0, 0], [1, 0], [0, 1], [1, 1]], (2, 1))
    d = np.round(n * -np.expm1(-np.exp(np.array([-8.0, -7.5])[cell] + x @ [0.7, 0.4])))
    fit = fit_exposures(Occasions(n, d, cell, x), ["crash", "lag"])
    found = attributable(fit, BOTH).share
    for gone, share in zip(BOTH, found, strict=True):
        assert share == pytest.approx(bruzzi_share(d, x * gone, fit.coefficients), rel=2e-3)
    assert found[2] < found[0] + found[1]


def test_a_share_can_be_below_zero() -> None:
    fit = two_groups((100, 30), (100, 10))
    assert attributable(fit, np.array([[True]])).share[0] == pytest.approx(1 - 60 / 40)


def test_cells_that_say_nothing_change_nothing_but_the_whole() -> None:
    n, d = np.array([100.0, 50, 40, 30]), np.array([10.0, 20, 0, 30])
    x = np.array([[0.0], [1.0], [1.0], [1.0]])
    fit = fit_exposures(Occasions(n, d, np.array([0, 0, 1, 2]), x), ["crash"])
    np.testing.assert_allclose(fit.coefficients, two_groups((100, 10), (50, 20)).coefficients, rtol=1e-10)
    assert fit.level[1:].tolist() == [-np.inf, np.inf]
    # 30 + 30 events, 15 of which would not have been
    np.testing.assert_allclose(attributable(fit, np.array([[True]])).share, 15 / 60, rtol=1e-10)


def test_patterns_without_occasions_count_nowhere(rows: Rows) -> None:
    made = rows.occasions()
    more = Occasions(
        np.append(made.n, 0.0),
        np.append(made.d, 0.0),
        np.append(made.cell, 0),
        np.vstack([made.exposures, [[9.0, 9.0]]]),
    )
    found = attributable(fit_exposures(more, ["crash", "lag"]), BOTH)
    np.testing.assert_allclose(found.share, attributable(rows.fit(), BOTH).share, rtol=1e-10)
    assert (found.influence[:, -1] == 0).all()


def test_separation_is_named() -> None:
    with pytest.raises(ConvergenceError, match="crash"):
        two_groups((100, 10), (50, 0))


def test_few_users_widen_limits_as_students_law_does_for_a_mean() -> None:
    # U_g = x_g - mean, of 6 users: the variance of the mean times 6^2 is G / (G - 1) times the sum of squares
    x = np.array([0.0, 1, 1, 1, 0, 1])
    influence = np.array([[[-x.mean()]], [[1 - x.mean()]]])
    found = clustered(influence, np.array([x.mean()]), np.zeros(6, int), x == 1, np.arange(6))
    np.testing.assert_allclose(found.covariance, x.var(ddof=1) * 6, rtol=1e-12)
    np.testing.assert_allclose(found.df, 5, rtol=1e-12)


def test_the_user_who_holds_all_exposure_leaves_no_degrees_of_freedom() -> None:
    user = np.repeat(np.arange(50), 30)
    x, event = user == 0, np.random.default_rng(0).random(1_500) < 0.1
    n, d = np.bincount(x.astype(int)).astype(float), np.bincount(x.astype(int), event)
    fit = fit_exposures(Occasions(n, d, np.zeros(2, np.int64), np.array([[0.0], [1.0]])), ["crash"])
    found = clustered(coefficient_influence(fit, np.eye(1)), fit.chance, x.astype(int), event, user)
    assert found.df[0] < 0.1
