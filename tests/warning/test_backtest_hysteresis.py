"""Backtests with hysteresis: by hand, and walked gap by gap and day by day where balances and scores go up and down."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import InputError
from churnsurv.warning import Capacity, Precision, fit_tiers
from churnsurv.warning.backtest import backtest
from churnsurv.warning.backtest_origin import FITTED

from .lines import chances, gaps_by_day
from .schemes import rule, scheme
from .test_backtest_lines import COMPARE, DAY, IDLE, WORTH, number, row_of, same, totals

CAP = 0.4
OBJECTIVES = {"high": WORTH, "medium": Precision(target=0.5), "low": Capacity(per_day=CAP)}


def with_rules(made, rules, **changed):
    """A scheme with these rules, judged by the objectives above."""
    tiers = [
        dataclasses.replace(tier, rule=each, objective=goal.to_plain())
        for tier, each, goal in zip(made.tiers, rules, OBJECTIVES.values(), strict=True)
    ]
    return dataclasses.replace(made, tiers=tuple(tiers), **changed)


# ------------------------------------------------------------------------------------------------- a walk by memory


def holds(each, state, widths) -> bool:
    """Whether a rule holds if each threshold is looser by a share of it."""
    for conditions in each.alternatives:
        fine = True
        for c in conditions:
            by = widths.get(c.variable, 0.0) * abs(c.threshold)
            limit = c.threshold + by if c.sign[0] == "<" else c.threshold - by
            fine &= state[c.variable] is not None and COMPARE[c.sign](state[c.variable], limit)
        if fine:
            return True
    return False


def remembered(rules, states, widths) -> list[int | None]:
    """The tier of a user on each idle day, who knows the tier of the day before."""
    found: list[int | None] = []
    for day, state in enumerate(states):
        state = state | {"idle_days": float(day)}
        own = next((place for place, each in enumerate(rules) if holds(each, state, {})), None)
        before = found[-1] if found else None
        stays = before is not None and (own is None or own > before) and holds(rules[before], state, widths)
        found.append(before if stays else own)
    return found


def n_changes(gaps, paths) -> tuple[float, float]:
    """Changes of tier while silent, and those down or out, per 1,000 gaps."""
    ranks = [
        [9 if place is None else place for place in path[: gap["length"]]]
        for gap, path in zip(gaps, paths, strict=True)
    ]
    steps = [pair for mine in ranks for pair in pairwise(mine)]
    return 1000 * sum(a != b for a, b in steps) / len(gaps), 1000 * sum(a < b for a, b in steps) / len(gaps)


def check(found, every, origin, days) -> None:
    """Compare all figures with gaps that know their tier (`path`), and their urgency, on each idle day."""
    first, last = number(origin) + 1, number(origin) + days
    mine = [at for at, gap in enumerate(every) if first <= gap["start"] <= last]
    gaps = [every[at] for at in mine]
    for place, (tier, cap) in enumerate(zip(found.tiers, (np.inf, np.inf, CAP), strict=True)):
        lines = [
            (
                gap["start"],
                gap["length"],
                [gap["urgency"][day] if day and gap["path"][day] == place else None for day in range(IDLE)],
            )
            for gap in every
        ]
        alone = chances(lines, cap)
        inside = [[float(k == place) for k in gap["path"]] for gap in gaps]
        same(
            row_of(found, FITTED, tier),
            totals(gaps, [alone[at] for at in mine], inside, None if place else WORTH),
            gaps,
            days,
        )
    told = found.tier_changes
    assert (told["changes"], told["falls"]) == pytest.approx(n_changes(gaps, [gap["path"] for gap in gaps]))
    own = n_changes(gaps, [gap["own"] for gap in gaps])
    assert (told["changes_without"], told["falls_without"]) == pytest.approx(own)


# ---------------------------------------------------------------------------------------------------------- balances


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(120, seed=4)


@pytest.fixture(scope="module")
def jittering(app):
    """The app's log with balances that draw down and jitter every other day; and the balance of a user by day."""
    rng, log = np.random.default_rng(8), app.log
    days = pd.date_range(log.observed_from, log.observed_until, freq="2D")
    users = app.users["user_id"].iloc[:-10].to_numpy()
    level = np.exp(rng.normal(np.log(120), 0.6, (len(users), 1)) - 0.004 * (np.arange(len(days)) % 180))
    noise = np.exp(rng.normal(0, 0.15, (len(users), len(days))))
    table = pd.DataFrame(
        {
            "user_id": np.repeat(users, len(days)),
            "date": np.tile(days, len(users)),
            "balance": np.round(level * noise).ravel(),
        }
    )
    table.loc[rng.random(len(table)) < 0.01, "balance"] = np.nan
    table = table.dropna()
    moved = ch.ActivityLog(
        app.events, app.users, balances=table, observed_from=log.observed_from, observed_until=log.observed_until
    )
    known: dict[object, dict[int, float]] = defaultdict(dict)
    for user, day, balance in table.itertuples(index=False):
        known[user][number(day)] = float(balance)

    def path(user: object, start: int) -> list[float | None]:
        mine = known.get(user, {})
        last = next((mine[day] for day in range(start, number(log.observed_from) - 1, -1) if day in mine), None)
        found = []
        for day in range(start, start + IDLE):
            last = mine.get(day, last)
            found.append(last)
        return found

    return moved, path


