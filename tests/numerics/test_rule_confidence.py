"""The confidence set against its definition, rule by rule, and against a world whose best rule is known."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from churnsurv.numerics.rule_confidence import Resampled, may_be_best, resampled
from churnsurv.numerics.rule_search import RuleFamily, best_rules

from .brute_rules import all_rules, days_of, in_order, totals_of


@pytest.mark.parametrize("order", [None, "decreasing", "increasing"])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_the_set_is_what_its_definition_says(order, level):
    rng = np.random.default_rng(5)
    families = RuleFamily(2, 1, 3, order), RuleFamily(1, 2, 3, None, order)
    estimate = rng.normal(size=(4, 3, 3))
    samples = estimate + 0.4 * rng.normal(size=(19, 4, 3, 3))
    parts = [
        Resampled(families[0], estimate, samples),
        Resampled(families[1], estimate.swapaxes(0, 1), samples.swapaxes(1, 2)),
    ]
    every = [
        [(rule, totals_of(rule, part.family, part.estimate), totals_of(rule, part.family, part.samples))
         for rule in all_rules(part.family) if in_order(days_of(rule, part.family), part.family)]
        for part in parts
    ]  # fmt: skip
    top = max(theta for rules in every for _, theta, _ in rules)
    largest = np.max([drawn - theta for rules in every for _, theta, drawn in rules], axis=0)
    place = math.ceil(level * 20) - 1
    nobody, found = may_be_best(parts, level=level)
    for rules, mine in zip(every, found, strict=True):
        expected = {
            rule for rule, theta, drawn in rules[1:]
            if top - theta <= np.sort(largest - (drawn - theta))[place] + 1e-12
        }  # fmt: skip
        assert {tuple(rule) for rule in mine.rules} == expected
        worth = {rule: theta for rule, theta, _ in rules}
        assert mine.benefit.tolist() == pytest.approx([worth[tuple(rule)] for rule in mine.rules])
    assert nobody == (top <= np.sort(largest)[place])


def test_without_error_only_the_best_rule_is_left():
    estimate = np.random.default_rng(1).normal(size=(3, 2, 4))
    family = RuleFamily(1, 0, 4)
    nobody, [found] = may_be_best([Resampled(family, estimate, np.repeat(estimate[None], 19, axis=0))], level=0.9)
    assert not nobody
    assert found.rules.tolist() == best_rules(estimate[None], family).rule.tolist()


def test_samples_are_totals_of_the_blocks_drawn_over_their_gaps():
    values, gaps = np.arange(12.0).reshape(3, 2, 2), np.array([1.0, 2.0, 4.0])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0]])
    found = resampled(values, gaps, weights)
    assert found[0].tolist() == (values.sum(axis=0) / 7).tolist()
    assert found[1].tolist() == (3 * values[1] / 6).tolist()


def test_the_set_holds_the_best_rule_of_a_known_world_as_often_as_it_says():
    """Two cells with normal benefits by block: 80 worlds; an exact 90 % set misses 17 or more once in 10,000 runs."""
    rng = np.random.default_rng(20)
    truth = np.array([[[0.1, 0.3, 0.28], [0, 0, 0]], [[0.5, 0.2, 0.1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]], dtype=float)
    family = RuleFamily(1, 0, 3)
    best, n, missed = tuple(best_rules(truth[None], family).rule[0]), 80, 0
    for _ in range(n):
        blocks = truth + rng.normal(size=(60, *truth.shape)) * (truth != 0)
        weights = rng.multinomial(60, np.full(60, 1 / 60), size=100).astype(float)
        part = Resampled(family, blocks.mean(axis=0), resampled(blocks, np.ones(60), weights))
        _, [found] = may_be_best([part], level=0.9)
        missed += best not in {tuple(rule) for rule in found.rules}
    assert missed <= binom.ppf(0.9999, n, 0.1)
