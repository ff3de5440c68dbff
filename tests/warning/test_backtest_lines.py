"""Backtests where a first alert is not given by the cell of a gap's first day: lines, moving balances, scores."""

from __future__ import annotations

import dataclasses
import datetime
import operator

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.warning import Capacity, Condition, Precision, Rule, Saving, Value, fit_tiers
from churnsurv.warning.backtest import backtest
from churnsurv.warning.backtest_origin import FITTED, NOBODY

from .lines import Urgency, chances, gaps_by_day

IDLE = 30
DAY = datetime.timedelta(days=1)
WORTH = Value(saved_value=100, contact_cost=5, saving=Saving.plateau(top=0.3, middle=20, width=3))
COMPARE = {"<": operator.lt, ">=": operator.ge, ">": operator.gt, "<=": operator.le}


def number(day: datetime.date) -> int:
    return (pd.Timestamp(day) - pd.Timestamp(0)).days


def holds(rule: Rule, state: dict) -> bool:
    return any(
        all(state[c.variable] is not None and COMPARE[c.sign](state[c.variable], c.threshold) for c in conditions)
        for conditions in rule.alternatives
    )


def path_of(rules: list[Rule], states: list[dict]) -> list[int | None]:
    """The highest tier on each idle day."""
    return [
        next((k for k, rule in enumerate(rules) if holds(rule, state | {"idle_days": float(day)})), None)
        for day, state in enumerate(states)
    ]


def totals(gaps: list[dict], first: list[list[float]], inside: list[list[float]], worth: Value | None) -> dict:
    """Expected figures of a tier, gap by gap and day by day."""
    found = dict.fromkeys(("alerts", "right", "lead", "value", "rows", "hit"), 0.0)
    for gap, alert, there in zip(gaps, first, inside, strict=True):
        for day in range(min(gap["length"], IDLE)):
            found["alerts"] += alert[day]
            found["rows"] += there[day]
            found["hit"] += there[day] * gap["churned"]
            found["right"] += alert[day] * gap["churned"]
            found["lead"] += alert[day] * gap["churned"] * (IDLE - day)
            if worth is not None:
                saved = gap["churned"] * worth.saved_value * float(worth.saving.at(day))
                found["value"] += alert[day] * (saved - worth.contact_cost)
    return found


def same(row: pd.Series, expected: dict, gaps: list[dict], days: int) -> None:
    churned = sum(gap["churned"] for gap in gaps)
    assert row["n_gaps"] == len(gaps)
    assert row["alerts"] == round(expected["alerts"]) > 0
    assert row["alerts_per_day"] == pytest.approx(expected["alerts"] / days)
    assert row["precision"] == pytest.approx(expected["right"] / expected["alerts"])
    assert row["recall"] == pytest.approx(expected["right"] / churned)
    assert row["lead_recall"] == pytest.approx(expected["lead"] / IDLE / churned)
    assert row["rows"] == round(expected["rows"])
    assert row["row_precision"] == pytest.approx(expected["hit"] / expected["rows"])
    if expected["value"]:
        assert row["value"] == pytest.approx(1000 * expected["value"] / len(gaps))


def row_of(found, policy: str, tier: str | None = None) -> pd.Series:
    table = found.table[found.table["origin"].isna() & (found.table["policy"] == policy)]
    table = table[table["tier"].isna() if tier is None else table["tier"] == tier]
    assert len(table) == 1
    return table.iloc[0]


@pytest.fixture(scope="module")
def app():
    return ch.simulate_app(120, seed=11)


# ----------------------------------------------------------------------------------------------------------- lines


@pytest.fixture(scope="module")
def limited(app):
    objective = {"high": Capacity(per_day=0.06), "medium": WORTH, "low": Capacity(per_day=0.5)}
    spec = {"objective": objective, "missing": {"balance": 0}}
    return backtest(app.log, spec=spec, origins=1, test_days=60, capacity=[0.7, 2])