class ByDay:
    """P(churn | cell of the day, idle day) (idle_days - d) / idle_days, by counting; drawn to all as by 10 gaps."""

    def __init__(self, gaps, cuts) -> None:
        self.cuts = cuts
        self.silent, self.churned = defaultdict(float), defaultdict(float)
        for gap in gaps:
            for day in range(IDLE):
                for key in ((self.cell(gap["balances"][day]), day), (None, day)):
                    self.silent[key] += gap["length"] > day
                    self.churned[key] += gap["churned"]

    def cell(self, balance) -> int:
        return -1 if balance is None else sum(balance >= cut for cut in self.cuts)

    def of(self, gap) -> list[float]:
        found = []
        for day, balance in enumerate(gap["balances"]):
            key, every = (self.cell(balance), day), (None, day)
            overall = self.churned[every] / self.silent[every] if self.silent[every] else 1.0
            found.append((self.churned[key] + 10 * overall) / (self.silent[key] + 10) * ((IDLE - day) / IDLE))
        return found


FALLING = [
    rule("idle_days > 12 and balance < 80", "idle_days > 20 and balance < 110"),
    rule("idle_days > 6 and balance < 100"),
    rule("idle_days > 3 and balance >= 150"),
]
ODD = [
    rule("idle_days >= 9 and idle_days <= 14 and balance > 130"),
    rule("idle_days > 1 and balance <= 90", "idle_days > 17 and balance > 100"),
    rule("idle_days > 8 and balance < 120"),
]


@pytest.mark.parametrize(
    ("rules", "width", "missing"),
    [(FALLING, 0.25, {}), (FALLING, 0.1, {"balance": 105.0}), (ODD, 0.3, {})],
    ids=["falling", "filled", "odd"],
)
def test_rules_are_held_to_what_a_walk_remembers(app, jittering, rules, width, missing):
    log, balances = jittering
    origin, days = log.observed_until - 120 * DAY, 80
    made = with_rules(
        scheme(dict(zip(OBJECTIVES, rules, strict=True))),
        rules,
        grids={"balance": (100.0, 500.0)},
        missing=missing,
        known_until=log.observed_from,
    )
    found = backtest(log, scheme=made, origins=[origin], test_days=days, hysteresis={"balance": width})
    assert dict(found.hysteresis) == {"balance": width}
    known = [gap for gap in gaps_by_day(log.as_of(origin), ("balance",)) if gap["known"]]
    first, last = number(origin) + 1, number(origin) + days
    every = [gap for gap in gaps_by_day(log, ("balance",)) if first - 29 <= gap["start"] <= last + 29]
    for gap in (*known, *every):
        gap["balances"] = balances(gap["user"], gap["start"])
    # ranks know the thresholds of the rules, and not the wider ones
    cuts = {100.0, 500.0} | {
        np.nextafter(c.threshold, np.inf) if c.sign in (">", "<=") else c.threshold
        for each in (*rules, rule("balance < 100"))
        for conditions in each.alternatives
        for c in conditions
        if c.variable == "balance"
    }
    urgency = ByDay(known, sorted(cuts))
    for gap in every:
        gap["urgency"] = urgency.of(gap)
        states = [{"balance": missing.get("balance") if each is None else each} for each in gap["balances"]]
        gap["path"] = remembered(rules, states, {"balance": width})
        gap["own"] = remembered(rules, states, {})
    assert sum(gap["path"] != gap["own"] for gap in every) > 20
    check(found, every, origin, days)


