"""Each figure a second time, in loops over random lives: returns, late registrations, stages skipped in a day."""

from __future__ import annotations

from functools import cache
from math import isnan, sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

import churnsurv as ch
from churnsurv.diagnosis.channels import channel_value
from churnsurv.diagnosis.profile import churn_profile
from churnsurv.diagnosis.structure import churn_structure
from tests.data.lives import IDLE, LAST, Lives, active_days, date_of, features_of
from tests.diagnosis.plain import FirstSpell, Z, busy_lives, first_spells, incidence, kaplan_meier, log_log, wilson

SEEDS = range(3)
EXACT = {"rel": 1e-10, "abs": 1e-10}


@cache
def life(seed: int) -> Lives:
    return busy_lives(seed)


@cache
def spells(seed: int) -> list[FirstSpell]:
    return first_spells(life(seed))


def test_the_random_lives_have_what_is_hard() -> None:
    """Users who churn on the last day, return, skip a stage, are left-truncated, or register on the last day."""
    every = [spell for seed in SEEDS for spell in spells(seed)]
    assert any(spell.churned and spell.origin + spell.duration == LAST for spell in every)
    assert any(spell.duration == 0 for spell in every)
    skips = [
        (one[0], other[0]) for spell in every for one, other in zip(spell.episodes, spell.episodes[1:], strict=False)
    ]
    assert ("new", "mature") in skips
    returns = [s for seed in SEEDS for s in spells(seed) if s.churned
               and active_days(life(seed), s.user, LAST)[-1] > s.origin + s.duration]  # fmt: skip
    assert len(returns) > 5
    assert sum(day < 0 for seed in SEEDS for day in life(seed).registered.values()) > 30


# ------------------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize("seed", SEEDS)
def test_the_structure_is_that_of_loops(seed: int) -> None:
    horizons = (IDLE - 1, IDLE, IDLE + 1, 20, LAST)
    found = churn_structure(life(seed).log(), by=["stage", "channel"], horizons=horizons, min_users=1)
    mine = spells(seed)
    n_churned = sum(spell.churned for spell in mine)
    assert (found.n_users, found.n_churned) == (len(mine), n_churned)
    groups = {
        ("stage", stage): [s for s in mine if any(each[0] == stage for each in s.episodes)]
        for stage in ("new", "growth", "mature")
    } | {("channel", name): [s for s in mine if s.channel == name] for name in "ab"}
    leaves = {("stage", s.episodes[-1][0]): [] for s in mine} | {("channel", name): [] for name in "ab"}
    for spell in mine:
        if spell.churned:
            leaves[("stage", spell.episodes[-1][0])].append(spell)
            leaves[("channel", spell.channel)].append(spell)
    table = found.table.set_index(["variable", "group"])
    assert set(table.index) == {key for key, members in groups.items() if members}
    for key, row in table.iterrows():
        assert row["n_users"] == len(groups[key])
        assert row["n_churned"] == len(leaves.get(key, []))
        k = int((table.index.get_level_values(0) == key[0]).sum())
        limits = wilson(int(row["n_churned"]), n_churned, -brentq(lambda z, k=k: _below(z) - 0.025 / k, -9, 0))
        assert (row["share_lower"], row["share_upper"]) == pytest.approx(limits, **EXACT)
    by_horizon = found.horizons.set_index(["variable", "group", "horizon"])
    for (variable, group, horizon), row in by_horizon.iterrows():
        members = groups[variable, group]
        if variable == "channel":
            rows = [(s.duration, s.churned) for s in members]
            survival, greenwood = kaplan_meier(rows, horizon)
            assert row["churned"] == pytest.approx(1 - survival, **EXACT)
            assert isnan(row["lower"]) == (row["n_followed_to"] < 10 or not 0 < survival < 1)
            if not isnan(row["lower"]):
                upper, lower = (1 - each for each in log_log(survival, greenwood))
                assert (row["lower"], row["upper"]) == pytest.approx((lower, upper), **EXACT)
                assert row["std_error"] == pytest.approx(survival * sqrt(greenwood), **EXACT)
            starts = [(s.origin, s.duration) for s in members]
        else:
            episodes = [each for s in members for each in s.episodes if each[0] == group]
            rows_of_stage = [(each[2], each[3]) for each in episodes]
            assert row["churned"] == pytest.approx(incidence(rows_of_stage, "churned", horizon), **EXACT)
            starts = [(each[1], each[2]) for each in episodes]
        assert row["n_at_risk"] == sum(duration >= horizon for _, duration in starts)
        assert row["n_followed_to"] == sum(LAST - origin >= horizon for origin, _ in starts)
    # Whoever has no row was followed for a shorter time, or the horizon lies beyond the log.
    for (variable, group), members in groups.items():
        longest = max((s.duration for s in members), default=0) if variable == "channel" else max(
            (each[2] for s in members for each in s.episodes if each[0] == group), default=0
        )  # fmt: skip
        for horizon in horizons:
            if horizon <= longest:
                assert (variable, group, horizon) in by_horizon.index


