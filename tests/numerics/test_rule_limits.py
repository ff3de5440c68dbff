"""The best rule under a limit against a list of all rules; rounding and resamples against the same list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from churnsurv.numerics.precision_bound import lower_bounds, wilson_lower
from churnsurv.numerics.rule_bootstrap import Limit, chosen_by_samples
from churnsurv.numerics.rule_limits import (
    best_in_capacity,
    best_in_precision,
    block_options,
    listed_rules,
    most_precise,
    precision_bounds,
)
from churnsurv.numerics.rule_rounding import Roughness, roundest
from churnsurv.numerics.rule_search import AlertCounts, RuleFamily, alert_counts

from .brute_rules import all_rules, days_of, in_order, n_conditions, totals_of

IDLE = 4
LEVEL = 0.9
TIES = {"per_condition": 1e-6, "per_alert": 1e-9}


def bound(hits, trials):
    """The lower of Wilson's and the clustered bound, written down once more."""
    n, p = trials.sum(), hits.sum() / trials.sum()
    if p == 0:
        return 0.0
    z = norm.ppf(LEVEL)
    wilson = (p + z**2 / (2 * n) - z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))) / (1 + z**2 / n)
    groups = np.count_nonzero(trials)
    if p == 1 or groups == 1:
        return wilson
    error = np.sqrt(groups / (groups - 1) * ((hits - p * trials) ** 2).sum()) / n
    logit = np.log(p / (1 - p)) - student.ppf(LEVEL, groups - 1) * error / (p * (1 - p))
    return min(wilson, 1 / (1 + np.exp(-logit)))


@st.composite
def worlds(draw):
    family = RuleFamily(
        draw(st.integers(0, 2)),
        draw(st.integers(0, 1)),
        IDLE - 1,
        draw(st.sampled_from((None, "decreasing", "increasing"))),
        draw(st.sampled_from((None, "decreasing"))),
    )
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows, shape = 60, (6, family.n_splits + 2, family.n_cuts + 2)
    cells = [rng.integers(0, size, rows) for size in shape]
    until = rng.integers(1, IDLE + 1, shape[1:])[cells[1], cells[2]] if draw(st.booleans()) else None
    duration = np.where(rng.random(rows) < 0.5, IDLE + 1, rng.integers(1, IDLE + 1, rows))
    ones = np.ones(rows, dtype=np.int64)
    return family, alert_counts(*cells, duration, ones, shape=shape, idle_days=IDLE, until=until)


def judged(family, counts, weight):
    """Each rule that alerts anybody: alerts, churners, lead, conditions and alerts and churners by block."""
    for rule in all_rules(family):
        alerts = totals_of(rule, family, counts.alerts)
        if in_order(days_of(rule, family), family) and alerts.sum() > 0:
            churned = totals_of(rule, family, counts.churned)
            lead = totals_of(rule, family, weight * counts.churned).sum()
            yield rule, lead, n_conditions(rule), alerts, churned


def sums_of(counts, weight):
    return counts.alerts.sum(axis=0), counts.churned.sum(axis=0), weight * counts.churned.sum(axis=0)


WEIGHT = (IDLE - np.arange(1, IDLE)) / IDLE


@given(worlds(), st.sampled_from([0.3, 0.5, 0.6, 0.7, 0.8]))
def test_the_best_precise_rule_is_the_best_of_all(world, target):
    family, counts = world
    ranked = [
        (round(lead, 9), -conditions, -alerts.sum())
        for _, lead, conditions, alerts, churned in judged(family, counts, WEIGHT)
        if bound(churned, alerts) >= target
    ]
    options = block_options(counts)
    found = best_in_precision(counts, WEIGHT, family, by_block=options, target=target, level=LEVEL, **TIES)
    if not ranked:
        assert found.score == -np.inf
        return
    rule = tuple(found.rule)
    alerts, churned = totals_of(rule, family, counts.alerts), totals_of(rule, family, counts.churned)
    lead = totals_of(rule, family, WEIGHT * counts.churned).sum()
    assert (round(lead, 9), -n_conditions(rule), -alerts.sum()) == max(ranked)
    assert bound(churned, alerts) >= target
    assert in_order(days_of(rule, family), family)


@given(worlds(), st.integers(0, 40))
def test_the_best_rule_in_a_capacity_is_the_best_of_all(world, most):
    family, counts = world
    ranked = [
        (round(lead, 9), -conditions, -alerts.sum())
        for _, lead, conditions, alerts, _ in judged(family, counts, WEIGHT)
        if alerts.sum() <= most
    ]
    found = best_in_capacity(*sums_of(counts, WEIGHT), family, most=most, **TIES)
    if not ranked:
        assert found.score == -np.inf
        return
    rule = tuple(found.rule)
    alerts = totals_of(rule, family, counts.alerts).sum()
    lead = totals_of(rule, family, WEIGHT * counts.churned).sum()
    assert (round(lead, 9), -n_conditions(rule), -alerts) == max(ranked)