def test_what_has_no_memory_is_the_same_with_and_without(jittering):
    log, _ = jittering
    goals = {"high": WORTH, "medium": dataclasses.replace(WORTH, contact_cost=2), "low": Precision(target=0.3)}
    made = with_rules(scheme(dict(zip(goals, FALLING, strict=True))), FALLING, known_until=log.observed_from)
    tiers = [
        dataclasses.replace(tier, objective=goal.to_plain())
        for tier, goal in zip(made.tiers, goals.values(), strict=True)
    ]
    made = dataclasses.replace(made, tiers=tuple(tiers))
    asked = {"scheme": made, "origins": [log.observed_until - 150 * DAY], "test_days": 90, "capacity": 0.5}
    plain, held = backtest(log, **asked), backtest(log, hysteresis={"balance": 0.3}, **asked)
    assert plain.hysteresis == plain.tier_changes == {}
    assert held.tier_changes["changes"] < held.tier_changes["changes_without"]
    assert held.tier_changes["falls"] < held.tier_changes["falls_without"]
    # the ranking and all other policies
    pd.testing.assert_frame_equal(plain.gains, held.gains)
    for name in ("table", "accuracy"):
        tables = [getattr(each, name) for each in (plain, held)]
        assert not tables[0].equals(tables[1])
        pd.testing.assert_frame_equal(*(each[each["policy"] != FITTED].reset_index(drop=True) for each in tables))
    # first contacts in a tier or a higher one
    pd.testing.assert_frame_equal(plain.differences, held.differences)
    first = ["alerts", "precision", "lead_days", "value"]
    pd.testing.assert_series_equal(row_of(plain, FITTED)[first], row_of(held, FITTED)[first])
    pd.testing.assert_series_equal(row_of(plain, FITTED, "high")[first], row_of(held, FITTED, "high")[first])
    # while users are in tiers for more days
    assert row_of(plain, FITTED)["rows"] < row_of(held, FITTED)["rows"]
    assert row_of(plain, FITTED, "high")["rows"] < row_of(held, FITTED, "high")["rows"]
    facts = [json.loads(each.to_json())["facts"] for each in (plain, held)]
    assert "hysteresis" not in facts[0]
    assert facts[1]["hysteresis"] == {"balance": 0.3}
    assert facts[1]["tier_changes"] == pytest.approx(dict(held.tier_changes))
    assert held.notes[: len(plain.notes)] == plain.notes
    told = held.notes[len(plain.notes) :]
    assert told[0].startswith("Hysteresis (balance 0.3): up to the next activity a user stays in high while")
    assert f"{held.tier_changes['falls']:,.4g} of them down or out" in told[1]


