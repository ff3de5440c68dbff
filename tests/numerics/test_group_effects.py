"""Hazard ratios and areas from counts: equal to the fit and the curves of the rows; what has no estimate says why."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.cox import CoxData, fit_cox
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.group_effects import areas, common_day, log_ratios
from churnsurv.numerics.logrank_counts import GroupRows, count_groups
from churnsurv.numerics.residuals import cluster_covariance
from churnsurv.numerics.risk_sets import risk_sets


def world(
    seed: int, n: int = 150, *, weights: str | None = None, clusters: int = 0, strata: bool = True, late: bool = True
) -> GroupRows:
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 6, n)
    weight = rng.integers(1, 4, n).astype(float) if weights == "frequency" else rng.uniform(0.2, 3, n)
    return GroupRows(
        entry + rng.integers(0, 15, n),
        rng.random(n) < 0.7,
        rng.integers(0, 3, n),
        3,
        entry if late else None,
        rng.integers(0, 2, n) if strata else None,
        2 if strata else 1,
        None if weights is None else weight,
        weights == "sampling",
        rng.integers(0, clusters, n) if clusters else None,
        clusters,
    )


def fit_of_rows(rows: GroupRows) -> tuple[np.ndarray, np.ndarray]:
    """Cox's model on the rows themselves."""
    frequency = None if rows.frequency is None else rows.frequency.astype(np.int64)
    sets = risk_sets(
        rows.duration, rows.churned, entry=rows.entry, stratum=rows.stratum, n_strata=rows.n_strata, frequency=frequency
    )
    codes = Indicators(rows.group.astype(np.int32), ("b", "c"), "a")
    data = CoxData(
        design([], [], [codes], n_rows=rows.group.size),
        sets,
        frequency=rows.frequency,
        sampling=rows.weights if rows.sampling else None,
    )
    fit = fit_cox(data)
    covariance = fit.inverse_information
    if rows.robust:
        covariance = cluster_covariance(data, fit.state, covariance, rows.clusters()[0])
    return fit.coefficients, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("strata", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("weights", [None, "frequency", "sampling"])
@pytest.mark.parametrize("clusters", [0, 40])
def test_ratios_are_those_of_the_rows(strata: bool, late: bool, weights: str | None, clusters: int) -> None:
    rows = world(3, weights=weights, clusters=clusters, strata=strata, late=late)
    found = log_ratios(count_groups(rows).sets, rows)
    estimate, error = fit_of_rows(rows)
    np.testing.assert_allclose(found.estimate, [0, *estimate], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.std_error, [0, *error], rtol=1e-8)
    assert found.note == (None, None, None)


def test_a_group_without_churn_is_left_out_and_named() -> None:
    rows = world(5)
    quiet = GroupRows(rows.duration, rows.churned & (rows.group != 1), rows.group, 3, rows.entry, rows.stratum, 2)
    found = log_ratios(count_groups(quiet).sets)
    alone = log_ratios(count_groups(quiet.of_groups([0, 2])).sets)
    assert found.note == (None, "no churn", None)
    assert np.isnan(found.estimate[1])
    np.testing.assert_allclose(found.estimate[2], alone.estimate[1], rtol=1e-9)
    np.testing.assert_allclose(found.std_error[2], alone.std_error[1], rtol=1e-9)
    swapped = log_ratios(count_groups(quiet.of_groups([1, 0, 2])).sets)
    assert swapped.note == ("no churn", "no churn in the reference", "no churn in the reference")
    assert np.isnan(swapped.estimate).all()


def test_groups_that_never_meet_have_no_ratio_and_those_between_do() -> None:
    # group 2 enters after groups 0 and 1 have left
    rows = GroupRows(
        np.array([2, 4, 3, 5, 12, 14]), np.ones(6, bool), np.array([0, 0, 1, 1, 2, 2]), 3, np.array([0, 0, 0, 0, 9, 9])
    )
    found = log_ratios(count_groups(rows).sets)
    assert found.note == (None, None, "never at risk with the reference")
    assert np.isfinite(found.estimate).tolist() == [True, True, False]
    # a bridge: group 0 meets 1, group 1 meets 2
    chained = GroupRows(
        np.array([2, 4, 3, 7, 10, 6, 9]),
        np.ones(7, bool),
        np.array([0, 0, 1, 1, 1, 2, 2]),
        3,
        np.array([0, 0, 0, 0, 4, 5, 5]),
    )
    assert np.isfinite(log_ratios(count_groups(chained).sets).estimate).all()


def test_separated_groups_have_no_finite_ratio() -> None:
    rows = GroupRows(np.array([1, 2, 3, 11, 12, 13]), np.ones(6, bool), np.repeat([0, 1], 3), 2)
    found = log_ratios(count_groups(rows).sets)
    assert found.note == (None, "separation")
    assert np.isnan(found.estimate[1])


def test_one_cluster_gives_no_interval() -> None:
    rows = world(8)
    one = GroupRows(
        rows.duration, rows.churned, rows.group, 3, rows.entry, cluster=np.zeros(150, dtype=np.int64), n_clusters=1
    )
    found = log_ratios(count_groups(one).sets, one)
    assert np.isfinite(found.estimate).all()
    # at the estimate the residuals of all rows together sum to zero: no interval rather than one of no width
    assert np.isnan(found.std_error[1:]).all()
    assert found.note == (None, "too few clusters", "too few clusters")


def test_areas_by_hand() -> None:
    # group 0 churns on days 1 and 2 of two; group 1 on day 2 of two, one stays to day 4
    rows = GroupRows(np.array([1, 2, 2, 4]), np.array([1, 1, 1, 0], dtype=bool), np.array([0, 0, 1, 1]), 2)
    counts = count_groups(rows)
    assert common_day(counts) == 2
    found = areas(counts, 2.0)
    np.testing.assert_allclose(found.area, [1.5, 2.0], rtol=1e-12)
    # Greenwood: A(1)^2 d / (n (n - d)) = 0.5^2 / 2
    np.testing.assert_allclose(found.std_error, [np.sqrt(0.125), 0], rtol=1e-12)
    assert found.difference(1, 0) == pytest.approx((0.5, np.sqrt(0.125)))


@pytest.mark.parametrize("weights", [None, "sampling", "frequency"])
def test_the_error_of_a_difference_is_the_jackknife_over_clusters(weights: str | None) -> None:
    """Derivatives in the weight of each cluster: groups share clusters, so that their areas depend on each other."""
    rows = world(11, n=60, weights=weights, clusters=12, strata=False)
    base = np.ones(60) if rows.weights is None else rows.weights
    horizon = common_day(count_groups(rows))

    def difference(case: np.ndarray) -> float:
        weighted = GroupRows(rows.duration, rows.churned, rows.group, 3, rows.entry, weights=case, sampling=True)
        return areas(count_groups(weighted), horizon).difference(2, 0)[0]

    slopes = []
    for cluster in range(12):
        step = 1e-4 * (rows.cluster == cluster)
        near, far = (
            (difference(base * (1 + k * step)) - difference(base * (1 - k * step))) / (2e-4 * k) for k in (1, 2)
        )
        slopes.append((4 * near - far) / 3)
    value, error = areas(count_groups(rows), horizon, rows).difference(2, 0)
    assert value == pytest.approx(difference(base), rel=1e-10)
    assert error == pytest.approx(np.sqrt(np.sum(np.square(slopes))), rel=1e-6)


def test_a_group_never_at_risk_has_no_area() -> None:
    rows = GroupRows(
        np.array([1, 2, 3, 3]), np.array([1, 1, 0, 0], dtype=bool), np.array([0, 0, 1, 2]), 3, np.array([0, 0, 0, 3])
    )
    counts = count_groups(rows)
    found = areas(counts, common_day(counts))
    assert np.isnan(found.area).tolist() == [False, False, True]
    assert log_ratios(counts.sets).note[2] == "no churn"
