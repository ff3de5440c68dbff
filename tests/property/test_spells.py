"""Spells, rejects and counts of `ActivityLog` against the day-by-day walk, and what must hold of any log."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import churnsurv as ch
from tests import oracle
from tests.data.small import engine
from tests.property.worlds import DAY, START, World, worlds
from tests.rows import in_order, rejects_of, rows_of

FEATURES = ("n_investments", "total_amount", "max_amount", "ever_boosted")

SIGNS_OF_LIFE = [{"user_id": 1, "event_at": START, "kind": "login", "amount": None, "product": None}]


def profile(examples: int) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=checks)


def log_of(world: World) -> ch.ActivityLog:
    events, users = world.frames()
    return ch.ActivityLog(
        events,
        users,
        rule=ch.ChurnRule(idle_days=world.idle_days, activity=world.activity),
        time_zone=world.time_zone,
        observed_from=world.observed_from,
        observed_until=world.observed_until,
        engine=engine(),
    )


def assert_same(world: World, log: ch.ActivityLog, **question: Any) -> None:
    """The log's answer and the walk's: every row, every reject, every count."""
    expected = oracle.churn_spells(world.users, world.events, **world.how(), **question)
    found = log.churn_spells(**question)
    assert in_order(rows_of(found.table)) == in_order(expected.spells)
    rejects = sorted(((r.table, r.row, r.user_id, r.reason) for r in expected.rejects), key=str)
    assert rejects_of(found.rejects) == rejects
    assert rejects_of(log.rejects) == rejects
    assert {name: log.counts[name] for name in expected.log_counts} == expected.log_counts
    assert {name: found.counts[name] for name in expected.counts} == expected.counts


# -------------------------------------------------------------------------------------------- against the oracle


@profile(30)
@given(worlds(), st.sampled_from(("exclude", "assume_first_spell")))
def test_spells_equal_the_walk(world: World, left_truncated: str) -> None:
    log = log_of(world)
    assert_same(world, log, spells="all", left_truncated=left_truncated)
    assert_same(world, log, spells="first", left_truncated=left_truncated)


@profile(14)
@given(worlds(), st.integers(0, 9), st.sampled_from(("first", "all")))
def test_features_at_a_baseline_day_equal_the_walk(world: World, baseline_day: int, spells: str) -> None:
    assert_same(world, log_of(world), spells=spells, features=FEATURES, baseline_day=baseline_day)


AGGREGATES = (
    oracle.Feature("logins", "count", kind="login"),
    oracle.Feature("busy", "days"),
    oracle.Feature("boosted", "count", column="product", equals="boosted"),
    oracle.Feature("redeemed", "any", kind="redeem"),
    oracle.Feature("spent", "sum", column="amount", kind="invest"),
    oracle.Feature("smallest", "min", column="amount", kind="invest"),
    oracle.Feature("largest", "max", column="amount", kind="redeem"),
    oracle.Feature("usual", "mean", column="amount", kind="invest"),
    oracle.Feature("usual_or_minus_one", "mean", column="amount", kind="invest", empty=-1),
)


@profile(10)
@given(worlds(), st.integers(0, 9), st.sampled_from((None, 1, 3, 7)))
def test_every_aggregate_equals_the_walk(world: World, baseline_day: int, last: int | None) -> None:
    asked = [dataclasses.replace(each, last=last) for each in AGGREGATES]
    expected = oracle.churn_spells(
        world.users, world.events, **world.how(), spells="all", features=asked, baseline_day=baseline_day
    )
    ours = [ch.Feature(**dataclasses.asdict(each)) for each in asked]
    found = log_of(world).churn_spells(spells="all", features=ours, baseline_day=baseline_day)
    rows = in_order(expected.spells)
    for row in rows:
        # A mean is a quotient of decimals: the last digit of the float is not fixed.
        for name in ("usual", "usual_or_minus_one"):
            row[name] = row[name] and pytest.approx(row[name], rel=1e-12)
    assert in_order(rows_of(found.table)) == rows


@profile(8)
@given(worlds(dirty=False))
def test_another_rule_on_the_same_log_equals_the_walk(world: World) -> None:
    log = log_of(world)
    for idle_days in (1, world.idle_days + 1, 2 * world.idle_days):
        other = world.but(idle_days=idle_days)
        assert_same(other, log.with_rule(idle_days=idle_days), spells="all")


@pytest.mark.parametrize(
    "what",
    [
        "missing_user_id", "unknown_user", "missing_date", "unparsable_date", "missing_kind", "before_registration",
        "amount_not_a_number", "duplicate_user", "registered_after_window", "equal_users_collapsed", "outside_window",
        "other_kinds", "left_truncated_excluded", "undetermined", "not_seen", "no_risk", "returned", "censored",
        "equal_events", "first_spell_unseen",
    ],
)  # fmt: skip
def test_the_worlds_reach_every_case(what: str) -> None:
    """A generator that had gone dull would make the comparisons above easy to pass."""

    def reached(world: World) -> bool:
        answer = oracle.churn_spells(world.users, world.events, **world.how(), spells="all")
        return what in {r.reason for r in answer.rejects} or (answer.counts | answer.log_counts).get(what, 0) > 0

    find(worlds(), reached, settings=settings(profile(2000), phases=[Phase.generate]))


# ------------------------------------------------------------------------------------------ what holds of any log


def everything(log: ch.ActivityLog) -> list[dict[str, Any]]:
    return in_order(rows_of(log.churn_spells(spells="all", left_truncated="assume_first_spell").table))


def without_days_after(world: World) -> World:
    """The world without the events after its window, so that the window can be drawn longer."""
    until = oracle.read(world.users, world.events, **reading(world)).observed_until
    events = [row for row in world.events if oracle.day_of(row["event_at"], "UTC", world.time_zone) <= until]
    since = world.observed_from or min(oracle.day_of(r["registered_at"], "UTC", world.time_zone) for r in world.users)
    return world.but(events=events, observed_from=since, observed_until=until)


def reading(world: World) -> dict[str, Any]:
    return {name: value for name, value in world.how().items() if name != "idle_days"}


@profile(8)
@given(worlds(), st.randoms(use_true_random=True))
def test_order_of_rows_changes_nothing(world: World, rng: Random) -> None:
    shuffled = world.but(
        users=rng.sample(world.users, len(world.users)), events=rng.sample(world.events, len(world.events))
    )
    one, other = log_of(world), log_of(shuffled)
    assert everything(one) == everything(other)
    assert dict(one.counts) == dict(other.counts)
    columns = ["table", "user_id", "reason"]
    assert sorted(rows_of(one.rejects, columns), key=str) == sorted(rows_of(other.rejects, columns), key=str)


def test_order_of_conflicting_users_changes_nothing() -> None:
    """Two rows of one user on one day: one is kept, whichever comes first, and the other comes back."""
    rows = [{"user_id": 1, "registered_at": START, "channel": name} for name in ("organic", "invitation")]
    kept = set()
    for users in (rows, rows[::-1]):
        log = log_of(World(users, SIGNS_OF_LIFE, 3, None, START, START + 9 * DAY))
        kept.add(log.churn_spells().table["channel"].item())
        assert log.rejects["reason"].tolist() == ["duplicate_user"]
    assert len(kept) == 1


@profile(5)
@given(worlds(), st.randoms(use_true_random=True))
def test_a_second_copy_of_an_event_changes_no_spell(world: World, rng: Random) -> None:
    doubled = world.but(events=world.events + rng.choices(world.events, k=5))
    assert everything(log_of(world)) == everything(log_of(doubled))


@profile(10)
@given(worlds())
def test_user_days_are_conserved(world: World) -> None:
    """From registration to the end of the log each day is in one spell or lies between two."""
    log = log_of(world)
    spells = log.churn_spells(spells="all", left_truncated="assume_first_spell")
    by_user = defaultdict(list)
    for row in in_order(rows_of(spells.table)):
        by_user[row["user_id"]].append(row)
    for rows in by_user.values():
        for before, after in pairwise(rows):
            assert after["spell"] == before["spell"] + 1
            assert before["churned"]
            assert before["end_date"] < after["origin"]
        between = sum((after["origin"] - before["end_date"]).days for before, after in pairwise(rows))
        lived = sum(row["duration"] for row in rows)
        trailing = (log.observed_until - rows[-1]["end_date"]).days
        assert lived + between + trailing == (log.observed_until - rows[0]["origin"]).days
        assert trailing == 0 or rows[-1]["churned"]
    table = spells.table
    assert (table["entry"] >= 0).all()
    assert (table["duration"] >= table["entry"]).all()
    assert spells.counts["person_days"] == (table["duration"] - table["entry"]).sum()
    assert log.counts["users_read"] == (
        log.counts["users"] + log.counts["users_rejected"] + log.counts["equal_users_collapsed"]
    )
    assert log.counts["events_read"] == (
        log.counts["events"] + log.counts["events_rejected"] + log.counts["outside_window"]
    )
    assert log.counts["users"] == (len(by_user) + spells.counts["undetermined"] + spells.counts["not_seen"])


@profile(10)
@given(worlds(dirty=False), st.integers(1, 70))
def test_days_without_events_only_lengthen_or_decide(world: World, more: int) -> None:
    short = without_days_after(world)
    assert short.observed_until is not None
    long = short.but(observed_until=short.observed_until + more * DAY)
    later = {(row["user_id"], row["spell"]): row for row in everything(log_of(long))}
    for row in everything(log_of(short)):
        now = later[row["user_id"], row["spell"]]
        if row["churned"]:
            assert now == row
            continue
        decided = row["last_activity"] + world.idle_days * DAY
        assert now["churned"] == (decided <= long.observed_until)
        assert now["end_date"] == min(decided, long.observed_until)
        assert now["last_activity"] == row["last_activity"]


@profile(8)
@given(worlds(dirty=False), st.integers(1, 10))
def test_more_patience_never_finds_more_churn_by_a_day(world: World, more: int) -> None:
    log = log_of(world)
    patient = log.with_rule(idle_days=world.idle_days + more)
    strict_ends, patient_ends = (
        sorted(row["end_date"] for row in rows_of(each.churn_spells().table) if row["churned"])
        for each in (log, patient)
    )
    assert len(patient_ends) <= len(strict_ends)
    # The k-th churn comes no sooner, which is the same as: no more churns by any day.
    assert all(sooner <= later for sooner, later in zip(strict_ends, patient_ends, strict=False))


# ------------------------------------------------------------------------------------------- the same data elsewhere


def as_parquet(frame: pd.DataFrame, path: Path) -> str:
    frame.to_parquet(path.with_suffix(".parquet"))
    return str(path.with_suffix(".parquet"))


def as_csv(frame: pd.DataFrame, path: Path) -> str:
    frame.to_csv(path.with_suffix(".csv"), index=False)
    return str(path.with_suffix(".csv"))


def as_parquet_pieces(frame: pd.DataFrame, path: Path) -> str:
    path.mkdir()
    for part in range(3):
        frame.iloc[part::3].to_parquet(path / f"{part}.parquet")
    return str(path / "*.parquet")


FORMS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "polars": lambda frame, _: pl.from_pandas(frame),
    "pyarrow": lambda frame, _: pa.Table.from_pandas(frame, preserve_index=False),
    "parquet": as_parquet,
    "glob": as_parquet_pieces,
    "csv": as_csv,
}


@pytest.mark.parametrize("clock", ["date", "time", "aware"])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_give_the_same_answer_in_every_form(form: str, clock: str, tmp_path: Path) -> None:
    def rich(world: World) -> bool:
        return len(world.users) > 20 and len(world.events) > 40 and world.clock == clock and not world.integer_ids

    world = find(worlds(dirty=False), rich, settings=settings(profile(5000), phases=[Phase.generate]))
    events, users = world.frames()
    moved = ch.ActivityLog(
        FORMS[form](events, tmp_path / "events"),
        FORMS[form](users, tmp_path / "users"),
        rule=ch.ChurnRule(idle_days=world.idle_days, activity=world.activity),
        time_zone=world.time_zone,
        observed_from=world.observed_from,
        observed_until=world.observed_until,
    )
    at_home = log_of(world)
    assert everything(moved) == everything(at_home)
    assert dict(moved.counts) == dict(at_home.counts)