def test_alerts_of_a_capacity_are_those_of_lines_worked_off_gap_by_gap(app, limited):
    (origin,), (scheme,) = limited.origins, limited.schemes
    first, last = number(origin) + 1, number(origin) + 60
    every = [gap for gap in gaps_by_day(app.log) if first - 29 <= gap["start"] <= last + 29]
    mine = [place for place, gap in enumerate(every) if first <= gap["start"] <= last]
    gaps, rules = [every[place] for place in mine], [tier.rule for tier in scheme.tiers]
    # the comparison with 15 days and 100 cuts at 100, which is in the grid
    known = [gap for gap in gaps_by_day(app.log.as_of(origin)) if gap["known"]]
    urgency = Urgency(known, dict(scheme.grids), IDLE)
    for gap in every:
        gap["urgency"] = [urgency.of(gap, day) for day in range(IDLE)]
        state = {"balance": gap["balance"] or 0.0, "n_investments": gap["n_investments"]}
        gap["path"] = path_of(rules, [state] * IDLE)

    def alone(place: int | None, per_day: float) -> list[list[float]]:
        lines = [
            (
                gap["start"],
                gap["length"],
                [
                    gap["urgency"][day] if day and (place is None or gap["path"][day] == place) else None
                    for day in range(IDLE)
                ],
            )
            for gap in every
        ]
        return chances(lines, per_day)

    caps = [0.06, float("inf"), 0.5]
    by_tier = [alone(place, cap) for place, cap in enumerate(caps)]
    inside = [[[float(k == place) for k in gap["path"]] for gap in gaps] for place in range(3)]
    for place, tier in enumerate(("high", "medium", "low")):
        expected = totals(gaps, [by_tier[place][at] for at in mine], inside[place], WORTH if place == 1 else None)
        same(row_of(limited, FITTED, tier), expected, gaps, 60)
    # one contact a gap: on the first alert of any tier, whose lots are drawn apart
    contact = []
    for at in mine:
        left, days = [1.0, 1.0, 1.0], []
        for day in range(IDLE):
            drawn = [by_tier[place][at][day] for place in range(3)]
            days.append(
                sum(p * np.prod([left[other] for other in range(3) if other != place]) for place, p in enumerate(drawn))
            )
            left = [each - p for each, p in zip(left, drawn, strict=True)]
        contact.append(days)
    anywhere = [[float(k is not None) for k in gap["path"]] for gap in gaps]
    same(row_of(limited, FITTED), totals(gaps, contact, anywhere, WORTH), gaps, 60)
    # the most urgent of all: from the alert on they count as rows
    for cap in (0.7, 2.0):
        first_days = alone(None, cap)
        calls = [first_days[at] for at in mine]
        since = [np.cumsum(each).tolist() for each in calls]
        same(row_of(limited, f"{cap:g} alerts a day"), totals(gaps, calls, since, WORTH), gaps, 60)
    # what is told of the fitted policy in the differences is a contact in the tier or a higher one
    upper = []
    for at in mine:
        left, days = [1.0, 1.0], []
        for day in range(IDLE):
            drawn = [by_tier[place][at][day] for place in range(2)]
            days.append(drawn[0] * left[1] + drawn[1] * left[0])
            left = [each - p for each, p in zip(left, drawn, strict=True)]
        upper.append(days)
    value = totals(gaps, upper, anywhere, WORTH)["value"]
    differences = limited.differences.set_index(["tier", "compared_with"])
    assert differences.loc[("medium", NOBODY), "estimate"] == pytest.approx(1000 * value / len(gaps))


def test_lines_are_told_and_tight_ones_catch_less(limited):
    assert any("no calendar day has more than that many first alerts" in note for note in limited.notes)
    few, more = (row_of(limited, f"{cap:g} alerts a day") for cap in (0.7, 2))
    assert few["alerts_per_day"] < more["alerts_per_day"]
    assert few["lead_recall"] < more["lead_recall"]


def test_without_a_past_lots_are_drawn(app, limited):
    tiers = tuple(tier for tier in limited.schemes[0].tiers if tier.name == "high")
    rule = Rule(((Condition("idle_days", ">", 3),),))
    scheme = dataclasses.replace(
        limited.schemes[0], tiers=(dataclasses.replace(tiers[0], rule=rule),), known_until=app.log.observed_from - DAY
    )
    origin = app.log.observed_from + 20 * DAY
    found = backtest(app.log, scheme=scheme, origins=[origin], test_days=200)
    first, last = number(origin) + 1, number(origin) + 200
    every = [gap for gap in gaps_by_day(app.log) if first - 29 <= gap["start"] <= last + 29]
    lines = [(gap["start"], gap["length"], [0.0 if day > 3 else None for day in range(IDLE)]) for gap in every]
    called = chances(lines, 0.06)
    gaps = [gap for gap in every if first <= gap["start"] <= last]
    calls = [each for gap, each in zip(every, called, strict=True) if first <= gap["start"] <= last]
    same(row_of(found, FITTED, "high"), totals(gaps, calls, [[0.0] * 4 + [1.0] * 26] * len(gaps), None), gaps, 200)
    assert any("Alerts of high are drawn by lot" in note for note in found.notes)