def test_a_case_by_hand():
    """Balance < 100, a tenth wider on the way out: 90 enters, 105 stays, 111 leaves, 105 is out, 95 enters again."""
    balances = [500, 90, 105, 111, 105, 95]
    days = pd.date_range("2024-01-01", periods=6)
    log = ch.ActivityLog(
        pd.DataFrame({"user_id": [1], "event_at": pd.to_datetime(["2024-01-20"]), "kind": ["login"]}),
        pd.DataFrame({"user_id": [1], "registered_at": days[:1]}),
        balances=pd.DataFrame({"user_id": 1, "date": days, "balance": balances}),
        rule=ch.ChurnRule(idle_days=6),
        observed_from="2024-01-01",
        observed_until="2024-01-31",
    )
    made = scheme(
        {"high": rule("idle_days > 0 and balance < 100")}, churn_rule=log.rule, known_until=log.observed_from - DAY
    )
    asked = {"scheme": made, "origins": ["2023-12-31"], "test_days": 1}
    plain, held = backtest(log, **asked), backtest(log, hysteresis={"balance": 0.1}, **asked)
    assert [row_of(each, FITTED, "high")["rows"] for each in (plain, held)] == [2, 3]
    assert [row_of(each, FITTED, "high")["alerts"] for each in (plain, held)] == [1, 1]
    assert dict(held.tier_changes) == {"changes": 3000, "falls": 1000, "changes_without": 3000, "falls_without": 1000}
    # wide enough to stay on all days
    wide = backtest(log, hysteresis={"balance": 0.12}, **asked)
    assert row_of(wide, FITTED, "high")["rows"] == 5
    assert (wide.tier_changes["changes"], wide.tier_changes["falls"]) == (1000, 0)


# ------------------------------------------------------------------------------------------------------------ scores


def test_cuts_of_a_given_score_are_held_to_what_a_walk_remembers(app):
    log, rng = app.log, np.random.default_rng(2)
    origin, days = log.observed_until - 110 * DAY, 70
    dates = pd.date_range(log.observed_from, log.observed_until, freq="2D")
    users = app.users["user_id"].iloc[:-10].to_numpy()
    level = np.repeat(rng.normal(size=len(users)), len(dates))
    table = pd.DataFrame({"user_id": np.repeat(users, len(dates)), "date": np.tile(dates, len(users))})
    table["score"] = np.round(level + 0.7 * rng.normal(size=len(table)), 2)
    goals = {"high": Precision(target=0.1), "medium": Precision(target=0.1), "low": Precision(target=0.1)}
    spec = {"objective": goals, "family": "score", "score": table, "bootstrap": 0}
    rules = [rule("score > 1.2"), rule("score >= 0.5"), rule("idle_days > 4 and score > -0.4")]
    made = with_rules(fit_tiers(log, until=str(origin), **spec), rules)
    found = backtest(log, scheme=made, score=table, origins=[origin], test_days=days, hysteresis={"score": 0.5})
    known: dict[object, dict[int, float]] = defaultdict(dict)
    for user, day, score in table.itertuples(index=False):
        known[user][number(day)] = score
    first, last = number(origin) + 1, number(origin) + days
    every = [gap for gap in gaps_by_day(log, ()) if first - 29 <= gap["start"] <= last + 29]
    for gap in every:
        mine = known.get(gap["user"], {})
        before = [day for day in mine if day <= gap["start"]]
        score, states = mine[max(before)] if before else None, [{"score": None}]
        for day in range(1, IDLE):
            score = mine.get(gap["start"] + day, score)
            states.append({"score": score})
        gap["urgency"] = [state["score"] for state in states]
        gap["path"] = remembered(rules, states, {"score": 0.5})
        gap["own"] = remembered(rules, states, {})
    assert sum(gap["path"] != gap["own"] for gap in every) > 20
    check(found, every, origin, days)


