"""Regret and coverage of warning rules: the full size is marked slow, a small one runs always with wide bounds."""

import numpy as np
import pytest
from scipy.stats import binom

from . import tiers

SOME = {name: tiers.SETTINGS[name] for name in ("plateau, cost 5", "linear, cost 1")}


@pytest.mark.slow
def test_regret_is_at_most_3_percent_in_95_percent_of_logs():
    table = tiers.regrets(100, settings=tiers.SETTINGS | tiers.NEAR)
    assert (table["within_3"] >= 0.95).all(), table.to_string()
    better = table["oracle"] > 1.05 * table["fixed_rule"]
    assert better.sum() == len(tiers.SETTINGS)
    assert (table["least_value"] > table["fixed_rule"])[better].all(), table.to_string()
    assert (table["least_value"] > 0.97 * table["fixed_rule"])[~better].all(), table.to_string()


@pytest.mark.slow
def test_users_who_age_cost_no_more_than_what_the_best_rule_of_the_training_time_loses():
    """On average; in "plateau, cost 15" one log in twelve takes a day too early, which costs 7 % (docs/accuracy.md)."""
    table = tiers.drift(100)
    assert (table["mean_regret"] - table["own"] <= 0.03).all(), table.to_string()
    assert (table["within_3"].drop("plateau, cost 15") >= 0.95).all(), table.to_string()
    assert table["within_3"]["plateau, cost 15"] >= 0.85, table.to_string()


@pytest.mark.slow
def test_coverage_is_within_its_gates():
    found = tiers.coverage(2_000)
    assert all(figure.passes for figure in found), found


def test_small_runs_are_near_their_gates():
    n = 30
    for figure in tiers.coverage(n, users=300, bootstrap=60):
        low, high = figure.gate
        assert binom.ppf(1e-4, n, low) / n <= figure.value <= binom.ppf(1 - 1e-4, n, high) / n, figure


def test_rules_learnt_from_one_log_are_nearly_the_best_and_beat_15_and_100():
    law = tiers.app_law(users=4_000)
    for judged in tiers.regret(1, users=2_000, settings=SOME, law=law):
        assert judged.regret < 0.05
        assert judged.chosen > 1.05 * judged.fixed


def test_the_law_of_the_population_is_that_of_its_gaps():
    world = tiers.Population()
    training = world.training(20_000, np.random.default_rng(0))
    tensor = training.counts.tensor().sum(axis=0)
    shares = tensor[..., ::-1].cumsum(axis=-1)[..., ::-1] / tensor.sum()
    assert np.abs(shares - world.law).max() < 0.004