# ------------------------------------------------------------------------------------------------- moving balances


def moving_log(app, seed: int = 3):
    """The app's log, with money that others move on days without activity; and the balance of a user by day."""
    rng, log = np.random.default_rng(seed), app.log
    days = pd.date_range(log.observed_from, log.observed_until)
    moved = pd.DataFrame(
        {
            "user_id": rng.choice(app.users["user_id"].to_numpy(), 6_000),
            "date": rng.choice(days.to_numpy(), 6_000),
            "balance": rng.choice([0.0, 40.0, 150.0, 6_000.0], 6_000),
        }
    )
    table = pd.concat([app.balances.astype({"balance": "float64"}), moved]).drop_duplicates(
        ["user_id", "date"], keep="last"
    )
    again = ch.ActivityLog(
        app.events, app.users, balances=table, observed_from=log.observed_from, observed_until=log.observed_until
    )
    by_user = {user: each.sort_values("date") for user, each in table.groupby("user_id")}

    def balance(user: object, day: int) -> float | None:
        each = by_user.get(user)
        if each is None:
            return None
        at = int(np.searchsorted(each["date"].to_numpy().astype("datetime64[D]").astype(int), day, side="right"))
        return None if at == 0 else float(each["balance"].to_numpy()[at - 1])

    return again, balance


def test_rules_on_a_balance_that_moves_hold_day_by_day(app):
    log, balance = moving_log(app)
    origin = log.observed_until - 200 * DAY
    rules = [
        Rule(((Condition("idle_days", ">", 9), Condition("balance", "<", 100)),)),
        Rule(((Condition("idle_days", ">", 4), Condition("balance", ">=", 5_000)),)),
    ]
    spec = {"variables": ["n_investments"], "bootstrap": 0}
    made = fit_tiers(app.log, objective={"high": WORTH, "low": Precision(target=0.3)}, **spec)
    tiers = tuple(dataclasses.replace(tier, rule=each) for tier, each in zip(made.tiers, rules, strict=True))
    scheme = dataclasses.replace(
        made, tiers=tiers, variables=("balance",), grids={}, missing={"balance": 0.0}, known_until=log.observed_from
    )
    found = backtest(log, scheme=scheme, origins=[origin], test_days=160)
    first, last = number(origin) + 1, number(origin) + 160
    gaps = [gap for gap in gaps_by_day(log, ("balance",)) if first <= gap["start"] <= last]
    moves, firsts, inside = 0, ([], []), ([], [])
    for gap in gaps:
        states = [{"balance": balance(gap["user"], gap["start"] + day) or 0.0} for day in range(IDLE)]
        moves += len({state["balance"] for state in states[: gap["length"]]}) > 1
        path = path_of(rules, states)
        for place in (0, 1):
            days = [day for day in range(1, IDLE) if path[day] == place]
            firsts[place].append([float(bool(days) and day == days[0]) for day in range(IDLE)])
            inside[place].append([float(path[day] == place) for day in range(IDLE)])
    assert moves > 50
    for place, tier in enumerate(("high", "low")):
        same(
            row_of(found, FITTED, tier),
            totals(gaps, firsts[place], inside[place], None if place else WORTH),
            gaps,
            160,
        )


# ---------------------------------------------------------------------------------------------------------- scores


FORMULA = "log1p(balance) + n_investments"
GOALS = {"high": Precision(target=0.6), "medium": WORTH, "low": Capacity(per_day=1)}


@pytest.fixture(scope="module")
def by_fit(app):
    spec = {"objective": GOALS, "family": "score", "formula": FORMULA, "missing": {"balance": 0}}
    return backtest(app.log, spec=spec, origins=1, test_days=60, capacity=1.5)


