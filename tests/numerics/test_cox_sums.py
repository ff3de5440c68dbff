"""Fits from sums by stratum and day against fits of the rows themselves; here numpy is the engine."""

from dataclasses import replace

import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import CoxData, baseline_hazard, fit_cox
from churnsurv.numerics.cox_sums import (
    SummedData,
    baseline_at_zero,
    fit_sums,
    in_own_unit,
    residual_tables,
    robust_covariance,
    summed_moments,
)
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.group_sums import ONE, Block, Columns, DaySums, GroupSums, with_categories
from churnsurv.numerics.prediction import baseline_moments
from churnsurv.numerics.residuals import cluster_covariance
from churnsurv.numerics.risk_sets import risk_sets

RTOL = 1e-12


def world(seed, n=400, *, late=True, strata=2, sampling=False, gap=False):
    """Rows with ties, two numbers, a category of three and its product with the first number."""
    rng = np.random.default_rng(seed)
    x, category = rng.normal(size=(n, 2)) * [1.0, 30.0], rng.integers(0, 3, n)
    time = rng.exponential(20 * np.exp(-0.5 * x[:, 0] + 0.3 * (category == 1)))
    duration, event = np.ceil(np.minimum(time, 40)).astype(int), time < 40
    entry = np.where(rng.random(n) < 0.5, (duration * rng.random(n)).astype(int), 0) if late else None
    if gap:  # nobody is at risk from day 12 to day 30
        entry = np.where(np.arange(n) % 2, 30, 0)
        duration = np.where(np.arange(n) % 2, 31 + duration % 9, 1 + duration % 12)
    stratum = rng.integers(0, strata, n)
    sets = risk_sets(duration, event, entry=entry, stratum=stratum, n_strata=strata)
    parts = [
        Indicators(category, ("b", "c"), "a"),
        Indicators(category, ("b:x", "c:x"), "a", x[:, 0]),
    ]
    weights = np.exp(rng.normal(size=n)) if sampling else None
    data = CoxData(design(list(x.T), ["x", "y"], parts, n_rows=n), sets, sampling=weights)
    return data, category, rng.integers(0, 60, n)


def summed(data, category):
    """The same rows as sums by place and category."""
    made, sets, weight = data.design, data.sets, np.ones(data.design.n_rows) if data.weights is None else data.weights
    numbers = np.column_stack([made.dense, made.indicators[1].values])
    columns = Columns(
        (Block((0, 1), None, 2), Block((ONE,), 0, 2), Block((2,), 0, 2)), made.names, made.centre, made.scale, 3
    )
    products = np.column_stack([numbers[:, i] * numbers[:, j] for i in range(3) for j in range(i, 3)])

    def group(place, of, eta, theta):
        cell, code = np.unique(place[of] * 3 + category[of], return_inverse=True)
        top = np.full(cell.shape[0], -np.inf)
        np.maximum.at(top, code, eta[of])

        def total(values):
            return np.array([np.bincount(code, theta[of] * one) for one in values.T]).T

        return GroupSums(
            cell // 3, (cell % 3,), top, np.bincount(code, theta[of]), total(numbers[of]), total(products[of])
        )

    def sums(b):
        eta = numbers[:, :2] @ b[:2] + np.append(0.0, b[4:6])[category] * numbers[:, 2]
        theta, guess = weight * np.exp(eta - 2.5), 2.5
        there = sets.at_risk()
        ends = group(sets.place, there, eta, theta)
        starts = None if sets.start is None else group(sets.start, there & (sets.start < sets.n_slots), eta, theta)
        return with_categories(columns, DaySums(guess, ends, starts), b)

    event = np.where(sets.event, weight, 0.0)
    return SummedData(
        columns=columns,
        sets=sets,
        ties=data.ties,
        sums=sums,
        reach=lambda step: float(np.abs(made.times(step)[sets.at_risk()]).max()),
        events=made.transposed_times(event),
        event_offset=0.0,
        event_weight=data.event_weight(),
        sampling=data.sampling is not None,
    )


