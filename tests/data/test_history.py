"""Histories: worked by hand, walked day by day, blind to what came later, and without effect where there is none."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data import ActivityLog, ChurnRule, Feature
from churnsurv.data.history import History
from churnsurv.errors import ChurnsurvWarning, InputError, SchemaError
from tests.data.small import events_of, log_of, users_of
from tests.data.test_null_world import world

DAY = timedelta(days=1)


def history(log: ActivityLog, features: Sequence[str | Feature] = (), **settings: Any) -> History:
    """With the shortest lag unless told otherwise: what is worked by hand stays short."""
    settings.setdefault("lag", log.rule.idle_days)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "lag is .* forget how long", ChurnsurvWarning)
        return log.history(features=features, **settings)


def rows(log: ActivityLog, features: Sequence[str | Feature], **settings: Any) -> list[tuple[Any, ...]]:
    """(user_id, spell, start, stop, churned, features ...); missing values as None."""
    table = history(log, features, **settings).table
    names = [feature if isinstance(feature, str) else feature.name for feature in features]
    table = table[["user_id", "spell", "start", "stop", "churned", *names]].astype(object)
    return [tuple(row) for row in table.where(table.notna(), None).itertuples(index=False)]


# ------------------------------------------------------------------------------------------------ worked by hand

#: 10 idle days. User 1: 1 January is day 0; churned on day 34; back on day 50; churned on day 65.
EVENTS: list[tuple[Any, ...]] = [
    (1, "2024-01-05", "login"),
    (1, "2024-01-08", "invest", 100.0),  # day 7
    (1, "2024-01-16", "invest", 50.0),  # day 15
    (1, "2024-01-25", "login"),  # day 24
    (1, "2024-02-08", "redeem", 30.0),  # day 38: no activity, between the spells
    (1, "2024-02-15", "redeem", 20.0),  # day 45: no activity, before the return
    (1, "2024-02-20", "login"),  # day 50
    (1, "2024-02-25", "invest", 7.0),  # day 55
]


def hand(events: list[tuple[Any, ...]] = EVENTS, users: Any = None, **settings: Any) -> ActivityLog:
    return log_of(users or {1: "2024-01-01"}, events, idle_days=10, **({"observed_until": "2024-03-20"} | settings))


@cache
def plain() -> ActivityLog:
    return hand()


def test_a_change_at_the_end_of_a_day_acts_lag_days_later() -> None:
    assert rows(plain(), ["n_investments", "total_amount"]) == [
        (1, 1, 0, 17, False, 0, 0.0),
        (1, 1, 17, 25, False, 1, 100.0),
        (1, 1, 25, 34, True, 2, 150.0),
        (1, 2, 0, 15, True, 2, 150.0),  # the investment of day 55 would act from day 15 of the spell on
    ]


def test_a_longer_lag_moves_every_split() -> None:
    assert rows(plain(), ["n_investments"], lag=14) == [
        (1, 1, 0, 21, False, 0),
        (1, 1, 21, 29, False, 1),
        (1, 1, 29, 34, True, 2),
        (1, 2, 0, 15, True, 2),
    ]


def test_before_registration_there_is_no_balance_and_no_stage() -> None:
    found = rows(hand(stages=ch.Stages(starts={"new": 0, "growth": 2})), ["balance", "stage", "n_investments"])
    assert found == [
        (1, 1, 0, 10, False, None, None, 0),
        (1, 1, 10, 17, False, 0.0, "new", 0),
        (1, 1, 17, 25, False, 100.0, "new", 1),
        (1, 1, 25, 34, True, 150.0, "growth", 2),
        # The second spell begins with what was known on day 40 of the life, and the redemption of day 45 splits it.
        (1, 2, 0, 5, False, 120.0, "growth", 2),
        (1, 2, 5, 15, True, 100.0, "growth", 2),
    ]


def test_balances_of_their_own_table() -> None:
    balances = pd.DataFrame(
        [(1, "2023-12-31", 5.0), (1, "2024-01-03", 50.0), (1, "2024-01-03 18:00", 60.0), (1, "2024-02-17", 1.0)],
        columns=["user_id", "date", "balance"],
    )
    assert rows(hand(balances=balances), ["balance"]) == [
        (1, 1, 0, 10, False, None),
        (1, 1, 10, 12, False, 5.0),
        (1, 1, 12, 34, True, 60.0),
        (1, 2, 0, 7, False, 60.0),
        (1, 2, 7, 15, True, 1.0),
    ]


def test_the_last_days_of_a_window_expire() -> None:
    recent = Feature("recent", agg="count", kind="invest", last=5)
    assert rows(plain(), [recent]) == [
        (1, 1, 0, 17, False, 0),
        (1, 1, 17, 22, False, 1),  # day 7 is among the last five days of days 7 ... 11
        (1, 1, 22, 25, False, 0),
        (1, 1, 25, 30, False, 1),
        (1, 1, 30, 34, True, 0),
        (1, 2, 0, 15, True, 0),
    ]


def test_a_grid_has_its_own_rows_only() -> None:
    assert rows(plain(), ["n_investments"], every=7) == [
        (1, 1, 0, 7, False, 0),
        (1, 1, 7, 14, False, 0),
        (1, 1, 14, 21, False, 0),  # as of day 4; the investment of day 7 shows at the next step
        (1, 1, 21, 28, False, 1),
        (1, 1, 28, 34, True, 2),
        (1, 2, 0, 7, False, 2),
        (1, 2, 7, 14, False, 2),
        (1, 2, 14, 15, True, 2),
    ]
    assert [row[2:4] for row in rows(plain(), [], every=40)] == [(0, 34), (0, 15)]


def test_without_features_a_spell_is_one_row() -> None:
    assert rows(plain(), []) == [(1, 1, 0, 34, True), (1, 2, 0, 15, True)]
    assert rows(plain(), [], spells="first") == [(1, 1, 0, 34, True)]


def test_values_that_come_back_are_a_change_and_equal_ones_are_none() -> None:
    events = [(1, f"2024-01-{day:02}", kind, 10.0) for day, kind in ((2, "invest"), (4, "redeem"), (6, "login"))]
    events += [(1, "2024-01-08", "invest", 3.0), (1, "2024-01-08", "redeem", 3.0), (1, "2024-01-20", "login")]
    # 8 January changes nothing at its end: invested and taken out again.
    found = rows(hand(events, observed_until="2024-01-25"), ["balance"])
    assert [row[2:] for row in found] == [
        (0, 10, False, None), (10, 11, False, 0.0), (11, 13, False, 10.0), (13, 17, True, 0.0), (0, 5, False, 0.0),
    ]  # fmt: skip


def test_registered_on_the_last_day_carries_no_risk() -> None:
    log = hand([(2, "2024-01-05")], {1: "2024-03-20", 2: "2024-01-01"})
    for features in ([], ["n_investments"]):
        made = history(log, features)
        assert made.table["user_id"].unique().tolist() == [2]
        assert (made.counts["no_risk"], made.counts["users"], made.counts["spells"]) == (1, 1, 1)


def test_nobody_at_risk_is_an_empty_history() -> None:
    log = hand([(1, "2024-03-20")], {1: "2024-03-20"})
    for settings in ({}, {"every": 7}):
        made = history(log, ["n_investments", "stage"], **settings)
        assert list(made.table.columns[-2:]) == ["n_investments", "stage"]
        assert made.counts["rows"] == made.counts["person_days"] == 0
        assert made.counts["no_risk"] == 1


@cache
def late_log() -> ActivityLog:
    # User 1 is late, seen in the first ten days, and comes back; user 2 is late and unseen; user 3 is observed whole.
    events = [(1, "2024-01-05"), (1, "2024-02-10"), (2, "2024-02-01"), (3, "2024-01-12", "invest", 5.0)]
    users = {1: "2023-12-01", 2: "2023-11-01", 3: "2024-01-06"}
    return log_of(users, events, idle_days=10, observed_from="2024-01-01", observed_until="2024-02-15")


def test_left_truncation_both_ways() -> None:
    excluded = history(late_log())
    assert rows(late_log(), []) == [(1, 2, 0, 5, False), (2, 2, 0, 10, True), (3, 1, 0, 16, True)]
    assert excluded.counts["left_truncated_excluded"] == 1
    assert excluded.counts["first_spell_unseen"] == 1
    # 1 December to the end of 10 January are 40 days; churned on 15 January.
    assumed = rows(late_log(), [], left_truncated="assume_first_spell")
    assert assumed[0] == (1, 1, 40, 45, True)
    assert rows(late_log(), [], left_truncated="assume_first_spell", every=7)[:2] == [
        (1, 1, 40, 42, False), (1, 1, 42, 45, True),
    ]  # fmt: skip


def test_features_need_a_life_that_was_observed() -> None:
    made = history(late_log(), ["n_investments"], left_truncated="assume_first_spell")
    assert made.table[["user_id", "start", "stop", "n_investments"]].to_numpy().tolist() == [[3, 0, 16, 0]]
    assert made.counts["life_not_observed"] == 3
    made = history(late_log(), ["n_investments"])
    assert (made.counts["life_not_observed"], made.counts["left_truncated_excluded"]) == (2, 1)


# ------------------------------------------------------------------------------------------------ random logs

ASKED: list[str | Feature] = [
    "n_investments",
    "total_amount",
    "max_amount",
    "balance",
    "stage",
    Feature("recent", agg="days", last=6),
    Feature("mean", agg="mean", column="amount", kind="invest"),
]
NAMES = [feature if isinstance(feature, str) else feature.name for feature in ASKED]
IDLE = 7


def random_tables(seed: int, n_users: int = 25) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    begin = date(2024, 1, 1)
    users = {int(user): begin + int(day) * DAY for user, day in enumerate(rng.integers(0, 60, n_users))}
    rows = []
    for user, registered in users.items():
        busy = rng.choice([0.02, 0.1, 0.3])
        for offset in np.flatnonzero(rng.random(110) < busy):
            kind = str(rng.choice(["login", "invest", "invest", "redeem"]))
            amount = None if kind == "login" or rng.random() < 0.1 else float(rng.integers(1, 40)) / 4
            rows.append((user, str(registered + int(offset) * DAY), kind, amount))
    return events_of(rows), users_of(users).assign(channel=rng.choice(["ads", "friends"], n_users))


@cache
def random_log(seed: int) -> ActivityLog:
    return ActivityLog(*random_tables(seed), **WINDOW)


WINDOW: dict[str, Any] = {
    "rule": ChurnRule(idle_days=IDLE), "observed_from": "2024-01-01", "observed_until": "2024-04-10",
}  # fmt: skip


def known(events: pd.DataFrame, registered: date, day: date) -> dict[str, Any]:
    """The features of one user at the end of a day, from the events up to it."""
    seen = [row for row in events.itertuples() if date.fromisoformat(row.event_at) <= day]
    amounts = [row.amount for row in seen if row.kind == "invest" and not np.isnan(row.amount)]
    taken = sum(row.amount for row in seen if row.kind == "redeem" and not np.isnan(row.amount))
    n = sum(row.kind == "invest" for row in seen)
    alive = day >= registered
    return {
        "n_investments": n,
        "total_amount": sum(amounts),
        "max_amount": max(amounts, default=0),
        "balance": sum(amounts) - taken if alive else None,
        "stage": ("mature" if n >= 10 else "growth" if n >= 3 else "new") if alive else None,
        "recent": len({row.event_at for row in seen if date.fromisoformat(row.event_at) > day - 6 * DAY}),
        "mean": sum(amounts) / len(amounts) if amounts else None,
    }


def by_day(table: pd.DataFrame, names: Sequence[str] = ()) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """A history as a function of user, origin and day at risk: churned on it, and the features."""
    found = {}
    table = table.astype(object).where(table.notna(), None)
    for row in table.to_dict("records"):
        for day in range(row["start"] + 1, row["stop"] + 1):
            key = (row["user_id"], row["origin"].date(), day)
            assert key not in found
            found[key] = (row["churned"] and day == row["stop"], *(row[name] for name in names))
    return found


@pytest.mark.parametrize(("seed", "lag"), [(0, 7), (1, 12), (2, 80)])
def test_each_day_shows_what_was_known_lag_days_before(seed: int, lag: int) -> None:
    events, users = random_tables(seed)
    log = random_log(seed)
    found = by_day(history(log, ASKED, lag=lag).table, NAMES)
    each = by_day(history(log, ASKED, lag=lag, every=1).table, NAMES)
    assert found == each
    registered = dict(zip(users["user_id"], users["registered_at"], strict=True))
    spells = log.churn_spells(spells="all").table
    expected = {}
    for spell in spells.itertuples():
        mine, origin = events[events["user_id"] == spell.user_id], spell.origin.date()
        for day in range(1, spell.duration + 1):
            values = known(mine, registered[spell.user_id], origin + (day - 1 - lag) * DAY)
            ends = spell.churned and day == spell.duration
            expected[spell.user_id, origin, day] = (ends, *(values[name] for name in NAMES))
    assert len(expected) > 500
    assert expected.keys() == found.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, nan_ok=True), key


@pytest.mark.parametrize("seed", [0, 3])
def test_person_days_spells_and_churns_are_those_of_the_spells(seed: int) -> None:
    log = random_log(seed)
    spells = log.churn_spells(spells="all")
    at_risk = spells.table[spells.table["duration"] > spells.table["entry"]]
    for features, every in ((ASKED, None), (ASKED, 5), ([], None), ([], 3)):
        made = history(log, features, every=every)
        table = made.table
        assert made.counts["person_days"] == spells.counts["person_days"] == (table["stop"] - table["start"]).sum()
        assert made.counts["churned"] == spells.counts["churned"] == table["churned"].sum()
        assert made.counts["spells"] + made.counts["no_risk"] == spells.counts["spells"]
        assert made.counts["returned"] > 0
        assert made.counts["rows"] == len(table)
        of_spell = table.groupby(["user_id", "spell"], sort=False)
        assert of_spell["start"].first().tolist() == at_risk["entry"].tolist()
        assert of_spell["stop"].last().tolist() == at_risk["duration"].tolist()
        assert (of_spell["stop"].shift().dropna() == table["start"][of_spell.cumcount() > 0]).all()
        if every:
            assert (table["start"] % every == 0).all()


def test_a_row_differs_from_the_one_before_it() -> None:
    table = history(random_log(1), ASKED).table
    before = table.groupby(["user_id", "spell"])
    same = pd.Series(True, table.index)
    for name in NAMES:
        codes = pd.factorize(table[name], use_na_sentinel=False)[0]
        same &= pd.Series(codes, table.index) == pd.Series(codes, table.index).groupby(before.ngroup()).shift()
    assert len(table) > table.groupby(["user_id", "spell"]).ngroups
    assert not same.any()


def test_the_order_of_the_rows_changes_nothing() -> None:
    events, users = random_tables(0)
    whole = history(random_log(0), ASKED)
    shuffled = ActivityLog(events.sample(frac=1, random_state=1), users.sample(frac=1, random_state=2), **WINDOW)
    pd.testing.assert_frame_equal(whole.table, history(shuffled, ASKED).table, check_exact=True)


@pytest.mark.parametrize(("seed", "cut"), [(7, 40), (8, 70)])
def test_events_after_a_day_change_nothing_that_it_knows(seed: int, cut: int) -> None:
    events, users = random_tables(seed)
    last = date(2024, 1, 1) + cut * DAY
    days = pd.to_datetime(events["event_at"]).dt.date
    later = events[days > last].assign(kind="invest", amount=1e6)
    found, other, fewer = (
        by_day(history(ActivityLog(tables, users, **WINDOW), ASKED).table, NAMES)
        for tables in (events, pd.concat([events[days <= last], later, later]), events[days <= last])
    )
    for changed in (other, fewer):
        assert changed != found
        up_to = {key for key in found.keys() | changed.keys() if key[1] + key[2] * DAY <= last}
        assert len(up_to) > 100
        assert all(found[key] == changed[key] for key in up_to)
        # What acts on a day is known for `lag` days and more: churn may differ by then, features do not.
        acting = {key for key in found.keys() & changed.keys() if key[1] + (key[2] - 1 - IDLE) * DAY <= last}
        assert len(acting) > len(up_to)
        assert all(found[key][1:] == changed[key][1:] for key in acting)


# ------------------------------------------------------------------------------------------------ the result


def test_the_result_says_what_it_is() -> None:
    made = history(random_log(0), ["n_investments", "stage"], every=7)
    table = made.table
    assert list(table.columns) == [
        *ch.schema("history").names, "channel", "registered_at", "cohort", "n_investments", "stage",
    ]  # fmt: skip
    assert {name: str(table[name].dtype) for name in ("spell", "origin", "start", "stop", "churned")} == {
        "spell": "int32", "origin": "datetime64[s]", "start": "int32", "stop": "int32", "churned": "bool",
    }  # fmt: skip
    assert table["stage"].cat.categories.tolist() == ["new", "growth", "mature"]
    assert made.known_at == {
        "channel": "given", "registered_at": "origin", "cohort": "origin", "n_investments": "lag 7", "stage": "lag 7",
    }  # fmt: skip
    assert (made.every, made.lag, made.spells, made.left_truncated) == (7, 7, "all", "exclude")
    assert list(made.counts) == [
        "users", "spells", "rows", "churned", "censored", "returned", "left_truncated_excluded", "undetermined",
        "not_seen", "first_spell_unseen", "life_not_observed", "no_risk", "person_days",
    ]  # fmt: skip
    assert made.rejects.empty
    assert "features as of 7 days before, a row every 7 days; 7 days without login or invest" in repr(made)
    assert '"lag": 7' in made.to_json()
    with pytest.raises(TypeError):
        made.counts["rows"] = 0


def test_activity_of_yesterday_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match=r"lag is 9, less than the 10 idle days.*z = -20.*log\.gaps\(\)"):
        history(plain(), ["n_investments"], lag=9)


@pytest.mark.parametrize("name", ["stop", "Start", "cohort"])
def test_a_feature_called_like_a_column_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"cannot be called '{name}'"):
        history(plain(), [Feature(name, agg="count")])


def test_the_lag_by_default_lets_features_forget_how_long_the_user_was_idle() -> None:
    assert plain().history(features=["n_investments"]).lag == 20
    assert plain().history(features=["n_investments", Feature("recent", agg="count", last=7)]).lag == 30
    assert plain().history(features=[]).table["stop"].tolist() == [34, 15]
    with pytest.warns(ChurnsurvWarning, match=r"lag is 19: features forget .* only after 20 days"):
        plain().history(features=["n_investments"], lag=19)
    with pytest.warns(ChurnsurvWarning, match=r"lag is 20: features of the last days alone forget .* only after 30"):
        plain().history(features=[Feature("recent", agg="count", last=7)], lag=20)


def test_an_attribute_called_like_a_column_is_refused() -> None:
    log = ActivityLog(events_of(EVENTS), users_of({1: "2024-01-01"}).assign(Stop="x"))
    assert "Stop" in log.churn_spells().table
    with pytest.raises(SchemaError, match=r"'Stop' would collide.*'user_Stop': 'Stop'"):
        history(log)


def test_idle_days_are_refused_as_a_feature() -> None:
    with pytest.raises(InputError, match=r"'idle_days' is no feature.*log\.gaps\(\)"):
        history(plain(), ["idle_days"])


def test_by_default_the_features_are_those_of_the_log_or_all_there_are() -> None:
    chosen = hand(features=["max_amount"]).history().table
    assert chosen.columns[-2:].tolist() == ["cohort", "max_amount"]
    every = plain().history().table
    # The events have no products.
    assert every.columns[-5:].tolist() == ["n_investments", "total_amount", "max_amount", "balance", "stage"]


def test_a_grid_of_less_than_a_day_is_refused() -> None:
    with pytest.raises(InputError, match="every must be a whole number of days, 1 or more; it is 0"):
        history(plain(), every=0)


def test_nothing_is_left_behind_in_the_engine() -> None:
    log = random_log(0)
    history(log, ASKED)
    before = log.engine.rows("SELECT count(*) FROM duckdb_tables() WHERE temporary")
    for settings in ({}, {"every": 3}):
        history(log, ASKED, **settings)
    assert log.engine.rows("SELECT count(*) FROM duckdb_tables() WHERE temporary") == before


# ------------------------------------------------------------------------------------------------ models


def z_of(feature: str, data: Any) -> float:
    fit = ch.cox(feature, data, duration="stop", entry="start", cluster="user_id")
    return float(fit.table["statistic"].abs().max())


def test_cox_on_changes_equals_cox_on_every_day() -> None:
    events, users = (table[table["user_id"] < 250] for table in world())
    log = ActivityLog(events, users)
    fits = [
        ch.cox("n_investments", history(log, ["n_investments"], every=every), duration="stop", entry="start",
               cluster="user_id")
        for every in (None, 1)
    ]  # fmt: skip
    assert fits[0].n < fits[1].n
    numbers = ["estimate", "std_error", "statistic"]
    np.testing.assert_allclose(fits[0].table[numbers].astype(float), fits[1].table[numbers].astype(float), rtol=1e-9)
    assert fits[0].log_likelihood == pytest.approx(fits[1].log_likelihood, rel=1e-12)
    assert fits[0].table["known_at"].tolist() == ["lag 30"]


def test_a_world_without_effects_shows_none() -> None:
    asked = ["n_investments", "total_amount", "max_amount", "ever_boosted", "balance", "stage"]
    table = history(ActivityLog(*world()), asked).table
    assert table["churned"].sum() > 500
    table["balance"] = table["balance"].fillna(0)
    table["stage"] = table["stage"].cat.add_categories("none").fillna("none")
    table[["total_amount", "max_amount", "balance"]] /= 1000
    for feature in asked:
        assert z_of(feature, table) < 3, feature


def test_the_same_counts_as_of_yesterday_would_show_one() -> None:
    events, users = world()
    spells = ActivityLog(events, users).churn_spells().table
    invested = events[events["kind"] == "invest"].merge(spells[["user_id", "origin", "duration"]], on="user_id")
    invested["start"] = (invested["event_at"] - invested["origin"]).dt.days
    changes = invested.loc[invested["start"] < invested["duration"], ["user_id", "start"]]
    rows = pd.concat([spells[["user_id"]].assign(start=0), changes]).sort_values(["user_id", "start"], kind="stable")
    rows = rows.merge(spells[["user_id", "duration", "churned"]], on="user_id")
    of_user = rows.groupby("user_id")
    rows["n_investments"] = of_user.cumcount()
    rows["stop"] = of_user["start"].shift(-1).fillna(rows["duration"]).astype(int)
    rows["churned"] &= rows["stop"] == rows["duration"]
    assert rows["churned"].sum() == spells["churned"].sum()
    assert z_of("n_investments", rows[rows["stop"] > rows["start"]]) > 8