def walked(found, every: list[dict], origin: datetime.date, days: int, caps: dict[str, float]) -> None:
    """Compare tiers, and the most urgent, with gaps that know their tier and urgency on each idle day."""
    first, last = number(origin) + 1, number(origin) + days
    mine = [place for place, gap in enumerate(every) if first <= gap["start"] <= last]
    gaps = [every[place] for place in mine]

    def called(may, per_day: float) -> list[list[float]]:
        lines = [
            (
                gap["start"],
                gap["length"],
                [gap["urgency"][day] if day and may(gap["path"][day]) else None for day in range(IDLE)],
            )
            for gap in every
        ]
        return chances(lines, per_day)

    for place, tier in enumerate(found.tiers):
        alone = called(lambda k, place=place: k == place, caps.get(tier, float("inf")))
        inside = [[float(k == place) for k in gap["path"]] for gap in gaps]
        expected = totals(gaps, [alone[at] for at in mine], inside, WORTH if tier == "medium" else None)
        same(row_of(found, FITTED, tier), expected, gaps, days)
    for cap in found.capacities:
        alone = called(lambda _: True, cap)
        calls = [alone[at] for at in mine]
        since = [np.cumsum(each).tolist() for each in calls]
        same(row_of(found, f"{cap:g} alerts a day"), totals(gaps, calls, since, WORTH), gaps, days)


def scored_gaps(log, origin: datetime.date, days: int) -> list[dict]:
    first, last = number(origin) + 1, number(origin) + days
    return [gap for gap in gaps_by_day(log) if first - 29 <= gap["start"] <= last + 29]


def test_cuts_of_a_fit_are_judged_as_assign_puts_users_into_tiers_day_by_day(app, by_fit):
    (origin,), (scheme,) = by_fit.origins, by_fit.schemes
    every, names = scored_gaps(app.log, origin, 60), list(by_fit.tiers)
    frame = pd.DataFrame(
        {
            "user_id": np.repeat(np.arange(len(every)), IDLE),
            "idle_days": np.tile(np.arange(IDLE), len(every)),
            "balance": np.repeat([np.nan if gap["balance"] is None else gap["balance"] for gap in every], IDLE),
            "n_investments": np.repeat([gap["n_investments"] for gap in every], IDLE),
        }
    )
    assigned = scheme.assign(frame).table
    tier, chance = assigned["tier"].astype(object), assigned["P(churn)"].to_numpy().reshape(-1, IDLE)
    place = np.array([names.index(each) if isinstance(each, str) else -1 for each in tier]).reshape(-1, IDLE)
    for gap, mine, p in zip(every, place, chance, strict=True):
        gap["path"] = [None if k < 0 else int(k) for k in mine]
        gap["urgency"] = [float(p[day]) * ((IDLE - day) / IDLE) for day in range(IDLE)]
    walked(by_fit, every, origin, 60, {"low": 1.0})
    # the policies beside the tiers are judged on the same gaps
    fixed = "idle_days > 15 and balance < 100"
    gaps = [gap for gap in every if number(origin) < gap["start"] <= number(origin) + 60]
    alerts = sum((gap["balance"] or 0.0) < 100 and gap["length"] > 16 for gap in gaps)
    assert row_of(by_fit, fixed)["alerts"] == alerts
    assert row_of(by_fit, fixed)["n_gaps"] == len(gaps)
    assert "most accurate" in set(by_fit.accuracy["policy"])
    assert by_fit.gains["recall"].iloc[-1] == 1.0


def a_score(app) -> pd.DataFrame:
    """A score of every third day, of most users; some days without a value."""
    rng, days = np.random.default_rng(5), pd.date_range(app.log.observed_from, app.log.observed_until, freq="3D")
    users = app.users["user_id"].iloc[: len(app.users) - 20]
    table = pd.DataFrame({"user_id": np.repeat(users.to_numpy(), len(days)), "date": np.tile(days, len(users))})
    level = np.repeat(rng.normal(size=len(users)), len(days))
    table["score"] = np.round(level + rng.normal(size=len(table)), 2)
    table.loc[rng.random(len(table)) < 0.1, "score"] = np.nan
    return table