WORLDS = {
    "ties": {"late": False, "strata": 1},
    "strata": {"late": False, "strata": 5},
    "late": {"strata": 1},
    "late, strata": {"strata": 4},
    "a gap in the log": {"strata": 2, "gap": True},
}


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("kind", WORLDS)
def test_the_fit_is_that_of_the_rows(kind, ties):
    data, category, _ = world(7, **WORLDS[kind])
    data = replace(data, ties=ties)
    ours, theirs = fit_sums(summed(data, category)), fit_cox(data)
    for name in ("coefficients", "inverse_information", "log_likelihood", "log_likelihood_null", "score_statistic"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=RTOL, atol=1e-13, err_msg=name)
    last = np.full(data.sets.strata.shape[0] - 1, 40.0)
    moments = summed_moments(summed(data, category), ours.state, last_day=last)
    expected = baseline_moments(data, theirs.state, last_day=last)
    for name in ("hazard", "variance", "gradient", "shift"):
        np.testing.assert_allclose(getattr(moments, name), getattr(expected, name), rtol=RTOL, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(baseline_at_zero(moments, ours.coefficients), baseline_hazard(data, theirs), rtol=RTOL)


@pytest.mark.parametrize("kind", WORLDS)
def test_the_robust_covariance_is_that_of_the_rows(kind):
    data, category, cluster = world(8, **WORLDS[kind])
    problem = summed(data, category)
    fit, theirs = fit_sums(problem), fit_cox(data)
    tables, sets, x = residual_tables(problem, fit.state), data.sets, data.design.rows(slice(None))
    theta = np.exp(data.design.times(fit.state.coefficients) - fit.state.shift)
    there = sets.at_risk()
    place = np.where(there, sets.place, 0)
    hazard, mean = tables.end_hazard[place], tables.end_mean[place]
    if sets.start is not None:
        late = (sets.start < sets.n_slots) & there
        start = np.where(late, sets.start, 0)
        hazard = hazard - late * tables.start_hazard[start]
        mean = mean - late[:, None] * tables.start_mean[start]
    u = x * (sets.event - theta * hazard)[:, None] + theta[:, None] * mean + tables.end_event[place]
    u[~there] = 0.0
    by_cluster = np.array([np.bincount(cluster, column) for column in u.T])
    ours = robust_covariance(fit.inverse_information, by_cluster @ by_cluster.T, data.design.scale)
    expected = cluster_covariance(data, theirs.state, theirs.inverse_information, cluster)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("unit", [1.0, 1e-9, 4096.0])
def test_sampling_weights_in_any_unit(unit):
    data, category, _ = world(9, sampling=True)
    theirs = fit_cox(replace(data, sampling=data.sampling * unit))
    by_unit = 2.0 ** np.round(np.log2(unit))
    problem = summed(replace(data, sampling=data.sampling * unit / by_unit), category)
    ours = in_own_unit(problem, fit_sums(problem), by_unit)
    for name in ("coefficients", "inverse_information", "log_likelihood", "log_likelihood_null", "score_statistic"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-11, err_msg=name)
    for name in ("A", "B", "A2", "B2", "C2"):
        ours_sum, their_sum = getattr(ours.state.sums, name), getattr(theirs.state.sums, name)
        np.testing.assert_allclose(ours_sum, their_sum, rtol=1e-10, err_msg=name)


def test_worked_by_hand_on_three_users():
    # churn on days 1, 2, 3 with x = 0, 1, 0: the score 1 - e/(e + 2) - e/(e + 1) is zero at e = sqrt 2
    sets, x = risk_sets(np.array([1, 2, 3]), np.ones(3, dtype=bool)), np.array([0.0, 1.0, 0.0])

    def sums(b):
        theta = np.exp(x * b)
        return DaySums(0.0, GroupSums(sets.place, (), x * b, theta, (theta * x)[:, None], (theta * x)[:, None]), None)

    columns = Columns((Block((0,), None, 1),), ("x",), np.zeros(1), np.ones(1), 1)
    fit = fit_sums(SummedData(columns, sets, "efron", sums, lambda b: abs(b[0]), np.ones(1), 0.0, np.ones(3)))
    e = np.sqrt(2)
    assert fit.coefficients[0] == pytest.approx(np.log(e), rel=1e-12)
    assert fit.log_likelihood == pytest.approx(np.log(e) - np.log(2 + e) - np.log(1 + e), rel=1e-12)
    information = 2 * e / (2 + e) ** 2 + e / (1 + e) ** 2
    assert fit.inverse_information[0, 0] == pytest.approx(1 / information, rel=1e-12)


def test_without_events_nothing_is_asked():
    sets = risk_sets(np.array([1, 2]), np.zeros(2, dtype=bool))
    columns = Columns((Block((0,), None, 1),), ("x",), np.zeros(1), np.ones(1), 1)

    def asked(coefficients):
        raise AssertionError(coefficients)

    problem = SummedData(columns, sets, "efron", asked, asked, np.ones(1), 0.0, np.ones(0))
    with pytest.raises(ConvergenceError, match="no event"):
        fit_sums(problem)


def test_sums_lost_to_underflow_are_no_likelihood():
    # the numbers alone lie 700 below the guess, and the category brings the group back to the top
    none = np.zeros((2, 0))
    groups = GroupSums(np.array([1, 1]), (np.array([0, 1]),), np.array([0.0, -700.0]), np.array([1.0, 0.0]), none, none)
    columns = Columns((Block((ONE,), 0, 1),), ("g",), np.zeros(1), np.ones(1), 0)
    found = with_categories(columns, DaySums(0.0, groups, None), np.array([700.0]))
    assert np.isnan(found.ends.S0[1])
    assert found.ends.S0[0] == 1.0
    assert found.shift == 0.0
