"""Tiers of a capacity: lines worked off gap by gap in plain Python, answers by hand, and the choice of the rule."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.warning import Capacity, Precision, Rule, fit_tiers
from churnsurv.warning.capacity_search import FACTORS, fit_capacity, waiting_in
from churnsurv.warning.tier_search import on_average
from churnsurv.warning.training import train_on

from .lines import Urgency, chances, gaps_by_day
from .small import log_of

IDLE = 30


@pytest.fixture(scope="module")
def log():
    return ch.simulate_app(200, seed=7).log


@pytest.fixture(scope="module")
def scheme(log):
    objective = {"high": Precision(target=0.6), "low": Capacity(per_day=1.5)}
    return fit_tiers(log, objective=objective, missing={"balance": 0}, bootstrap=20, seed=1)


COMPARE = {"<": operator.lt, ">=": operator.ge, ">": operator.gt, "<=": operator.le}


def holds(rule: Rule, gap: dict, day: int) -> bool:
    state = {"balance": gap["balance"] or 0.0, "n_investments": gap["n_investments"], "idle_days": day}
    return any(
        all(COMPARE[c.sign](state[c.variable], c.threshold) for c in conditions) for conditions in rule.alternatives
    )


def test_figures_are_those_of_lines_worked_off_gap_by_gap(log, scheme):
    gaps, (high, low) = gaps_by_day(log), (tier.rule for tier in scheme.tiers)
    known = [gap for gap in gaps if gap["known"]]
    urgency = Urgency(known, dict(scheme.grids), IDLE)
    lines = []
    for gap in gaps:
        may, taken = [None] * IDLE, False
        for day in range(1, IDLE):
            taken = taken or holds(high, gap, day)
            if not taken and holds(low, gap, day):
                may[day] = urgency.of(gap, day)
        lines.append((gap["start"], gap["length"], may))
    found = chances(lines, 1.5)
    days = range(IDLE)
    alerts = sum(sum(chance[: gap["length"]]) for gap, chance in zip(gaps, found, strict=True) if gap["known"])
    right = sum(sum(chance) for gap, chance in zip(gaps, found, strict=True) if gap["known"] and gap["churned"])
    lead = sum(
        chance[day] * (IDLE - day)
        for gap, chance in zip(gaps, found, strict=True)
        if gap["known"] and gap["churned"]
        for day in days
    )
    churned = sum(gap["churned"] for gap in known)
    row = scheme.table.set_index("tier").loc["low"]
    assert row["alerts"] == round(alerts) > 100
    assert row["alerts_per_day"] == pytest.approx(alerts / scheme.n_days)
    assert row["precision"] == pytest.approx(right / alerts)
    assert row["recall"] == pytest.approx(right / churned)
    assert row["lead_recall"] == pytest.approx(lead / IDLE / churned)
    assert row["lead_days"] == pytest.approx(lead / right)
    assert row["precision_lower"] < row["precision"] < row["precision_upper"]
    # and no calendar day has more than the capacity
    by_day: dict[int, float] = {}
    for (start, length, _), chance in zip(lines, found, strict=True):
        for day in range(min(length, IDLE)):
            by_day[start + day] = by_day.get(start + day, 0.0) + chance[day]
    assert max(by_day.values()) <= 1.5 + 1e-9


def test_the_words_say_what_waits(scheme):
    (note,) = [each for each in scheme.notes if each.startswith("low: on no day more than 1.5 first alerts")]
    assert "the others wait while the rule holds" in note
    assert "The rule alone would alert" in note
    assert any(each.startswith("low: resamples choose the best rule with") for each in scheme.notes)
    assert str(Capacity(per_day=1.5)) == "at most 1.5 first alerts a day"
    assert scheme.thresholds.set_index("tier").loc[["low"], "form_frequency"].max() > 0


def test_a_line_by_hand():
    # forty users register on one day and never come back; four idle days make a churn, at most ten contacts a day
    log = log_of([(40, [], None), (1, [1] * 50, None)])
    scheme = fit_tiers(log, objective={"high": Capacity(per_day=10)}, variables=[], bootstrap=0)
    assert str(scheme.tiers[0].rule) == "idle_days > 0"
    row = scheme.table.iloc[0]
    # 10 each on idle days 1, 2, 3; ten are never called; the other one is, when he has gone, too
    assert row["alerts"] == 31
    assert (row["precision"], row["recall"]) == (1.0, 31 / 41)
    assert row["lead_recall"] == pytest.approx((10 * 3 + 10 * 2 + 10 * 1 + 3) / 4 / 41)
    assert row["alerts_per_day"] == pytest.approx(31 / scheme.n_days)
    # all of the capacity is used on three of the days on which somebody could be called
    (note,) = [each for each in scheme.notes if "on no day more than 10" in each]
    assert f"on {3 / (scheme.n_days - 1):.0%} of the days all of the capacity" in note


def test_the_most_urgent_come_first_by_hand():
    log = log_of([(400, [], 1.0), (200, [2], 9.0), (200, [], 9.0)], until="2024-01-20")
    settings = {"variables": ["score"], "grids": {"score": [5]}, "bootstrap": 0, "round": False}
    row = fit_tiers(log, objective={"high": Capacity(per_day=300)}, **settings).table.iloc[0]
    # Of those of score 9 a third returns on day 2. So on idle day 1, Jan 2, 300 of the 400 others are called; on Jan 3
    # the 100 that are left and 200 of score 9; on Jan 4 those who had returned, on idle day 1 of their second gap.
    assert (row["alerts"], row["precision"], row["recall"]) == (800, 1.0, 1.0)
    assert row["lead_recall"] == pytest.approx((300 * 3 + 300 * 2 + 200 * 3) / 4 / 800)


def test_a_capacity_that_nothing_reaches_is_the_rule_alone(log):
    free = fit_tiers(log, objective={"low": Capacity(per_day=199)}, missing={"balance": 0}, bootstrap=0)
    row = free.table.iloc[0]
    assert str(free.tiers[0].rule) == "idle_days > 0"
    gaps = [gap for gap in gaps_by_day(log) if gap["known"]]
    assert row["alerts"] == sum(gap["length"] > 1 for gap in gaps)
    assert (row["recall"], row["lead_recall"]) == (1.0, pytest.approx(29 / 30))


def test_the_choice_is_the_best_of_its_candidates_and_never_below_the_strict_limit(log):
    grids = {"balance": [1, 100, 1_000], "n_investments": [1, 3]}
    settings = {"grids": grids, "monotone": None, "missing": {"balance": 0.0}, "until": None, "blocks": 1000}
    training = train_on(log, list(grids), **settings)
    waiting = waiting_in(log, training)
    until = np.full(training.counts.n.size, IDLE)
    search = on_average(training, until, np.zeros((0, training.counts.n_blocks)), level=0.95, rounded=False)
    weight = (IDLE - np.arange(IDLE)) / IDLE

    def lead(rule: Rule, per_day: float) -> float:
        called = waiting.called(waiting.may(rule, []), per_day)
        return float((waiting.gaps.n * waiting.gaps.churned * called.weighted(weight)).sum())

    chosen = {}
    for per_day in (0.5, 2.0):
        limits = [factor * per_day for factor in FACTORS] + [1e6]
        rules = []
        for each in limits:
            found = search(Capacity(per_day=each), False)
            rules.append(training.rule(found.pair, found.fitted))
        tier = fit_capacity(training, waiting, Capacity(per_day=per_day), [], search, lowest=True, rounded=False)
        mine = lead(training.rule(tier.found.pair, tier.found.five), per_day)
        assert mine == pytest.approx(max(lead(rule, per_day) for rule in rules))
        assert tier.missed == pytest.approx(0.0, abs=1e-9)
        assert float(tier.sums.lead.sum()) == pytest.approx(IDLE * mine)
        # rounder and stricter costs a hundredth at most
        rounded = fit_capacity(training, waiting, Capacity(per_day=per_day), [], search, lowest=True, rounded=True)
        assert float(rounded.sums.lead.sum()) >= 0.99 * float(tier.sums.lead.sum())
        assert rounded.alone <= tier.alone + 1e-9
        chosen[per_day] = mine
        # with tiers below it a rule may not alert more than the cap on average
        above = fit_capacity(training, waiting, Capacity(per_day=per_day), [], search, lowest=False, rounded=False)
        assert above.factor == 1.0
        assert above.alone <= per_day
        assert training.rule(above.found.pair, above.found.five) == rules[0]
    assert chosen[0.5] < chosen[2.0]


def test_nobody_is_left_for_a_tier_below_everybody():
    log = log_of([(60, [2], 1.0), (60, [3], 9.0)])
    scheme = fit_tiers(
        log, objective={"high": Precision(target=0.2), "low": Capacity(per_day=5)}, variables=[], bootstrap=5
    )
    assert str(scheme.tiers[0].rule) == "idle_days > 0"
    assert str(scheme.tiers[1].rule) == "contact nobody"
    assert "low: the tier is empty: higher tiers leave it no gap to alert." in scheme.notes
    assert scheme.table.iloc[1]["alerts"] == 0


def test_later_days_change_no_choice(log):
    until = log.observed_until - pd.Timedelta(days=200)
    settings = {"objective": {"low": Capacity(per_day=1)}, "variables": ["balance"], "missing": {"balance": 0}}
    settings |= {"bootstrap": 0}
    whole = fit_tiers(log, until=str(until)[:10], **settings)
    early = fit_tiers(log.as_of(str(until)[:10]), **settings)
    pd.testing.assert_frame_equal(whole.table, early.table)
    assert whole.data_hash == early.data_hash
