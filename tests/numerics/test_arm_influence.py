"""Influences of users on arms: worked by hand, squares that are Greenwood's variance, derivatives, fits on rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import FollowUpError
from churnsurv.numerics.accumulated import accumulated_mean
from churnsurv.numerics.arm_influence import RowTable, arm_cells, cell_curves, log_hazard_ratio
from churnsurv.numerics.day_counts import day_counts
from churnsurv.numerics.kaplan_meier import kaplan_meier
from churnsurv.numerics.rmst import area_under_curve
from churnsurv.numerics.weighted_counts import steps_of


def one_cell(time, returned, horizon):
    time, returned = np.array(time), np.array(returned, dtype=bool)
    cells = arm_cells(np.zeros(time.size, dtype=int), n_arms=1)
    return cell_curves(cells, time, returned, horizon=horizon)


def test_five_users_by_hand():
    """Returns on days 1 and 3, one censored on day 2, two followed to day 4: S = 4/5, then 4/5 x 2/3 = 8/15."""
    curves = one_cell([1, 2, 3, 4, 4], [1, 0, 1, 0, 0], horizon=4)
    assert curves.returned[0] == pytest.approx(7 / 15, abs=1e-15)
    assert curves.area[0] == pytest.approx(1 + 4 / 5 * 2 + 8 / 15, abs=1e-15)
    # a = 1/4 on day 1, 1/2 on day 3; B = 1/20, then 1/20 + 1/6
    S, B1, B3 = 8 / 15, 1 / 20, 1 / 20 + 1 / 6
    expected = [S * (1 / 4 - B1), -S * B1, S * (1 / 2 - B3), -S * B3, -S * B3]
    found = curves.influence_on_return().ravel()[curves.pattern]
    np.testing.assert_allclose(found, expected, atol=1e-15)
    assert found @ found == pytest.approx(S**2 * (1 / 20 + 1 / 6), abs=1e-15)
    # A(1) = 4/5 x 2 + 8/15, A(3) = 8/15
    A1, A3 = 8 / 5 + 8 / 15, 8 / 15
    kept1, kept3 = A1 / 20, A1 / 20 + A3 / 6
    expected = [kept1 - A1 / 4, kept1, kept3 - A3 / 2, kept3, kept3]
    np.testing.assert_allclose(curves.influence_on_area().ravel()[curves.pattern], expected, atol=1e-15)


def test_all_returned_leaves_nothing_to_vary():
    curves = one_cell([1, 2, 2], [1, 1, 1], horizon=5)
    assert curves.returned[0] == 1.0
    assert not curves.influence_on_return().ravel()[curves.pattern].any()


def test_nobody_silent_followed_to_the_horizon_is_an_error():
    with pytest.raises(FollowUpError, match=r"spring, arm 'sms'.*longest follow-up without return has 3 days"):
        cell_curves(
            arm_cells(np.zeros(2, dtype=int), n_arms=1), np.array([1, 3]), np.array([True, False]), horizon=5,
            names=["spring, arm 'sms'"],
        )  # fmt: skip


rows = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=3, max_size=40)


@given(rows)
def test_squares_are_greenwoods_variance_and_sums_are_zero(drawn):
    time, returned = (np.array(column) for column in zip(*[*drawn, (12, False)], strict=True))
    curves = one_cell(time, returned, 10)
    cut = np.minimum(time, 10), returned & (time <= 10)
    km = kaplan_meier(day_counts(*cut))
    area = area_under_curve(steps_of(day_counts(*cut)), horizon=10)
    for found, std_error in (
        (curves.influence_on_return(), km.std_error[-1]),
        (curves.influence_on_area(), area.std_error),
    ):
        each = found.ravel()[curves.pattern]
        assert np.sqrt(each @ each) == pytest.approx(std_error, rel=1e-10, abs=1e-14)
        assert each.sum() == pytest.approx(0, abs=1e-13)
    assert curves.area[0] == pytest.approx(area.area, rel=1e-13)
    every = [curves.influence_on_return(t).ravel()[curves.pattern] for t in range(curves.time.size)]
    np.testing.assert_allclose(np.inner(every, every), curves.covariance_of_return(0), atol=1e-13)


def test_influences_are_derivatives_in_the_weight_of_a_user():
    """A user repeated once more among a million copies of the sample moves the estimate by its influence."""
    rng = np.random.default_rng(4)
    time, returned = rng.integers(1, 9, 15), rng.random(15) < 0.6
    time[:2], returned[:2] = 9, False
    curves = one_cell(time, returned, 8)
    k = 10_000
    for i in (0, 3, 7, 11):
        number = np.full(15, k)
        number[i] += 1
        more = one_cell(np.repeat(time, number), np.repeat(returned, number), 8)
        for table, now, then in (
            (curves.influence_on_return(), curves.returned, more.returned),
            (curves.influence_on_area(), curves.area, more.area),
        ):
            assert (then[0] - now[0]) * k == pytest.approx(table.ravel()[curves.pattern[i]], rel=2e-3, abs=1e-6)


def hazard_rows(seed, n=400, strata=3):
    rng = np.random.default_rng(seed)
    arm, stratum = rng.integers(0, 2, n), rng.integers(0, strata, n)
    time = np.ceil(rng.exponential(12, n) / np.where(arm, 1.6, 1.0) / (1 + stratum)).astype(int)
    followed = rng.integers(5, 40, n)
    returned = (time <= followed) & (time <= 20)
    return arm, stratum, np.where(returned, time, np.minimum(followed, 20)), returned


def test_the_hazard_ratio_and_its_robust_error_are_those_of_a_fit_on_rows():
    arm, stratum, time, returned = hazard_rows(2)
    cells = arm_cells(arm, stratum, n_arms=2, n_strata=3)
    curves = cell_curves(cells, time, returned, horizon=20)
    found = log_hazard_ratio(cells, curves, 1, 0)
    each = found.influence.ravel()[curves.pattern]
    frame = pd.DataFrame({"duration": time, "churned": returned, "arm": arm, "s": stratum, "row": np.arange(time.size)})
    fit = ch.cox("arm", frame, ties="grouped", strata="s", cluster="row")
    assert found.estimate == pytest.approx(fit.table["estimate"][0], rel=1e-9)
    assert np.sqrt(each @ each) == pytest.approx(fit.table["std_error"][0], rel=1e-8)


def test_without_returns_there_is_no_hazard_ratio():
    cells = arm_cells(np.array([0, 0, 1, 1]), n_arms=2)
    curves = cell_curves(cells, np.array([2, 3, 3, 3]), np.array([True, False, False, False]), horizon=3)
    found = log_hazard_ratio(cells, curves, 1, 0)
    assert np.isnan(found.estimate)
    assert found.note == "no hazard ratio, as nobody of the arm returned"
    assert not found.influence.any()


def test_sums_move_as_accumulated_means_do():
    """The same numbers as `accumulated_mean`, whose day 0 is the day of assignment."""
    rng = np.random.default_rng(7)
    n, horizon = 60, 6
    followed = rng.integers(1, 10, n)
    followed[0] = 9
    daily = rng.exponential(1, (n, horizon)) * (rng.random((n, horizon)) < 0.4)
    user, day = np.nonzero(daily)
    theirs = accumulated_mean(followed - 1, user=user, day=day, amount=daily[user, day], horizon=horizon - 1)
    inside = followed[:, None] > np.arange(horizon)
    G = inside.mean(axis=0)
    m = (daily * inside).sum(axis=0) / inside.sum(axis=0)
    table = RowTable(
        tables=np.zeros((0, 1)),
        pattern=np.zeros(n, dtype=int),
        sums=[(daily * inside / G).sum(axis=1)],
        expected=np.concatenate([[0.0], np.cumsum(m / G)])[None, :],
        end=np.minimum(followed, horizon),
        scale=np.array([1 / n]),
        covariates=[],
        means=np.zeros((0, 1)),
        cell=np.zeros(n, dtype=int),
    )
    np.testing.assert_allclose(table.of(slice(None))[0], theirs.influence, atol=1e-14)


def test_units_of_cells_are_users_or_their_clusters():
    arm, stratum = np.array([0, 0, 0, 1, 1, 1, 0, 0, 1, 1]), np.repeat([0, 1], [6, 4])
    users = arm_cells(arm, stratum, n_arms=2, n_strata=2)
    np.testing.assert_array_equal(users.n_units, [[3, 2], [3, 2]])
    share = np.array([0.6, 0.4, 0.6, 0.4])
    units, both = np.array([3, 2, 3, 2]), np.array([6, 4, 6, 4])
    np.testing.assert_allclose(users.weight(), share * np.sqrt(units / (units - 1) * (1 - 1 / both + 1 / 10)))
    np.testing.assert_allclose(users.ratio_weight(1, 0), np.sqrt(both / (both - 1)))
    # the cluster 7 has users in three cells; the two users of the last one are one cluster
    cluster = np.array([7, 7, 1, 7, 2, 3, 7, 4, 5, 5])
    clusters = arm_cells(arm, stratum, n_arms=2, n_strata=2, cluster=cluster)
    np.testing.assert_array_equal(clusters.n_units, [[2, 2], [3, 1]])
    np.testing.assert_array_equal(clusters.n, users.n)
    assert np.isnan(clusters.weight()).tolist() == [False, False, False, True]
    alone = arm_cells(arm, n_arms=2, cluster=cluster)
    assert (alone.weight() == 1).all()
    assert (alone.ratio_weight(1, 0) == 1).all()