def _below(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(z))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cells_of_stage_and_channel_are_those_of_loops(seed: int) -> None:
    found = churn_structure(life(seed).log(), by=["stage", "channel"], horizons=(15,), min_users=1)
    for row in found.cross.to_dict("records"):
        members = [s for s in spells(seed) if s.channel == row["channel"]]
        episodes = [each for s in members for each in s.episodes if each[0] == row["stage"]]
        assert row["n_users"] == sum(any(each[0] == row["stage"] for each in s.episodes) for s in members)
        assert row["n_churned"] == sum(each[3] == "churned" for each in episodes)
        if found.cross_horizon is not None:
            expected = incidence([(each[2], each[3]) for each in episodes], "churned", 15)
            assert row["churned"] == pytest.approx(expected, **EXACT)


def test_the_hour_of_events_and_the_zone_move_days_for_everybody_alike() -> None:
    """Ten in the evening UTC is the next day in Shanghai: the same lives a day later, and so the same structure."""
    some = life(0)
    plain = some.log()
    tables: dict[str, pd.DataFrame] = {name: plain._reading.data[name].copy() for name in ("events", "users")}  # type: ignore[misc]
    tables["events"]["event_at"] += pd.Timedelta(hours=22)
    tables["users"]["registered_at"] += pd.Timedelta(hours=22)
    settings = {"rule": plain.rule, "time_zone": "Asia/Shanghai"}
    window = {"observed_from": date_of(1).date(), "observed_until": date_of(LAST + 1).date()}
    moved = ch.ActivityLog(tables["events"], tables["users"], **settings, **window)
    by = ["stage", "channel"]
    one, other = (churn_structure(log, by=by, horizons=(10, 30), min_users=1) for log in (plain, moved))
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.horizons, other.horizons)
    assert plain.lifecycle().transitions.equals(moved.lifecycle().transitions)
    asked = {"window": 5, "horizon": 20, "min_users": 1}
    pd.testing.assert_frame_equal(churn_profile(plain, **asked).table, churn_profile(moved, **asked).table)
    margin = {"active_day": 1.0, "invested_day": 0.5}
    worth = [channel_value(log, margin=margin, horizon=20, min_users=1).table for log in (plain, moved)]
    pd.testing.assert_frame_equal(*worth)


# --------------------------------------------------------------------------------------------------------- profile

WINDOW, HORIZON = 5, 20
NAMES = ["n_investments", "max_amount", "total_amount", "ever_boosted", "balance", "login_interval"]


def value_of(some: Lives, user: int, day: int, name: str) -> float | None:
    if name != "login_interval":
        return features_of(some, user, day)[name]
    days = active_days(some, user, day)
    return (days[-1] - days[0]) / (len(days) - 1) if len(days) > 1 else None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", ["early", "spell"])
def test_the_profile_is_that_of_loops(seed: int, form: str) -> None:
    some, mine = life(seed), spells(seed)
    found = churn_profile(
        some.log(), form=form, window=WINDOW, horizon=HORIZON, variables=NAMES, adjust="none", min_users=1
    )
    if form == "early":
        followed = [s for s in mine if s.followed >= HORIZON]
        compared = [s for s in followed if not (s.churned and s.duration <= WINDOW + IDLE)]
        churned = [s for s in compared if s.churned and s.duration <= HORIZON]
        known = {s.user: s.origin + WINDOW for s in compared}
        assert found.counts["immature"] == len(mine) - len(followed)
        assert found.counts["churned_before"] == len(followed) - len(compared)
    else:
        compared, churned = mine, [s for s in mine if s.churned]
        known = {s.user: s.last_active for s in mine}
    retained = [s for s in compared if s not in churned]
    assert (found.counts["churned"], found.counts["retained"]) == (len(churned), len(retained))
    assert found.counts["life_not_observed"] == sum(day < 0 for day in some.registered.values())
    table = found.table
    assert set(table["variable"]) == set(NAMES)
    for row in table.to_dict("records"):
        values = [
            [value_of(some, s.user, known[s.user], row["variable"]) for s in side] for side in (churned, retained)
        ]
        gone, stayed = ([x for x in side if x is not None] for side in values)
        assert (row["n_churned"], row["n_retained"]) == (len(gone), len(stayed))
        low = [sum(x <= row["cut"] for x in side) for side in (gone, stayed)]
        assert (row["share_churned"], row["share_retained"]) == (low[0] / len(gone), low[1] / len(stayed))
        assert (row["churned_lower"], row["churned_upper"]) == pytest.approx(wilson(low[0], len(gone), Z), **EXACT)
        if form == "early" and not isnan(row["risk_ratio"]):
            compare(row, low[0], low[1], len(gone), len(stayed))


