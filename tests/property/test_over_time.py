"""Histories, panels, snapshots and gaps of `ActivityLog` against the oracle that looks at one day at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, InputError
from tests import oracle_over_time as oracle
from tests.oracle import Feature
from tests.property.test_spells import profile
from tests.property.worlds import DAY, World
from tests.property.worlds_over_time import FEATURES, QUOTIENTS, OverTime, ours, worlds_over_time
from tests.rows import rows_of

KEYS = {"history": ("user_id", "spell", "start"), "states": ("date", "user_id"), "gaps": ("user_id", "gap")}


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; amounts as floats, whatever the engine holds them as."""
    return [
        {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in rows_of(table)
    ]


def assert_rows(found: pd.DataFrame, expected: list[dict[str, Any]], keys: tuple[str, ...]) -> None:
    """The same rows and columns; only a quotient may differ in its last digits."""
    expected = sorted(expected, key=lambda row: tuple(row[key] for key in keys))
    if expected:
        assert list(found.columns) == list(expected[0])
    rows = plain(found)
    assert [tuple(row[key] for key in keys) for row in rows] == [tuple(row[key] for key in keys) for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        for name in QUOTIENTS:
            if wanted.get(name) is not None:
                assert row[name] == pytest.approx(wanted[name], rel=1e-12)
                row[name] = wanted[name]
        assert row == wanted


def assert_counts(found: Any, expected: dict[str, int]) -> None:
    assert {name: found.counts.get(name) for name in expected} == expected


@st.composite
def some_features(draw: st.DrawFn) -> list[str | Feature]:
    """None at all, or a few of them; balance and stage, which are more than an aggregate, more often than others."""
    special = draw(st.sampled_from(((), ("balance",), ("stage", "balance"), ("balance", "stage"))))
    others = [each for each in FEATURES if each not in ("balance", "stage")]
    more = draw(st.lists(st.sampled_from(others), min_size=1, max_size=4, unique=True))
    return [*special, *more] if draw(st.integers(0, 5)) else []


# -------------------------------------------------------------------------------------------------- against the oracle


@profile(15)
@given(
    worlds_over_time(),
    some_features(),
    st.sampled_from((None, None, 1, 5, 7)),
    st.sampled_from((None, 0, 3)),
    st.sampled_from(("all", "first")),
    st.sampled_from(("exclude", "assume_first_spell")),
)
def test_history_equals_the_oracle(
    given_: OverTime,
    features: list[str | Feature],
    every: int | None,
    more: int | None,
    spells: str,
    left_truncated: str,
) -> None:
    lag = None if more is None else given_.world.idle_days + more
    asked: dict[str, Any] = {"every": every, "lag": lag, "spells": spells, "left_truncated": left_truncated}
    expected = oracle.history(given_.oracle(), features, **asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChurnsurvWarning)  # that the lag is short
        found = given_.log().history(features=ours(features), **asked)
    assert found.lag == (oracle.default_lag(given_.oracle(), features) if lag is None else lag)
    assert_rows(found.table, expected.rows, KEYS["history"])
    assert_counts(found, expected.counts)


@profile(7)
@given(worlds_over_time(), some_features(), st.integers(1, 14), st.sampled_from((None, 1, 5, 30)))
def test_panel_equals_the_oracle(
    given_: OverTime, features: list[str | Feature], every: int, horizon: int | None
) -> None:
    told = given_.oracle()
    log = given_.log()
    if not oracle.landmarks(told, every, horizon or told.idle_days):
        with pytest.raises(InputError, match=str(told.until)):
            log.landmark_panel(features=ours(features), every=every, horizon=horizon)
        return
    expected = oracle.landmark_panel(told, features, every=every, horizon=horizon)
    found = log.landmark_panel(features=ours(features), every=f"{every}d", horizon=horizon)
    assert_rows(found.table, expected.rows, KEYS["states"])
    assert_counts(found, expected.counts)


@profile(6)
@given(worlds_over_time(), some_features(), st.lists(st.integers(0, 10_000), min_size=4, max_size=4))
def test_snapshot_equals_the_oracle(given_: OverTime, features: list[str | Feature], numbers: list[int]) -> None:
    told, log = given_.oracle(), given_.log()
    for n in numbers:
        day = told.since + n % ((told.until - told.since).days + 1) * DAY
        expected = oracle.snapshot(told, day, features)
        found = log.snapshot(str(day), features=ours(features))
        assert_rows(found.table, expected.rows, KEYS["states"])
        assert_counts(found, expected.counts)


@profile(8)
@given(worlds_over_time(), some_features())
def test_gaps_equal_the_oracle(given_: OverTime, features: list[str | Feature]) -> None:
    expected = oracle.gaps(given_.oracle(), features)
    found = given_.log().gaps(features=ours(features))
    assert_rows(found.table, expected.rows, KEYS["gaps"])
    assert_counts(found, expected.counts)


@profile(2)
@given(worlds_over_time(dirty=False))
def test_without_a_list_every_built_in_is_there(given_: OverTime) -> None:
    names = {*oracle.BUILT_IN, "balance", "stage"}
    log, told = given_.log(), given_.oracle()
    found = log.gaps().table
    built_in = [str(name) for name in found.columns if name in names]
    assert set(built_in) == names
    assert_rows(found, oracle.gaps(told, built_in).rows, KEYS["gaps"])
    assert_rows(log.history().table, oracle.history(told, built_in).rows, KEYS["history"])


@profile(2)
@given(worlds_over_time(dirty=False))
def test_a_list_of_the_log_is_the_default(given_: OverTime) -> None:
    own: list[str | Feature] = [Feature("recent", "count", last=3), "balance"]
    log, told = given_.log(features=ours(own)), given_.oracle()
    assert_rows(log.history().table, oracle.history(told, own).rows, KEYS["history"])
    assert_rows(log.snapshot(told.until).table, oracle.snapshot(told, told.until, own).rows, KEYS["states"])
    assert_rows(log.gaps(features=["stage"]).table, oracle.gaps(told, ["stage"]).rows, KEYS["gaps"])


# -------------------------------------------------------------------------------------------------- is it a hard test


def reaches(what: str) -> Callable[[OverTime], bool]:
    """Whether a world has a case that the comparisons above must meet."""
    tables: dict[str, Callable[[oracle.World], oracle.Table]] = {
        "history": lambda told: oracle.history(told, ["balance", "stage", "n_investments"]),
        "gaps": lambda told: oracle.gaps(told, ["balance"]),
        "snapshot": lambda told: oracle.snapshot(told, told.since + (told.until - told.since) // 2, ["balance"]),
        "panel": lambda told: oracle.landmark_panel(told, ["boosted_share"]),
    }
    table, _, case = what.partition(": ")
    cases: dict[str, Callable[[dict[str, Any]], bool]] = {
        "row of a return": lambda row: row["spell"] > 1,
        "split of a churned spell": lambda row: row["churned"] and row["start"] > 0,
        "balance unknown": lambda row: row["balance"] is None,
        "balance known": lambda row: row["balance"] is not None and row["balance"] > 0,
        "life not observed": lambda row: not row["life_observed"],
        "life not observed, a return": lambda row: not row["life_observed"] and row["spell"] > 1,
        "life not observed, in its first spell": lambda row: not row["life_observed"] and row["spell"] == 1,
        "third stage": lambda row: row["stage"] in ("mature", "large"),
        "churned": lambda row: row["churned"],
        "churned before the horizon": lambda row: row["churned"] and row["duration"] < 3,
        "share": lambda row: row["boosted_share"] not in (None, 0, 1),
        "no interval yet": lambda row: row["last_interval"] is None and not row["registration_gap"],
        "no risk": lambda row: row["duration"] == 0,
    }

    def reached(given_: OverTime) -> bool:
        told = given_.oracle()
        if case.startswith("counts "):
            return tables[table](told).counts[case.removeprefix("counts ")] > 0
        return any(cases[case](row) for row in tables[table](told).rows)

    return reached


@pytest.mark.parametrize(
    "what",
    [
        "history: row of a return", "history: split of a churned spell", "history: balance unknown",
        "history: balance known", "history: third stage", "history: counts life_not_observed",
        "history: counts first_spell_unseen", "history: counts undetermined", "history: counts no_risk",
        "history: counts left_truncated_excluded", "gaps: counts not_seen", "gaps: life not observed, a return",
        "gaps: life not observed, in its first spell", "gaps: no interval yet", "gaps: no risk",
        "snapshot: balance unknown", "snapshot: balance known", "snapshot: life not observed", "panel: churned",
        "panel: churned before the horizon", "panel: share", "panel: life not observed",
    ],
)  # fmt: skip
def test_the_worlds_reach_every_case(what: str) -> None:
    find(worlds_over_time(), reaches(what), settings=settings(profile(2000), phases=[Phase.generate]))


# ------------------------------------------------------------------------------------------ what holds of any log


@profile(2)
@given(worlds_over_time())
def test_the_tables_agree_with_one_another(given_: OverTime) -> None:
    """A panel is its snapshots; the spells of a history are those of the spells; gaps fill the log."""
    log = given_.log()
    features = ["n_investments"]
    days = oracle.landmarks(given_.oracle(), 5, 3)
    if days:
        panel = log.landmark_panel(features=features, every=5, horizon=3).table.drop(columns=["churned", "duration"])
        for day in {days[0], days[len(days) // 2], days[-1]}:
            of_day = [row for row in plain(panel) if row["date"] == day]
            assert plain(log.snapshot(day, features=features).table) == of_day
    history = log.history(features=(), every=1, left_truncated="assume_first_spell").table
    spells = log.churn_spells(spells="all", left_truncated="assume_first_spell").table
    spells = spells[spells["duration"] > spells["entry"]]
    by_spell = history.groupby(["user_id", "spell"], observed=True)
    lived = by_spell.agg(entry=("start", "min"), duration=("stop", "max"), churned=("churned", "sum")).reset_index()
    columns = ["user_id", "spell", "entry", "duration", "churned"]
    assert [tuple(row) for row in lived[columns].to_numpy()] == [tuple(row) for row in spells[columns].to_numpy()]
    assert history["churned"].sum() == spells["churned"].sum()
    gaps = log.gaps(features=()).table
    for _, of_user in gaps.groupby("user_id", observed=True):
        ends = of_user["start_date"] + pd.to_timedelta(of_user["duration"], unit="D")
        assert ends.iloc[-1].date() == log.observed_until
        assert ends.iloc[:-1].tolist() == of_user["start_date"].iloc[1:].tolist()
        assert of_user["returned"].tolist() == [True] * (len(of_user) - 1) + [False]


def test_a_short_lag_is_refused_or_warned_of() -> None:
    """Below the idle days it is the outcome itself; below twice of them an effect may be none."""
    day = date(2024, 2, 1)
    users = [{"user_id": 1, "registered_at": day, "channel": "organic"}]
    events = [{"user_id": 1, "event_at": day + 5 * DAY, "kind": "login", "amount": None, "product": None}]
    log = OverTime(World(users, events, 10, ("login", "invest"), day, day + timedelta(days=40))).log()
    for lag in (0, 9):
        with pytest.raises(InputError, match="lag"):
            log.history(features=["n_investments"], lag=lag)
    for lag in (10, 19):
        with pytest.warns(ChurnsurvWarning, match=f"lag is {lag}"):
            assert len(log.history(features=["n_investments"], lag=lag).table) == 1
    assert log.history(features=["n_investments"], lag=20).lag == log.history(features=["n_investments"]).lag == 20
    recent = ch.Feature("recent", agg="count", last=3)
    with pytest.warns(ChurnsurvWarning, match="lag is 29"):
        log.history(features=["n_investments", recent], lag=29)
    assert log.history(features=["n_investments", recent]).lag == 30


def test_a_day_outside_the_window_is_no_snapshot() -> None:
    def some(given_: OverTime) -> bool:
        return len(given_.world.events) > 5

    given_ = find(worlds_over_time(stated=True), some, settings=settings(profile(100), phases=[Phase.generate]))
    log, told = given_.log(), given_.oracle()
    for day in (told.since - DAY, told.until + DAY):
        for question in (log.snapshot, log.as_of):
            with pytest.raises(InputError, match=rf"(?s){told.since}.*{told.until}|{told.until}.*{told.since}"):
                question(day)
    moment = datetime.combine(told.until, datetime.min.time())
    assert len(log.snapshot(moment).table) == len(log.snapshot(told.until).table)


@profile(2)
@given(worlds_over_time(dirty=False), st.randoms(use_true_random=True))
def test_order_of_rows_changes_no_bit(given_: OverTime, rng: Any) -> None:
    """Sums to the cent, added in any order, are equal to the last bit."""
    world = given_.world
    shuffled = replace(
        given_,
        world=world.but(
            users=rng.sample(world.users, len(world.users)), events=rng.sample(world.events, len(world.events))
        ),
        balances=given_.balances and rng.sample(given_.balances, len(given_.balances)),
    )
    asked = ours(FEATURES)
    pd.testing.assert_frame_equal(
        given_.log().gaps(features=asked).table, shuffled.log().gaps(features=asked).table, check_exact=True
    )
