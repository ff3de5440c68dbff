"""Rules found by cumulative sums against rules found by listing all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from churnsurv.numerics.rule_search import (
    RuleFamily,
    alert_counts,
    best_rules,
    first_days,
    one_sided,
    region_sums,
    rule_totals,
)

from .brute_rules import all_rules, days_of, holds, in_order, n_conditions, totals_of

ORDERS = (None, "decreasing", "increasing")


@st.composite
def searches(draw):
    family = RuleFamily(
        n_splits=draw(st.integers(0, 2)),
        n_cuts=draw(st.integers(0, 2)),
        n_days=draw(st.integers(1, 3)),
        split_order=draw(st.sampled_from(ORDERS)),
        cut_order=draw(st.sampled_from(ORDERS)),
    )
    shape = (family.n_splits + 2, family.n_cuts + 2, family.n_days)
    return family, draw(arrays(np.float64, shape, elements=st.integers(-4, 4)))


@given(searches())
def test_the_best_rule_is_the_best_of_all_rules_and_has_the_fewest_conditions(search):
    family, values = search
    if family.split_order and family.n_splits == 0:
        family = RuleFamily(0, family.n_cuts, family.n_days, None, family.cut_order)
    rules = [rule for rule in all_rules(family) if in_order(days_of(rule, family), family)]
    ranked = [(totals_of(rule, family, values), -n_conditions(rule)) for rule in rules]
    found = best_rules(values[None], family, per_condition=1e-6)
    rule = tuple(found.rule[0])
    days = days_of(rule, family)
    total = totals_of(rule, family, values)
    assert in_order(days, family)
    assert (total, -n_conditions(rule)) == max(ranked)
    assert found.score[0] == pytest.approx(total - 1e-6 * n_conditions(rule), abs=1e-12)
    assert (first_days(rule, family) == days).all()
    assert rule_totals(values[None], [rule], family)[0, 0] == total


@given(searches(), st.integers(0, 10_000))
def test_benefits_searched_together_are_searched_alone(search, seed):
    family, values = search
    others = np.random.default_rng(seed).normal(size=(4, *values.shape))
    together = best_rules(others, family)
    for i, one in enumerate(others):
        alone = best_rules(one[None], family)
        assert (alone.rule[0] == together.rule[i]).all()
        assert alone.score[0] == together.score[i]


def test_one_sided_sums_are_sums():
    values = np.random.default_rng(0).integers(0, 9, (5, 4, 3)).astype(float)
    sums = one_sided(values, axis=1)
    assert sums.shape == (5, 5, 3)
    for g in range(5):
        inside = [holds(g, j, 2) for j in range(4)]
        assert (sums[:, g] == values[:, inside].sum(axis=1)).all()
    assert region_sums(values).shape == (7, 5, 3)


@given(st.integers(0, 10_000), st.booleans())
def test_counts_are_those_of_gaps_one_by_one(seed, masked):
    rng = np.random.default_rng(seed)
    rows, idle = 40, 5
    block, first, second = rng.integers(0, 3, rows), rng.integers(0, 2, rows), rng.integers(0, 3, rows)
    duration, n = rng.integers(1, idle + 2, rows), rng.integers(1, 4, rows)
    until = rng.integers(1, idle + 1, rows) if masked else None
    counts = alert_counts(block, first, second, duration, n, shape=(3, 2, 3), idle_days=idle, until=until)
    alerts, churned = np.zeros((3, 2, 3, idle - 1)), np.zeros((3, 2, 3, idle - 1))
    for r in range(rows):
        for day in range(1, idle):
            if duration[r] > day and (until is None or day < until[r]):
                alerts[block[r], first[r], second[r], day - 1] += n[r]
                churned[block[r], first[r], second[r], day - 1] += n[r] * (duration[r] > idle)
    assert (counts.alerts == alerts).all()
    assert (counts.churned == churned).all()
    assert (counts.transposed().alerts == alerts.swapaxes(1, 2)).all()


def test_a_missing_value_fulfils_no_condition():
    values = np.zeros((1, 3, 3, 2))
    values[0, 2, 2, 1] = 1.0  # only users without either value are worth a contact
    found = best_rules(values, RuleFamily(1, 1, 2))
    assert found.rule[0].tolist() == [0, 0, 2, 0, 0]