def test_cuts_of_a_score_that_is_given_are_judged_day_by_day(app):
    table, log = a_score(app), app.log
    origin = log.observed_until - 90 * DAY
    goals = {"high": Precision(target=0.1), "low": Capacity(per_day=0.8)}
    spec = {"objective": goals, "family": "score", "score": table, "bootstrap": 0}
    made, cuts = fit_tiers(log, until=str(origin), **spec), [1.2, 0.1]
    rules = [Rule(((Condition("score", ">", cut),),)) for cut in cuts]
    tiers = tuple(dataclasses.replace(tier, rule=each) for tier, each in zip(made.tiers, rules, strict=True))
    scheme = dataclasses.replace(made, tiers=tiers)
    judged = {"origins": [origin], "test_days": 60, "value": WORTH}
    found = backtest(log, scheme=scheme, score=table, capacity=1.5, **judged)
    assert any("idle days of the gaps judged and those in line with them" in note for note in found.notes)
    known: dict[object, dict[int, float]] = {}
    for user, day, score in table.dropna().itertuples(index=False):
        known.setdefault(user, {})[number(day)] = score
    every = scored_gaps(log, origin, 60)
    for gap in every:
        mine = known.get(gap["user"], {})
        before = [day for day in mine if day <= gap["start"] + 1]
        score, gap["path"], gap["urgency"] = mine[max(before)] if before else None, [None], [None]
        for day in range(1, IDLE):
            score = mine.get(gap["start"] + day, score)
            gap["path"].append(next((k for k, cut in enumerate(cuts) if score is not None and score > cut), None))
            gap["urgency"].append(score)
    first, last = number(origin) + 1, number(origin) + 60
    mine = [place for place, gap in enumerate(every) if first <= gap["start"] <= last]
    gaps = [every[place] for place in mine]
    for place, (tier, cap) in enumerate((("high", float("inf")), ("low", 0.8))):
        lines = [
            (g["start"], g["length"], [u if k == place else None for k, u in zip(g["path"], g["urgency"], strict=True)])
            for g in every
        ]
        alone = chances(lines, cap)
        inside = [[float(k == place) for k in gap["path"]] for gap in gaps]
        same(row_of(found, FITTED, tier), totals(gaps, [alone[at] for at in mine], inside, WORTH), gaps, 60)
    assert set(found.differences["compared_with"]) == {NOBODY, "everybody", "idle_days > 15 and balance < 100"}
    # fitted at the origin, it is the scheme that only knows what was known then
    again = backtest(log, spec=spec, **judged)
    assert again.schemes[0].data_hash == made.data_hash
    assert [tier.rule for tier in again.schemes[0].tiers] == [tier.rule for tier in made.tiers]
    with pytest.raises(ch.InputError, match="pass it for the days to be judged"):
        backtest(log, scheme=scheme, **judged)


def test_a_score_for_tiers_that_cut_none_is_refused(app, limited):
    with pytest.raises(ch.InputError, match="score= is for a ready scheme that was fitted to such a table"):
        backtest(app.log, scheme=limited.schemes[0], score=a_score(app))
    with pytest.raises(ch.InputError, match=r'spec=\{..., "score": table\}'):
        backtest(app.log, spec={"objective": GOALS}, score=a_score(app))


# ----------------------------------------------------------------------------------- what a score does not know


def test_a_table_that_does_not_cover_the_days_judged_is_said(app):
    table, log = a_score(app).dropna(), app.log
    origin = log.observed_until - 90 * DAY
    spec = {"objective": {"high": Precision(target=0.1)}, "family": "score", "score": table, "bootstrap": 0}
    scheme = fit_tiers(log, until=str(origin), **spec)
    judged = {"scheme": scheme, "origins": [origin], "test_days": 40}
    late = table[table["date"] > pd.Timestamp(origin + 80 * DAY)]
    with pytest.raises(ch.InputError, match=rf"none of the .* gaps that began from {origin + DAY} .* has a score"):
        backtest(log, score=late, **judged)
    # a table that ends five weeks before the origin: all days carry what is older
    old = table[table["date"] <= pd.Timestamp(origin - 35 * DAY)]
    gaps = [gap for gap in gaps_by_day(log) if 1 <= gap["start"] - number(origin) <= 40]
    days = sum(min(gap["length"], IDLE) - 1 for gap in gaps)
    last = old.groupby("user_id")["date"].max()
    none = [gap for gap in gaps if gap["user"] not in last.index]
    before = sum(min(gap["length"], IDLE) - 1 for gap in none)
    age = max(
        gap["start"] + min(gap["length"], IDLE) - 1 - number(last[gap["user"]])
        for gap in gaps
        if gap["user"] in last.index and gap["length"] > 1
    )
    never = sum(gap["length"] > 1 for gap in none)
    assert days > before > 0 < never
    odd = pd.DataFrame({"user_id": [10**9], "date": old["date"].iloc[:1].to_numpy(), "score": [1.0]})
    notes = backtest(log, score=pd.concat([old, odd]), **judged).notes
    assert (
        f"score: {days - before:,} of {days:,} idle days of the gaps judged ({(days - before) / days:.1%}) have no row "
        f"of their own and carry the last one before, for up to {age} days."
    ) in notes
    assert any(f"{before:,} of {days:,} idle days" in note and f"{never:,} gaps never" in note for note in notes)
    assert f"score: of {len(old) + 1:,} rows these are left out: 1 unknown user." in notes


