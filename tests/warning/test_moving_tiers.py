"""Tiers where variables move while users are silent: against days walked one by one, and rules tried one by one."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.numerics.precision_bound import lower_bounds
from churnsurv.warning import Capacity, Precision, Saving, Value, fit_tiers
from churnsurv.warning.moving_search import MovingTier, fit_moving_tier, moving_on_average
from churnsurv.warning.training import train_on
from tests.data.lives import IDLE, LAST, active_days, features_of, lives
from tests.numerics.brute_rules import all_rules, days_of, in_order, n_conditions

FALLS = Saving.from_table({"idle_days": [1, 2, 3, 4, 5], "s": [0.5, 0.45, 0.4, 0.2, 0.1]})
WORTH = Value(saved_value=10, contact_cost=1.2, saving=FALLS)
GRIDS = {"balance": (100.0, 300.0), "n_investments": (1,)}
ASKED: dict[str, Any] = {"variables": ["balance", "n_investments"], "grids": GRIDS}
WEEK = ch.Feature("week", agg="count", last=4)


def train(log, **changed):
    settings = {"grids": GRIDS, "monotone": None, "missing": None, "until": None, "blocks": 1000} | changed
    return train_on(log, list(settings["grids"]), **settings)


@pytest.fixture(scope="module")
def some():
    return lives(8, n_users=120, balances=True)


@pytest.fixture(scope="module")
def log(some):
    return some.log()


@pytest.fixture(scope="module")
def gaps(some):
    """Mature gaps: user, length, and the state at the end of idle days 1 to 5."""
    found = []
    for user, registered in sorted(some.registered.items()):
        days = active_days(some, user, LAST) if registered <= LAST else []
        for start, end in pairwise([*days, None]):
            if start is None or start > LAST - IDLE:
                continue
            length = IDLE + 1 if end is None or end - start > IDLE else end - start
            states = [features_of(some, user, day) for day in range(start + 1, start + IDLE)]
            found.append({"user": user, "length": length} | {k: [s[k] for s in states] for k in GRIDS})
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def states(gaps):
    """The state of all gaps on idle day 1, then on day 2, ..."""
    by_day = {name: np.array(gaps[name].tolist(), dtype=float).T.ravel() for name in GRIDS}
    return by_day | {"idle_days": np.repeat(np.arange(1.0, IDLE), len(gaps))}


def first_days(rule, states):
    """The first idle day on which a rule holds by the state of that day; 6 for never."""
    holds = rule.holds(states).reshape(IDLE - 1, -1)
    return np.where(holds.any(axis=0), holds.argmax(axis=0) + 1, IDLE)


def outcome(day, gaps, taken):
    """Which gaps are alerted, and which of these churn."""
    alerted = (day < IDLE) & (day < taken) & (gaps["length"].to_numpy() > day)
    return alerted, alerted & (gaps["length"].to_numpy() > IDLE)


@pytest.mark.parametrize("monotone", [None, {"balance": "decreasing", "n_investments": "increasing"}])
def test_the_best_rule_is_the_best_of_all_rules(log, gaps, states, monotone):
    training = train(log, monotone=monotone)
    assert training.moves
    taken = np.where(gaps["user"] % 3 == 0, 3, IDLE)
    until = np.where(sorted_users(log)[training.counts.block] % 3 == 0, 3, IDLE)
    lead = (IDLE - np.arange(IDLE + 1)) / IDLE
    worth = np.concatenate([[0.0], WORTH.worth(np.arange(1, IDLE)), [0.0]])
    tried = dict.fromkeys(("value", "precision", "few"), (0.0, 0))
    for pair, family in enumerate(training.families):
        for five in all_rules(family):
            if five[2] + five[4] == 0 or not in_order(days_of(five, family), family):
                continue
            day = first_days(training.rule(pair, five), states)
            alerted, right = outcome(day, gaps, taken)
            if not alerted.any():
                continue
            by_user = (np.bincount(gaps["user"], each)[:, None] for each in (right, alerted))
            bound = lower_bounds(*by_user, level=0.8)[0]
            fewer = -n_conditions(five)
            recall = (round((right * lead[day]).sum(), 9), fewer)
            value = (round((right * worth[day]).sum() - 1.2 * alerted.sum(), 9), fewer)
            tried["value"] = max(tried["value"], value)
            if bound >= 0.3:
                tried["precision"] = max(tried["precision"], recall)
            if alerted.sum() <= 40:
                tried["few"] = max(tried["few"], recall)
    settings = {"level": 0.8, "rounded": False}
    none = np.zeros((0, training.counts.n_blocks))
    few = moving_on_average(training, until, none, **settings)
    found = {
        "value": fit_moving_tier(training, WORTH, until, none, **settings),
        "precision": fit_moving_tier(training, Precision(target=0.3), until, none, **settings),
        "few": few(Capacity(per_day=40 / training.counts.n_days), False),
    }
    for name, tier in found.items():
        day = first_days(training.rule(tier.pair, tier.fitted), states)
        alerted, right = outcome(day, gaps, taken)
        score = (right * worth[day]).sum() - 1.2 * alerted.sum() if name == "value" else (right * lead[day]).sum()
        assert (round(score, 9), -n_conditions(tier.fitted)) == tried[name]
        assert score > 0


def sorted_users(log):
    """The user of each block: with fewer users than blocks each is one, in their order."""
    return np.array(sorted(log._reading.data["users"]["user_id"]))[: log.counts["users"]]


def walked(scheme, log):
    """First alerts by tier, and those that churn, from the tiers that `assign` gives on every day."""
    panel = log.landmark_panel(features=scheme.features, every=1, horizon=1)
    days = scheme.assign(panel).table
    days = days[days["idle_days"] > 0]
    days = days.assign(start=days["date"] - pd.to_timedelta(days["idle_days"], unit="D"))
    table = log.gaps().table
    table = table[table["start_date"] <= pd.Timestamp(log.observed_until) - pd.Timedelta(days=log.rule.idle_days)]
    churned = ~table["returned"].to_numpy(bool) | (table["duration"].to_numpy() > log.rule.idle_days)
    ends = pd.Series(churned, index=pd.MultiIndex.from_frame(table[["user_id", "start_date"]]))
    left, found = days, {}
    for tier in scheme.tiers:
        first = left[left["tier"] == tier.name].groupby(["user_id", "start"])["idle_days"].min()
        known = first[first.index.isin(ends.index)]
        right = ends.reindex(known.index)
        found[tier.name] = (len(known), int(right.sum()), float(((log.rule.idle_days - known) * right).sum()))
        # what a tier has alerted is no alert of a lower one from that day on
        key = pd.MultiIndex.from_frame(left[["user_id", "start"]])
        left = left[left["idle_days"].to_numpy() < first.reindex(key).fillna(np.inf).to_numpy()]
    return found


@pytest.mark.parametrize(
    ("variables", "grids", "target"),
    [
        (["balance", "n_investments"], GRIDS, 0.6),
        (["tenure", WEEK], {"tenure": (10, 20, 40), "week": (1, 2, 3)}, 0.7),
        ([WEEK, "balance", "tenure"], {"balance": (100.0, 300.0), "week": (1, 2), "tenure": (30,)}, 0.7),
    ],
)
def test_figures_are_those_of_tiers_assigned_day_by_day(log, variables, grids, target):
    objective = {"high": Precision(target=target), "low": Value(saved_value=10, contact_cost=2.4, saving=FALLS)}
    scheme = fit_tiers(log, objective=objective, variables=variables, grids=grids, bootstrap=10, level=0.8)
    found = walked(scheme, log)
    assert all(tier.rule.alternatives for tier in scheme.tiers)
    for _, row in scheme.table.iterrows():
        alerts, right, lead = found[row["tier"]]
        assert row["alerts"] == alerts > 0
        assert row["precision"] == pytest.approx(right / alerts)
        assert row["recall"] == pytest.approx(right / scheme.n_churned)
        assert row["lead_recall"] == pytest.approx(lead / IDLE / scheme.n_churned)
    assert any("crosses thresholds while users are silent" in note for note in scheme.notes)
    assert any("rules nearest to it" in note for note in scheme.notes)
    assert scheme.thresholds["frequency"].between(0, 1).all()
    assert found["high"][0] < scheme.n_gaps
    again = type(scheme).from_json(scheme.to_json())
    assert [str(tier.rule) for tier in again.tiers] == [str(tier.rule) for tier in scheme.tiers]


def test_a_balance_that_falls_is_alerted_on_the_day_it_has_fallen():
    # 12 users churn, their balance falls below 100 on idle day 2; 12 with a high balance return on day 3
    start = pd.Timestamp("2024-01-01")
    users = pd.DataFrame({"user_id": range(24), "registered_at": start})
    events = pd.DataFrame({"user_id": range(12, 24), "event_at": start + pd.Timedelta(days=3), "kind": "login"})
    rows = [(user, start, 500.0) for user in range(24)]
    rows += [(user, start + pd.Timedelta(days=2), 5.0) for user in range(12)]
    log = ch.ActivityLog(
        events,
        users,
        balances=pd.DataFrame(rows, columns=["user_id", "date", "balance"]),
        rule=ch.ChurnRule(idle_days=4),
        observed_from="2024-01-01",
        observed_until="2024-01-06",
    )
    falls = Saving.from_table({"idle_days": [1, 2, 3], "s": [0.5, 0.4, 0.1]})
    worth = Value(saved_value=10, contact_cost=3, saving=falls)
    # below 100: 12 alerts on day 2, 10 * .4 - 3 each; all: 12 * 10 * .5 - 24 * 3 < 0
    scheme = fit_tiers(log, objective={"high": worth}, variables=["balance"], grids={"balance": [100]}, bootstrap=0)
    assert str(scheme.tiers[0].rule) == "idle_days > 0 and balance < 100"
    row = scheme.table.iloc[0]
    assert (row["alerts"], row["precision"], row["lead_days"]) == (12, 1.0, 2.0)
    assert row["value"] == pytest.approx(1000 * 12 * (10 * 0.4 - 3) / 24)
    note = "balance crosses thresholds while users are silent (12 gaps, 50.0%)"
    assert any(note in each for each in scheme.notes)


def test_moves_within_a_cell_change_nothing():
    app = ch.simulate_app(80, seed=4)
    log = app.log
    moved = app.balances.assign(date=pd.to_datetime(app.balances["date"]) + pd.Timedelta(days=1))
    # a billionth more on the day after: no threshold lies in between
    moved = moved.assign(balance=moved["balance"] * (1 + 1e-9))[moved["date"] <= pd.Timestamp(log.observed_until)]
    both = pd.concat([app.balances.assign(date=pd.to_datetime(app.balances["date"])), moved])
    both = both.drop_duplicates(["user_id", "date"])
    window = {"observed_from": log.observed_from, "observed_until": log.observed_until}
    other = ch.ActivityLog(app.events, app.users, balances=both, **window)
    saving = Saving.plateau(top=0.3, middle=20, width=3)
    objective = {"high": Precision(target=0.6), "low": Value(saved_value=100, contact_cost=5, saving=saving)}
    asked: dict[str, Any] = {"objective": objective, "grids": {"balance": [100, 1000], "n_investments": [1]}}
    one, two = (fit_tiers(each, bootstrap=5, missing={"balance": 0}, **asked) for each in (log, other))
    assert ch.data.gap_counts.gap_counts(other, grids={"balance": (1,)}).balance_moves > 0
    assert json.loads(one.to_json()) == json.loads(two.to_json())


def test_resamples_choose_among_the_nearest_rules(log):
    training = train(log)
    until = np.full(training.counts.n.size, IDLE)
    n = training.counts.n_blocks
    samples = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=30).astype(float)
    settings = {"level": 0.8, "rounded": True}
    value = fit_moving_tier(training, WORTH, until, samples, **settings)
    assert isinstance(value, MovingTier)
    assert value.candidates > 100
    # as often as each block is there, a sample is the gaps themselves
    same = fit_moving_tier(training, WORTH, until, np.ones((3, n)), **settings)
    assert (same.sample_five == same.fitted).all()
    assert same.optimism == pytest.approx(0.0, abs=1e-5)
    best = max(each.benefit.max(initial=-np.inf) for each in value.may_be_best)
    stated = value.assumed[0]
    assert best == pytest.approx(stated.value, rel=1e-6)
    assert stated.chosen >= 0.99 * stated.value
    assert value.optimism > 0
    precise = fit_moving_tier(training, Precision(target=0.3), until, np.ones((3, n)), **settings)
    assert (precise.sample_five == precise.fitted).all()
    few = moving_on_average(training, until, np.ones((3, n)), **settings)(Capacity(per_day=1), True)
    assert (few.sample_five == few.fitted).all()


def test_a_target_out_of_reach_gives_an_empty_tier_and_the_nearest_one(log):
    scheme = fit_tiers(log, objective={"high": Precision(target=0.99)}, bootstrap=5, **ASKED)
    assert not scheme.tiers[0].rule.alternatives
    assert "The nearest target that is met is about" in scheme.notes[-1]
    dear = Value(saved_value=1, contact_cost=5, saving=FALLS)
    nobody = fit_tiers(log, objective={"high": dear}, bootstrap=5, **ASKED)
    assert not nobody.tiers[0].rule.alternatives
    assert "contacting nobody is best" in " ".join(nobody.notes)
    assert nobody.alternatives["form"].tolist()[0] == "contact nobody"


def test_a_capacity_works_where_balances_move(log):
    scheme = fit_tiers(log, objective={"high": Capacity(per_day=1.5)}, bootstrap=10, seed=2, **ASKED)
    row = scheme.table.iloc[0]
    assert 0 < row["alerts_per_day"] <= 1.5 * (1 + 1e-9)
    assert 0 < row["lead_recall"] < 1


def test_other_moves_have_another_hash(some, log):
    assert some.balances is not None
    training = train(log)
    assert training.data_hash == train(some.log()).data_hash
    paths = {name: along.copy() for name, along in training.paths.items()}
    row = int(training.path.max())
    paths["balance"][row, -1] = (paths["balance"][row, -1] + 1) % 4
    values = {name: getattr(training, name) for name in type(training).__slots__}
    assert type(training)(**(values | {"paths": paths})).data_hash != training.data_hash