def test_cuts_of_a_fit_are_held_to_what_a_walk_remembers(app):
    """P(churn) only rises in silence, so that nobody leaves a cut from below; here a band of it is left above."""
    log, formula = app.log, "log1p(balance) + n_investments"
    origin, days = log.observed_until - 110 * DAY, 70
    goals = {name: Precision(target=0.3) for name in OBJECTIVES}
    spec = {"objective": goals, "family": "score", "formula": formula, "missing": {"balance": 0}, "bootstrap": 0}
    rules = [
        rule("idle_days > 2 and P(churn) > 0.85"),
        rule("idle_days > 1 and P(churn) > 0.2 and P(churn) < 0.45"),
        rule("idle_days > 4 and P(churn) < 0.7"),
    ]
    plain = fit_tiers(log, until=str(origin), **spec)
    made = with_rules(plain, rules)
    found = backtest(log, scheme=made, origins=[origin], test_days=days, hysteresis={"score": 0.25})
    assert dict(found.hysteresis) == {"P(churn)": 0.25}
    first, last = number(origin) + 1, number(origin) + days
    every = [gap for gap in gaps_by_day(log) if first - 29 <= gap["start"] <= last + 29]
    frame = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(len(every)), IDLE),
            "idle_days": np.tile(np.arange(IDLE), len(every)),
            "balance": np.repeat([np.nan if gap["balance"] is None else gap["balance"] for gap in every], IDLE),
            "n_investments": np.repeat([gap["n_investments"] for gap in every], IDLE),
        }
    )
    chance = plain.assign(frame).table["P(churn)"].to_numpy().reshape(-1, IDLE)
    for gap, mine in zip(every, chance, strict=True):
        states = [{"P(churn)": float(p) if day else None} for day, p in enumerate(mine)]
        gap["urgency"] = [float(p) * ((IDLE - day) / IDLE) for day, p in enumerate(mine)]
        gap["path"] = remembered(rules, states, {"P(churn)": 0.25})
        gap["own"] = remembered(rules, states, {})
    assert sum(gap["path"] != gap["own"] for gap in every) > 20
    check(found, every, origin, days)
    assert "hardly anybody has a tier to be held in" in found.notes[-1]
    # the cuts that were fitted are left by nobody
    as_fitted = backtest(log, scheme=plain, origins=[origin], test_days=days, hysteresis={"P(churn)": 0.25})
    assert as_fitted.tier_changes["falls"] == as_fitted.tier_changes["falls_without"] == 0


# ------------------------------------------------------------------------------------------------------------ refits


def test_each_scheme_that_is_fitted_has_its_own_thresholds_moved(app):
    log, rng = app.log, np.random.default_rng(3)
    table = log.landmark_panel(features=[], every=3, horizon=1).table[["user_id", "date", "idle_days"]]
    table["score"] = np.round(table.pop("idle_days") / 10 + rng.normal(size=len(table)), 1)
    spec = {"objective": {"high": Precision(target=0.4)}, "family": "score", "score": table}
    asked = {"test_days": 60, "hysteresis": {"score": 0.2}}
    origins = [log.observed_until - 260 * DAY, log.observed_until - 150 * DAY]
    found = backtest(log, spec=spec, origins=origins, **asked)
    each = [
        backtest(log, scheme=made, score=table, origins=[origin], **asked)
        for origin, made in zip(origins, found.schemes, strict=True)
    ]
    for one, origin in zip(each, origins, strict=True):
        mine = [x.table[x.table["origin"] == pd.Timestamp(origin)].reset_index(drop=True) for x in (found, one)]
        pd.testing.assert_frame_equal(*mine)
        assert one.tier_changes["falls"] < one.tier_changes["falls_without"]
    n = np.array([one.n_gaps for one in each])
    for name in ("changes", "falls", "changes_without", "falls_without"):
        assert found.tier_changes[name] == pytest.approx(n @ [one.tier_changes[name] for one in each] / n.sum())
    assert len({str(made.tiers[0].rule) for made in found.schemes}) == 2
    assert any("its rule, that of the origin, holds with these thresholds moved" in note for note in found.notes)


@pytest.mark.parametrize(
    ("hysteresis", "text"),
    [
        ({"balance": 1.2}, "above 0 and below 1"),
        ({"idle_days": 0.1}, "only grow in silence"),
        ({"n_investments": 0.1}, "a change of them is news"),
        (0.1, "hysteresis is a dict"),
    ],
)
def test_bad_input(jittering, hysteresis, text):
    log, _ = jittering
    made = scheme(
        {"high": rule("idle_days > 3 and balance < 100 and n_investments < 2")}, known_until=log.observed_from
    )
    with pytest.raises(InputError, match=text):
        backtest(log, scheme=made, origins=1, hysteresis=hysteresis)