@given(worlds())
def test_every_rule_is_listed_once_with_its_totals_and_bound(world):
    family, counts = world
    listed = {}
    for each in listed_rules(*sums_of(counts, WEIGHT), family):
        flat = np.flatnonzero(each.allowed)
        rules = each.rules(flat, family)
        bounds = precision_bounds(block_options(counts), rules, family, level=LEVEL)
        for at, rule, low in zip(flat, rules, bounds, strict=True):
            assert tuple(rule) not in listed
            listed[tuple(rule)] = each.alerts.flat[at], each.lead.flat[at], each.penalty.flat[at], low
    expected = {
        rule: (alerts.sum(), lead, conditions, bound(churned, alerts))
        for rule, lead, conditions, alerts, churned in judged(family, counts, WEIGHT)
    }
    assert listed.keys() == expected.keys()
    for rule, figures in expected.items():
        assert listed[rule] == pytest.approx(figures, abs=1e-9)


@given(worlds())
def test_the_nearest_precision_is_the_highest_bound_of_any_rule(world):
    family, counts = world
    bounds = [bound(churned, alerts) for *_, alerts, churned in judged(family, counts, WEIGHT)]
    found = most_precise(counts, WEIGHT, family, by_block=block_options(counts), level=LEVEL)
    assert found.score == pytest.approx(max(bounds)) if bounds else found.score == -np.inf


def test_bounds_of_certain_and_of_empty_shares():
    hits, trials = np.array([[2, 0, 0], [3, 0, 0]]), np.array([[2, 4, 0], [3, 1, 0]])
    assert lower_bounds(hits, trials, level=0.95).tolist() == pytest.approx([5 / (5 + norm.ppf(0.95) ** 2), 0, 0])
    assert wilson_lower(np.array([0.5]), np.array([1e9]), 1.96)[0] == pytest.approx(0.5, abs=1e-4)


def test_users_who_recur_make_the_bound_lower():
    together = lower_bounds(np.array([[9], [1], [8], [2]]), np.full((4, 1), 10), level=0.95)[0]
    apart = lower_bounds(np.array([[5], [5], [5], [5]]), np.full((4, 1), 10), level=0.95)[0]
    assert together < apart == pytest.approx(wilson_lower(np.array([0.5]), np.array([40.0]), norm.ppf(0.95))[0])


@given(worlds(), st.integers(0, 10_000))
def test_rounding_gives_the_roundest_rule_of_the_form_that_keeps_enough(world, seed):
    family, counts = world
    rng = np.random.default_rng(seed)
    rough = Roughness(*(rng.integers(0, 3, n).astype(float) for n in (family.n_splits, family.n_cuts, family.n_days)))
    sums = sums_of(counts, WEIGHT)
    best = best_in_capacity(*sums, family, most=np.inf, **TIES)
    if best.score == -np.inf:
        return
    start, least = tuple(best.rule), 0.8 * totals_of(tuple(best.rule), family, sums[2])
    fine = [
        (-_roughness(rule, rough, family), lead)
        for rule, lead, *_ in judged(family, counts, WEIGHT)
        if _form(rule, family) == _form(start, family) and lead >= least
    ]
    found = tuple(
        roundest(
            *sums, family, rule=best.rule, roughness=rough, least=least, holds=lambda rules: np.ones(len(rules), bool)
        )
    )
    assert _form(found, family) == _form(start, family)
    assert (-_roughness(found, rough, family), totals_of(found, family, sums[2])) == pytest.approx(max(fine))


def _form(rule, family):
    sides = [(0 if e == 0 else 1 if e <= family.n_cuts else 2) if day else None for e, day in (rule[1:3], rule[3:])]
    return rule[0] > 0, *sides


def _roughness(rule, rough, family):
    split, *sides = rule
    total = rough.split[split - 1] if split else 0.0
    for condition, day in (sides[:2], sides[2:]):
        if day:
            total += rough.day[day - 1]
            total += rough.cut[(condition - 1) % family.n_cuts] if condition else 0.0
    return total


@pytest.mark.parametrize("limit", [Limit(target=0.55, level=LEVEL), Limit(most=20.0)])
def test_a_sample_of_every_block_once_chooses_the_rule_itself(limit):
    rng = np.random.default_rng(4)
    family = RuleFamily(2, 2, IDLE - 1)
    rows, shape = 80, (8, 4, 4)
    cells = [rng.integers(0, size, rows) for size in shape]
    duration = np.where(rng.random(rows) < 0.6, IDLE + 1, rng.integers(1, IDLE + 1, rows))
    counts = alert_counts(*cells, duration, np.ones(rows, np.int64), shape=shape, idle_days=IDLE)
    options = block_options(counts)
    if limit.target is None:
        best = best_in_capacity(*sums_of(counts, WEIGHT), family, most=limit.most, **TIES)
    else:
        best = best_in_precision(counts, WEIGHT, family, by_block=options, target=limit.target, level=LEVEL, **TIES)
    pair, rule = chosen_by_samples(
        [(counts, family)],
        WEIGHT,
        np.array([[1.0] * 8, [0.0] * 8]),
        by_block=[options].__getitem__,
        limit=limit,
        lead=best.score,
        per_condition=TIES["per_condition"],
    )
    assert pair.tolist() == [0, -1]
    assert totals_of(tuple(rule[0]), family, counts.churned * WEIGHT).sum() == pytest.approx(
        totals_of(tuple(best.rule), family, counts.churned * WEIGHT).sum()
    )
    assert rule[1].tolist() == [0] * 5


def test_turning_counts_exchanges_the_variables():
    counts = AlertCounts(np.arange(24.0).reshape(1, 2, 4, 3), np.arange(24.0).reshape(1, 2, 4, 3))
    assert counts.transposed().churned[0, 3, 1].tolist() == counts.churned[0, 1, 3].tolist()
