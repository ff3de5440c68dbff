"""The exact law of formal churn against simulated lives, by hand where it can be, and through the toolkit."""

from __future__ import annotations

import numpy as np
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.simulation import PROBLEMS, SimulatedApp, simulate_app
from churnsurv.simulation.formal_churn import churn_day_pmf, registration_groups


def test_nobody_churns_before_day_30_and_on_it_as_the_first_gap_says(quiet: SimulatedApp) -> None:
    """P(T = 30) = P(first gap > 30): the only activity is the registration."""
    world = quiet._world
    channel, burst = np.arange(5), np.zeros(5, dtype=int)
    pmf = churn_day_pmf(world, channel, burst, horizon=400)
    assert (pmf[:, :30] == 0).all()
    q = np.array([each.at_registration for each in world.model.channels])
    stays = np.array(world.model.gap_shares) @ world.laws.survival[:, 30]
    gone = (1 - world.model.return_hazard) ** 30
    np.testing.assert_allclose(pmf[:, 30], (1 - q) * stays + q * gone, rtol=1e-12)
    # Nobody gets lost: with a long horizon everybody churns.
    total = churn_day_pmf(world, channel, burst, horizon=6_000).sum(axis=1)
    np.testing.assert_allclose(total, 1.0, atol=1e-6)
    assert np.isclose(registration_groups(world).registered.sum(), 1.0)


def test_the_law_is_that_of_simulated_spells(quiet: SimulatedApp) -> None:
    spells = quiet.log.churn_spells()
    curves = ch.kaplan_meier(spells, by="channel")
    times = [30, 60, 120, 180, 365]
    for channel in curves.groups:
        seen = curves.at(times)
        seen = seen[seen["group"] == channel]
        law = quiet.truth.churn_survival(times, channel=channel)
        assert (np.abs(seen["survival"] - law) < 4 * seen["std_error"]).all(), channel
    law, seen = quiet.truth.churn_survival(times), ch.kaplan_meier(spells).at(times)
    assert (np.abs(seen["survival"] - law) < 4 * seen["std_error"]).all()


def test_a_grouped_fit_finds_the_stated_hazard_ratios(quiet: SimulatedApp) -> None:
    truth = quiet.truth
    spells = quiet.log.churn_spells()
    fit = ch.cox(truth.formula, spells, ties="grouped", reference=truth.reference, cluster="user_id")
    table = fit.table.set_index("term")
    expected = np.log([truth.hazard_ratios[term] for term in table.index])
    assert set(table.index) == set(truth.hazard_ratios)
    assert ((table["estimate"] - expected) / table["std_error"]).abs().max() < 3.5
    # They are not those of the leaving probability, which differ from stage to stage.
    leaving = truth.leaving.set_index(["channel", "stage"])["hazard_ratio"]["invitation"]
    assert leaving.min() < 0.7 < truth.hazard_ratios["channel: invitation"] < 2 < leaving.max()


def test_stated_hazard_ratios_solve_the_score_equations(quiet: SimulatedApp) -> None:
    """The grouped model's likelihood over the exact law, written down again: its slope is 0 at the stated ratios."""
    world, truth = quiet._world, quiet.truth
    groups, days = registration_groups(world), world.model.days
    pmf = churn_day_pmf(world, groups.channel, groups.burst, horizon=days - 1)
    followed = groups.registered[:, ::-1]  # by days from registration to the end of the log
    to_day = np.cumsum(followed[:, ::-1], axis=1)[:, ::-1]
    churned = to_day * pmf
    at_risk = to_day * (1 - np.cumsum(pmf, axis=1) + pmf)
    names = [each.name for each in world.model.channels]
    columns = {f"channel: {name}": groups.channel == i for i, name in enumerate(names) if i}
    columns["campaign: spring"] = groups.burst == 1
    b = sum(np.log(truth.hazard_ratios[term]) * column for term, column in columns.items())
    keep = churned.sum(axis=0) > 1e-12
    churned, at_risk = churned[:, keep], at_risk[:, keep]

    def slope(level: np.ndarray) -> np.ndarray:
        """Of the log-likelihood in each linear predictor: P(churn on the day) = 1 - exp(-exp(level + b))."""
        rate = np.exp(level + b[:, None])
        return churned * rate / np.expm1(rate) - (at_risk - churned) * rate

    low, high = np.full(keep.sum(), -30.0), np.full(keep.sum(), 3.0)
    for _ in range(80):
        middle = (low + high) / 2
        rising = slope(middle).sum(axis=0) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    of_group = slope((low + high) / 2).sum(axis=1)
    for term, column in columns.items():
        assert abs(of_group[column].sum()) < 1e-8 * churned[column].sum(), term


def test_what_the_law_is_not_known_for_is_refused(quiet: SimulatedApp) -> None:
    with pytest.raises(InputError, match="without shocks and problems"):
        simulate_app(10, problems=PROBLEMS).truth.churn_survival([30])
    with pytest.raises(InputError, match="Did you mean 'organic'"):
        quiet.truth.churn_survival([30], channel="orgnic")
    with pytest.raises(InputError, match="whole days from 0 to 1094"):
        quiet.truth.churn_survival([2_000])
