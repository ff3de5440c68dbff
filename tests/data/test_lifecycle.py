"""Stages by hand, by a walk over each day, and as the end of an earlier day knew them."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import churnsurv as ch
from churnsurv.data import ActivityLog, ChurnRule, Stages
from churnsurv.data.arrow import to_pandas
from churnsurv.data.lifecycle import Lifecycle, has_stages, lifecycle_query, stage_episodes, stage_episodes_query
from churnsurv.data.query import fetch
from churnsurv.data.script import to_sql
from churnsurv.errors import InputError, SchemaError
from tests.data.lives import IDLE, LAST, Lives, active_days, date_of, features_of, lives, plain
from tests.data.small import log_of
from tests.data.spark import on_spark
from tests.data.spark import spark as session  # noqa: F401 - a fixture

CHURNED, REGISTERED = "(churned)", "(registered)"


def lifecycle(log: ActivityLog, day: date | None = None) -> Lifecycle:
    with lifecycle_query(log._reading, log.rule, log.stages, date=day) as query:
        return fetch(log.engine, query)


def flows(result: Lifecycle) -> list[tuple[Any, ...]]:
    return list(result.transitions.itertuples(index=False, name=None))


def rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    texts = table.assign(**{c: table[c].dt.strftime("%Y-%m-%d") for c in table.select_dtypes("datetime")})
    return [tuple(None if pd.isna(v) else v for v in row) for row in texts.itertuples(index=False, name=None)]


def hand_log(**settings: Any) -> ActivityLog:
    """Four lives under a rule of 10 days and stages from 0, 2 and 4 investments, to 31 March."""
    invested = {
        # two on one day: growth on 5 January; churns on the 15th, returns in growth, mature on 12 February
        "a": ["2024-01-05", "2024-01-05", "2024-02-10", "2024-02-12"],
        # mature from new in one day, the day of registration: never new
        "b": ["2024-01-03"] * 4,
        # skips growth on 20 January
        "c": ["2024-01-15", "2024-01-20", "2024-01-20", "2024-01-20"],
    }
    events = [(user, day, "invest") for user, days in invested.items() for day in days]
    events += [("d", "2024-03-25"), ("d", "2024-03-31")]
    users = {"a": "2024-01-01", "b": "2024-01-03", "c": "2024-01-10", "d": "2024-03-20"}
    settings = {"stages": Stages(starts={"new": 0, "growth": 2, "mature": 4}), **settings}
    return log_of(users, events, idle_days=10, observed_until="2024-03-31", **settings)


def test_four_lives_by_hand() -> None:
    found = lifecycle(hand_log())
    assert found.table.to_dict("list") == {
        "stage": ["new", "growth", "mature"],
        "living": [1, 0, 0],
        "churned": [0, 0, 3],
        "users": [1, 0, 3],
    }
    assert flows(found) == [
        (REGISTERED, "new", 3, 3),
        (REGISTERED, "mature", 1, 1),
        ("new", "growth", 1, 1),
        ("new", "mature", 1, 1),
        ("growth", "mature", 1, 1),
        ("growth", CHURNED, 1, 1),
        ("mature", CHURNED, 3, 3),
        (CHURNED, "growth", 1, 1),
    ]
    assert rows(found.users[["user_id", "stage", "since", "status", "spell"]]) == [
        ("a", "mature", "2024-02-12", "churned", 2),
        ("b", "mature", "2024-01-03", "churned", 1),
        ("c", "mature", "2024-01-20", "churned", 1),
        ("d", "new", "2024-03-20", "living", 1),
    ]
    assert found.counts == {"users": 4, "living": 1, "churned": 3, "transitions": 12, "life_not_observed": 0}
    assert found.notes == ()


def test_an_earlier_day_by_hand() -> None:
    # on 14 January a is still alive in growth, b has churned the day before, c is new, d is not there yet
    found = lifecycle(hand_log(), date(2024, 1, 14))
    assert rows(found.users[["user_id", "stage", "since", "status"]]) == [
        ("a", "growth", "2024-01-05", "living"),
        ("b", "mature", "2024-01-03", "churned"),
        ("c", "new", "2024-01-10", "living"),
    ]
    assert ("growth", CHURNED, 1, 1) not in flows(found)
    assert ("growth", CHURNED, 1, 1) in flows(lifecycle(hand_log(), date(2024, 1, 15)))


def test_a_return_does_not_begin_the_stage_anew() -> None:
    # alive again in growth on 11 February: the stage began on 5 January, before the churn
    found = lifecycle(hand_log(), date(2024, 2, 11)).users.set_index("user_id").loc["a"]
    assert (found["stage"], str(found["since"].date()), found["status"], found["spell"]) == (
        "growth", "2024-01-05", "living", 2,
    )  # fmt: skip


def test_the_time_in_each_stage_by_hand() -> None:
    columns = ["user_id", "spell", "stage", "origin", "entry", "duration", "ended", "ended_by", "next_stage"]
    every = stage_episodes(hand_log(), spells="all")
    assert list(every.columns) == columns == list(ch.schema("stage_episodes").names)
    assert rows(every) == [
        ("a", 1, "new", "2024-01-01", 0, 4, True, "moved", "growth"),
        ("a", 1, "growth", "2024-01-05", 0, 10, True, "churned", None),
        ("a", 2, "growth", "2024-02-10", 0, 2, True, "moved", "mature"),
        ("a", 2, "mature", "2024-02-12", 0, 10, True, "churned", None),
        ("b", 1, "mature", "2024-01-03", 0, 10, True, "churned", None),
        ("c", 1, "new", "2024-01-10", 0, 10, True, "moved", "mature"),
        ("c", 1, "mature", "2024-01-20", 0, 10, True, "churned", None),
        ("d", 1, "new", "2024-03-20", 0, 11, False, None, None),
    ]
    assert rows(stage_episodes(hand_log())) == [row for row in rows(every) if row[1] == 1]


def test_what_changes_on_the_day_of_churn_or_after_it_finds_nobody() -> None:
    # Redemptions would not be activity; here investments are none, and come on, and after, the day of churn.
    rule = ChurnRule(idle_days=10, activity=("login",))
    events = [("a", "2024-01-11", "invest"), ("a", "2024-01-20", "invest"), ("a", "2024-02-01", "login")]
    log = log_of({"a": "2024-01-01"}, events, rule=rule, stages=Stages(starts={"new": 0, "growth": 1}))
    assert flows(lifecycle(log, date(2024, 1, 25))) == [(REGISTERED, "new", 1, 1), ("new", CHURNED, 1, 1)]
    found = lifecycle(log)
    assert flows(found)[-1] == (CHURNED, "growth", 1, 1)
    assert rows(found.users[["stage", "since", "status"]]) == [("growth", "2024-02-01", "living")]


# ---------------------------------------------------------------------------------------------- a walk over days

STAGES = {
    "n_investments": Stages(starts={"new": 0, "growth": 2, "mature": 5}),
    "max_amount": Stages(by="max_amount", starts={"small": 0, "large": 300.5}),
    "ever_boosted": Stages(by="ever_boosted", starts={"plain": 0, "boosted": 1}),
}


def state_on(some: Lives, user: int, day: int, stages: Stages) -> str:
    """The state at the end of one day, from what happened up to it."""
    if day - active_days(some, user, day)[-1] >= IDLE:
        return CHURNED
    value = features_of(some, user, day)[stages.by]
    return [name for name, start in stages.starts.items() if value >= start][-1]


def walk(some: Lives, user: int, last: int, stages: Stages) -> list[str]:
    return [state_on(some, user, day, stages) for day in range(some.registered[user], last + 1)]


def seen(some: Lives, last: int) -> list[int]:
    return sorted(user for user, day in some.registered.items() if 0 <= day <= last)


@pytest.mark.parametrize(
    ("seed", "by"), [(0, "n_investments"), (1, "n_investments"), (2, "max_amount"), (3, "ever_boosted")]
)
def test_a_walk_over_days_finds_the_same(seed: int, by: str) -> None:
    some, stages = lives(seed, n_users=50), STAGES[by]
    last = LAST if seed else 41
    found = lifecycle(some.log(stages=stages), date_of(last).date())
    times: dict[tuple[str, str], list[int]] = {}
    people = []
    for user in seen(some, last):
        states = walk(some, user, last, stages)
        for source, target in pairwise([REGISTERED, *states]):
            if source != target:
                times.setdefault((source, target), []).append(user)
        lived = [(day, state) for day, state in enumerate(states, some.registered[user]) if state != CHURNED]
        stage = lived[-1][1]
        before = [day for day, state in lived if state != stage]
        since = next(day for day, state in lived if not before or day > before[-1])
        spell = 1 + sum(pair == (CHURNED, pair[1]) and pair[1] != CHURNED for pair in pairwise(states))
        status = "churned" if states[-1] == CHURNED else "living"
        people.append((user, stage, str(date_of(since).date()), status, spell))
    assert rows(found.users[["user_id", "stage", "since", "status", "spell"]]) == people
    assert {flow[:2]: flow[2:] for flow in flows(found)} == {
        pair: (len(users), len(set(users))) for pair, users in times.items()
    }
    assert len(times) >= 5
    assert found.counts["life_not_observed"] == sum(day < 0 for day in some.registered.values()) > 0
    assert found.counts["life_not_observed"] + len(people) == sum(day <= last for day in some.registered.values())


@pytest.mark.parametrize("seed", range(2))
def test_stage_episodes_are_the_runs_of_the_walk(seed: int) -> None:
    some, stages = lives(seed, n_users=50), STAGES["n_investments"]
    expected = []
    for user in seen(some, LAST):
        states = walk(some, user, LAST, stages)
        starts = [0, *(i for i in range(1, len(states)) if states[i] != states[i - 1]), len(states)]
        spell = 1
        for start, end in pairwise(starts):
            if states[start] == CHURNED:
                spell += 1
                continue
            after = states[end] if end < len(states) else None
            by = None if after is None else "churned" if after == CHURNED else "moved"
            duration = (end if after else end - 1) - start
            origin = str(date_of(some.registered[user] + start).date())
            moved = after if by == "moved" else None
            expected.append((user, spell, states[start], origin, 0, duration, after is not None, by, moved))
    assert rows(stage_episodes(some.log(stages=stages), spells="all")) == expected
    assert {"moved", "churned", None} == {row[7] for row in expected}


@pytest.mark.parametrize("seed", range(3))
def test_an_earlier_day_is_what_was_known_on_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some, day = lives(seed, n_users=50), int(rng.integers(10, LAST))
    stages = STAGES["n_investments"]
    known = lifecycle(some.until(day).log(stages=stages, observed_until=date_of(day).date()))
    for log in (some.log(stages=stages), some.otherwise(day, rng).log(stages=stages)):
        found = lifecycle(log, date_of(day).date())
        pd.testing.assert_frame_equal(plain(found.users), plain(known.users), check_exact=True)
        assert found.table.equals(known.table)
        assert found.transitions.equals(known.transitions)
        later = lifecycle(log.as_of(date_of(day).date()))
        assert later.transitions.equals(known.transitions)


def test_living_users_are_those_of_the_snapshot() -> None:
    some = lives(4, n_users=80)
    log, day = some.log(), date_of(45).date()
    living = lifecycle(log, day).users.query("status == 'living'")
    snapshot = log.snapshot(day, features=["stage"]).table.query("life_observed")
    both = living.merge(snapshot, on="user_id", validate="one_to_one", suffixes=("", "_then"))
    assert len(both) == len(living) == len(snapshot) > 10
    assert (both["stage"].astype(str) == both["stage_then"].astype(str)).all()
    assert (both["spell"] == both["spell_then"]).all()


def test_first_stages_cover_the_first_spells() -> None:
    log = lives(5, n_users=80).log()
    spells = log.churn_spells(features=[]).table
    episodes = stage_episodes(log)
    assert episodes["duration"].sum() == spells["duration"].sum()
    assert (episodes["ended_by"] == "churned").sum() == spells["churned"].sum() > 10


# -------------------------------------------------------------------------------------------------- bad input


def test_stages_that_go_down_and_users_without_stage() -> None:
    # Negative amounts: the total falls from 50 back to 0 and below it, where there is no stage.
    days = [("a", "2024-01-02", "invest", 50), ("a", "2024-01-04", "invest", -50), ("a", "2024-01-06", "invest", -1)]
    log = log_of({"a": "2024-01-01"}, days, stages=Stages(by="total_amount", starts={"low": 0, "high": 40}))
    found = lifecycle(log)
    assert flows(found) == [
        (REGISTERED, "low", 1, 1),
        ("low", "high", 1, 1),
        ("low", "(none)", 1, 1),
        ("high", "low", 1, 1),
    ]
    assert rows(found.table) == [("low", 0, 0, 0), ("high", 0, 0, 0), ("(none)", 1, 0, 1)]
    assert found.notes == (
        "1 users have no stage: their total_amount is null, or below 0, where the first stage begins.",
    )


@pytest.mark.parametrize("kept", ["(churned)", "(registered)", "(none)"])
def test_names_of_what_is_no_stage_are_kept(kept: str) -> None:
    log = hand_log(stages=Stages(starts={"new": 0, kept: 2}))
    with pytest.raises(InputError, match=rf"'\({kept[1:-1]}\)' is kept"):
        lifecycle(log)
    with pytest.raises(InputError, match="is kept"):
        stage_episodes(log)


@pytest.mark.parametrize(
    ("starts", "message"),
    [
        ({"new": 0, "growth": 3, "mature": 3}, "not above the stage before"),
        ({"new": 1, "growth": 3}, "must start at 0"),
    ],
)
def test_stages_neither_overlap_nor_leave_a_gap(starts: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Stages(starts=starts)


def test_a_day_outside_the_log_is_named() -> None:
    with pytest.raises(InputError, match=r"2024-05-01 lies outside the log, which covers 2024-01-01 to 2024-03-31"):
        lifecycle(hand_log(), date(2024, 5, 1))


def test_attributes_cannot_have_the_name_of_a_column() -> None:
    users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"], "status": ["vip"]})
    events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-05"], "kind": ["invest"]})
    log = ActivityLog(events, users)
    with pytest.raises(SchemaError, match=r"'status' would collide .* Rename it, or map it"):
        lifecycle(log)
    assert len(stage_episodes(log)) == 1
    with pytest.raises(SchemaError, match="'stage' would collide"):
        stage_episodes(ActivityLog(events, users.rename(columns={"status": "stage"})))


def test_without_kinds_there_are_no_stages() -> None:
    users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"]})
    log = ActivityLog(
        pd.DataFrame({"user_id": ["a"], "event_at": ["2024-01-05"]}), users, rule=ChurnRule(activity=None)
    )
    assert not has_stages(log)
    with pytest.raises(SchemaError, match=r"needs the column 'kind'"):
        lifecycle(log)


def test_everybody_registered_before_the_log() -> None:
    log = log_of({"a": "2023-01-01"}, [("a", "2024-01-05")], observed_from="2024-01-01")
    found = lifecycle(log)
    assert found.counts == {"users": 0, "living": 0, "churned": 0, "transitions": 0, "life_not_observed": 1}
    assert found.transitions.empty
    assert "1 users registered before the log" in found.notes[0]


# ------------------------------------------------------------------------------------------------------ the result


def test_tables_follow_their_schemas_and_asking_changes_nothing() -> None:
    found = lifecycle(hand_log())
    assert tuple(found.table.columns) == ch.schema("lifecycle").names
    assert tuple(found.transitions.columns) == ch.schema("stage_transitions").names
    assert tuple(found.users.columns)[:5] == ch.schema("user_stages").names
    assert list(found.users.columns)[5:] == ["registered_at", "cohort"]
    table, users = found.table, found.users
    table.iloc[0, 1] = -1
    users.iloc[0, 0] = "z"
    assert found.table["living"].iloc[0] == 1
    assert found.users["user_id"].iloc[0] == "a"
    assert "4 users at the end of 2024-03-31: new 1 living + 0 churned" in repr(found)
    facts = json.loads(found.to_json())["facts"]
    assert facts["counts"]["churned"] == 3
    assert facts["transitions"][0] == {"from_stage": REGISTERED, "to_stage": "new", "transitions": 3, "users": 3}
    assert list(found.users["stage"].cat.categories) == ["new", "mature"]


def test_tables_made_on_the_way_are_dropped() -> None:
    log = hand_log()
    lifecycle(log)

    def there() -> set[str]:
        return {name for (name,) in log.engine.rows("SELECT table_name FROM information_schema.tables")}

    before = there()
    lifecycle(log)
    stage_episodes(log)
    assert there() == before


# ------------------------------------------------------------------------------------------------------------ Spark


@on_spark
def test_spark_says_the_same(session: Any) -> None:  # noqa: F811
    some = lives(1, n_users=12)
    here, there = some.log(), some.log(engine=ch.connect(spark=session))
    mine, spark_says = lifecycle(here), lifecycle(there)
    assert spark_says.transitions.equals(mine.transitions)
    pd.testing.assert_frame_equal(spark_says.users, mine.users, check_exact=True)
    pd.testing.assert_frame_equal(stage_episodes(there, spells="all"), stage_episodes(here, spells="all"))


def test_the_written_statement_gives_the_same_rows() -> None:
    pytest.importorskip("sqlglot")
    log, day = hand_log(), date(2024, 2, 11)
    with lifecycle_query(log._reading, log.rule, log.stages, date=day) as query:
        text = to_sql(log._reading, query, sources={"events": "raw_events", "users": "raw_users"})
        assert "stage_path" in to_sql(log._reading, query, dialect="spark")
    with stage_episodes_query(log._reading, log.rule, log.stages) as query:
        assert "stage_path" in to_sql(log._reading, query, dialect="spark")
    with ch.connect() as engine:
        for table in ("events", "users"):
            engine.rows(f"CREATE TEMP TABLE raw_{table} AS SELECT * FROM {engine.register(table, raw(log, table))}")
        found = to_pandas(engine.arrow(text)).sort_values("user_id", ignore_index=True)
    expected = plain(lifecycle(log, day).users)
    assert rows(found[list(expected.columns)]) == rows(expected)


def raw(log: ActivityLog, table: str) -> pa.Table:
    return pa.Table.from_pandas(log._reading.data[table])