def test_gaps_that_a_fit_cannot_score_are_said_or_stand_in_no_line(app):
    """Who registered after the origin has no number or one beyond a spline; after the window: of a new channel."""
    log = app.log
    origin, users = log.observed_until - 150 * DAY, app.users.astype({"channel": str})
    later = users["registered_at"] > pd.Timestamp(origin + DAY)
    newest = users["registered_at"] > pd.Timestamp(origin + 61 * DAY)
    place = np.arange(len(users))
    users["rank"] = np.where(later, np.where(place % 2, np.nan, 9.0), place % 7.0)
    channels = [users["channel"], users["channel"].where(~newest, "elsewhere")]
    logs = [
        ch.ActivityLog(app.events, users.assign(channel=each), observed_until=log.observed_until) for each in channels
    ]
    assert 0 < newest.sum() < later.sum()
    goals = {"high": Precision(target=0.3)}
    scheme = fit_tiers(
        logs[0], objective=goals, family="score", formula="channel + bs(rank, df=4)", bootstrap=0, until=str(origin)
    )
    judged = {"origins": [origin], "test_days": 60}
    found = [backtest(each, scheme=scheme, capacity=0.5, **judged) for each in logs]
    assert found[0].table.equals(found[1].table)
    told = logs[0].gaps(features=[]).table
    told = told[told["start_date"].between(pd.Timestamp(origin + DAY), pd.Timestamp(origin + 60 * DAY))]
    n, lacking, beyond = len(told), int(told["rank"].isna().sum()), int((told["rank"] == 9).sum())
    assert lacking > 0 < beyond
    assert (
        f"rank: {lacking:,} of the {n:,} gaps judged ({lacking / n:.1%}) began without a value: no score, and no alert."
    ) in found[0].notes
    start = f"{beyond:,} of the {n:,} gaps judged ({beyond / n:.1%}) began with numbers for which the formula has no"
    assert any(note.startswith(start) for note in found[0].notes)
    # among those judged a new channel is an error
    seen = ch.ActivityLog(
        app.events, users.assign(channel=users["channel"].where(~later, "elsewhere"), rank=1.0),
        observed_until=log.observed_until,
    )  # fmt: skip
    with pytest.raises(ch.InputError, match="'elsewhere', which the model was not fitted to"):
        backtest(seen, scheme=scheme, **judged)


def test_what_moves_in_silence_is_said_of_a_fit(app, by_fit):
    log = app.log.with_rule(activity=("login",))
    spec = {"objective": {"high": Precision(target=0.3)}, "family": "score", "formula": "n_investments"}
    notes = backtest(log, spec=spec, origins=1, test_days=40).notes
    assert any(
        note.startswith("n_investments counts events that are no activity") and "judged by it, too" in note
        for note in notes
    )
    assert not any("no activity" in note for note in by_fit.notes)


def test_rules_beside_a_given_score_may_look_at_features_of_the_log(app):
    mine = ch.Feature("times_invested", agg="count", kind="invest")
    log = ch.ActivityLog(app.events, app.users, observed_until=app.log.observed_until, features=[mine])
    spec = {"objective": {"high": Precision(target=0.1)}, "family": "score", "score": a_score(app)}
    rules = {
        name: Rule(((Condition("idle_days", ">", 4), Condition(name, "<", 2)),))
        for name in ("times_invested", "n_investments")
    }
    found = backtest(log, spec=spec, origins=1, test_days=40, rules=rules)
    same_rule = [row_of(found, name).drop("policy").to_dict() for name in rules]
    assert same_rule[0]["alerts"] > 0
    assert str(same_rule[0]) == str(same_rule[1])