def compare(row: dict[str, Any], e: int, f: int, d: int, r: int) -> None:
    """Risk ratio, z and score limits of e of d churned and f of r retained at or below the cut."""
    m, n = e + f, d + r
    assert (row["risk_below"], row["risk_above"]) == (e / m, (d - e) / (n - m))
    z = (e - m * d / n) / sqrt(m * (n - m) * d * (n - d) / (n**2 * (n - 1)))
    assert row["statistic"] == pytest.approx(z, **EXACT)
    if not 0 < e < m or not 0 < d - e < n - m:
        return
    a, b = (e, m), (d - e, n - m)

    def score(log_ratio: float) -> float:
        ratio = np.exp(log_ratio)
        # The likeliest p of b where a has ratio * p, by the roots of its quadratic.
        roots = np.roots([n * ratio, -(ratio * (a[1] + b[0]) + a[0] + b[1]), a[0] + b[0]])
        p = min(roots.real)
        variance = (ratio * p * (1 - ratio * p) / a[1] + ratio**2 * p * (1 - p) / b[1]) * n / (n - 1)
        return float((a[0] / a[1] - ratio * b[0] / b[1]) / sqrt(variance))

    middle = np.log(row["risk_ratio"])
    lower = brentq(lambda x: score(x) - Z, middle - 8, middle - 1e-9, xtol=1e-14)
    upper = brentq(lambda x: score(x) + Z, middle + 1e-9, middle + 8, xtol=1e-14)
    assert (row["lower"], row["upper"]) == pytest.approx((np.exp(lower), np.exp(upper)), rel=1e-7)


# --------------------------------------------------------------------------------------------------- channel value


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("balances", [False, True])
def test_the_value_of_channels_is_that_of_loops(seed: int, balances: bool) -> None:
    some = busy_lives(seed, balances=balances)
    horizon, rates = 20, {"active_day": 1.5, "invested_day": 0.01}
    costs = pd.DataFrame({"channel": ["a", "b"], "cost_per_user": [3.0, 1.0]})
    found = channel_value(some.log(), costs, margin=rates, horizon=horizon, min_users=1).table.set_index("channel")
    for name in "ab":
        mine = [s for s in first_spells(some) if s.channel == name]
        row, n = found.loc[name], len(mine)
        active = [[float(d in set(active_days(some, s.user, LAST))) for d in whole(s, horizon)] for s in mine]
        held = [[features_of(some, s.user, d)["balance"] or 0.0 for d in whole(s, horizon)] for s in mine]
        brought = [[1.5 * x + 0.01 * y for x, y in zip(*each, strict=True)] for each in zip(active, held, strict=True)]
        followed = [s.followed for s in mine]
        for column, days in (("active_days", active), ("margin", brought)):
            estimate, error = mean_of_days(days, followed, horizon)
            assert row[column] == pytest.approx(estimate, **EXACT)
            limits = (estimate - Z * error, estimate + Z * error)
            assert (row[f"{column}_lower"], row[f"{column}_upper"]) == pytest.approx(limits, **EXACT)
        assert row["value"] == pytest.approx(row["margin"] - row["cost_per_user"], **EXACT)
        first = [first_investment(some, s) for s in mine]
        waiting = [(s.followed if day is None else day, day is not None) for s, day in zip(mine, first, strict=True)]
        on_the_day = sum(day == 0 and done for day, done in waiting) / n
        later = [each for each in waiting if each[0] > 0]
        assert row["conversion"] == pytest.approx(
            1 - (1 - on_the_day) * kaplan_meier(later, horizon)[0], **EXACT
        )  # fmt: skip
        stay = sum(kaplan_meier([(s.duration, s.churned) for s in mine], day)[0] for day in range(horizon))
        assert row["days_until_churn"] == pytest.approx(stay, **EXACT)
        assert row["n_followed"] == sum(each >= horizon for each in followed)


def whole(spell: FirstSpell, horizon: int) -> range:
    return range(spell.origin, min(spell.origin + horizon, LAST) + 1)


def first_investment(some: Lives, spell: FirstSpell) -> int | None:
    days = [d for u, d, kind, *_ in some.events if u == spell.user and kind == "invest" and spell.origin <= d <= LAST]
    return min(days) - spell.origin if days else None


def mean_of_days(days: list[list[float]], followed: list[int], horizon: int) -> tuple[float, float]:
    """Sum of the daily means of the users followed to each day, and the error from what each user adds to it."""
    n, total, influence = len(days), 0.0, [0.0] * len(days)
    for day in range(horizon + 1):
        there = [i for i in range(n) if followed[i] >= day]
        mean = sum(days[i][day] for i in there) / len(there)
        total += mean
        for i in there:
            influence[i] += (days[i][day] - mean) / len(there)
    return total, sqrt(sum(each**2 for each in influence))
