"""Gaps counted inside the engine: held against the gaps themselves, counted row by row, on DuckDB and on Spark."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from churnsurv.data import ActivityLog, ChurnRule, Feature, connect
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.errors import InputError
from churnsurv.simulation import simulate_app
from tests.data.lives import IDLE, LAST, START, active_days, date_of, features_of, lives
from tests.data.small import log_of
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.property.worlds_over_time import OverTime, worlds_over_time

GRIDS = {"balance": (1.0, 100.0, 300.5), "n_investments": (1, 3), "tenure": (5, 20), "mean_interval": (2.5,)}
BUSY = Feature("busy", agg="days", last=4)


def counted(counts: GapCounts) -> Counter[tuple[Any, ...]]:
    """Counts without the blocks: registration gap, cells, values, period, duration, returned."""
    by = [counts.groups[each].astype(object) for each in counts.by]
    by = [[None if pd.isna(value) else value for value in column] for column in by]
    period = [] if counts.period is None else [[str(day) for day in counts.period]]
    columns = [counts.registration_gap, *counts.cells.values(), *by, *period, counts.duration, counts.returned]
    rows = zip(*(getattr(column, "tolist", lambda c=column: c)() for column in columns), strict=True)
    found: Counter[tuple[Any, ...]] = Counter()
    for row, n in zip(rows, counts.n.tolist(), strict=True):
        found[row] += n
    return found


def expected(
    log: ActivityLog,
    *,
    grids: dict[str, Any] | None = None,
    by: tuple[str, ...] = (),
    features: tuple[Any, ...] = (),
    starts: str = "mature",
    period: str | None = None,
) -> Counter[tuple[Any, ...]]:
    """The same from the rows of the gaps."""
    idle, table = log.rule.idle_days, log.gaps(features=list(features)).table
    limit = pd.Timestamp(log.observed_until - timedelta(days=idle if starts == "mature" else 1))
    found: Counter[tuple[Any, ...]] = Counter()
    for row in table[table["start_date"] <= limit].astype(object).to_dict("records"):
        cells = []
        for variable, cuts in (grids or {}).items():
            missing = pd.isna(row[variable])
            cells.append(len(cuts) + 1 if missing else bisect_right(list(cuts), float(row[variable])))
        churned = row["duration"] > idle or (not row["returned"] and row["duration"] == idle)
        start = row["start_date"]
        when = {None: [], "month": [f"{start:%Y-%m}-01"], "quarter": [f"{start.year}-{start.quarter * 3 - 2:02}-01"]}
        values = [None if pd.isna(row[each]) else row[each] for each in by]
        end = (idle + 1 if churned else row["duration"], row["returned"] and not churned)
        found[(row["registration_gap"], *cells, *values, *when[period], *end)] += 1
    return found


def same(one: GapCounts, other: GapCounts) -> None:
    """Equal in everything, blocks too."""
    for each in ("block", "registration_gap", "duration", "returned", "n"):
        np.testing.assert_array_equal(getattr(one, each), getattr(other, each))
    assert one.cells.keys() == other.cells.keys()
    for each in one.cells:
        np.testing.assert_array_equal(one.cells[each], other.cells[each])
    if one.period is not None:
        np.testing.assert_array_equal(one.period, other.period)
    pd.testing.assert_frame_equal(one.groups, other.groups)
    plain = ("by", "grids", "starts", "idle_days", "n_users", "n_blocks", "first_start", "last_start", "n_days")
    assert [getattr(one, each) for each in plain] == [getattr(other, each) for each in plain]
    assert one.balance_moves == other.balance_moves


def test_gaps_by_hand() -> None:
    """Ten idle days; the log ends on 29 February, so that mature gaps begin by the 19th."""
    users = {1: "2024-01-01", 2: "2023-12-20", 3: "2024-02-19", 4: "2024-02-20"}
    events = [
        (1, "2024-01-01 20:00"), (1, "2024-01-11"), (1, "2024-01-22"), (1, "2024-01-22"), (1, "2024-02-18"),
        (2, "2024-01-05"), (1, "2024-02-29"),
    ]  # fmt: skip
    log = log_of(users, events, idle_days=10, observed_from="2024-01-01")
    counts = gap_counts(log)
    rows = zip(counts.block, counts.registration_gap, counts.duration, counts.returned, counts.n, strict=True)
    assert [tuple(value.item() for value in row) for row in rows] == [
        # A return on day 10 saves the user, one on day 11 comes after churn. Block 0 is user 1.
        (0, False, 11, False, 3),
        (0, True, 10, True, 1),
        # Registered before the log: where the first gap began is unknown, and the next one is no registration gap.
        (1, False, 11, False, 1),
        # Begun ten days before the end: silent through day 10, and nothing else is needed.
        (2, True, 11, False, 1),
    ]
    assert (counts.n_users, counts.n_blocks, counts.n_days, counts.idle_days) == (4, 4, 50, 10)
    assert (str(counts.first_start), str(counts.last_start)) == ("2024-01-01", "2024-02-19")
    tensor = counts.tensor()
    assert tensor.shape == (4, 11)
    assert tensor[0].tolist() == [0] * 9 + [1, 3]
    assert counts.tensor(registration_gap=True).sum(axis=0).tolist() == [0] * 9 + [1, 1]
    every = gap_counts(log, starts="all")
    open_gaps = ~every.returned & (every.duration <= 10)
    # User 4 is seen for nine days; the gap of user 1 that begins on the last day has no day at all.
    assert list(zip(every.block[open_gaps], every.duration[open_gaps], strict=True)) == [(3, 9)]
    with pytest.raises(InputError, match=r'count starts="mature"'):
        every.tensor()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("starts", ["mature", "all"])
def test_counts_are_those_of_the_gaps(seed: int, starts: Any) -> None:
    log = lives(seed, balances=seed % 2 == 1).log()
    period: Any = ("month", "quarter")[seed % 2]
    asked: dict[str, Any] = {"grids": GRIDS, "by": ("channel", "stage"), "period": period, "starts": starts}
    counts = gap_counts(log, **asked)
    assert counted(counts) == expected(log, features=("balance", "n_investments", "stage"), **asked)
    assert counts.n.sum() > 60
    lean = gap_counts(log, by=("channel", "cohort"), starts=starts)
    assert counted(lean) == expected(log, by=("channel", "cohort"), starts=starts)
    mine = gap_counts(log, grids={"busy": (2, 3)}, by=("busy",), features=[BUSY], starts=starts)
    assert counted(mine) == expected(log, grids={"busy": (2, 3)}, by=("busy",), features=(BUSY,), starts=starts)


@settings(max_examples=7)
@given(worlds_over_time())
def test_counts_are_those_of_the_gaps_in_any_world(some: OverTime) -> None:
    log = some.log()
    asked: dict[str, Any] = {"grids": {"balance": (10.0, 200.0)}, "by": ("channel",), "starts": "all"}
    if (log.observed_until - log.observed_from).days < 1:
        with pytest.raises(InputError, match="Take a longer log"):
            gap_counts(log, **asked)
        return
    assert counted(gap_counts(log, **asked)) == expected(log, features=("balance",), **asked)
    lean = gap_counts(log, starts="all")
    assert counted(lean) == expected(log, starts="all")
    assert lean.n_blocks == lean.n_users == log.counts["users"]


@pytest.mark.parametrize("seed", range(3))
def test_what_happens_later_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some, day = lives(seed, balances=seed == 0), int(rng.integers(IDLE + 5, LAST))
    until = date_of(day).date()
    asked: dict[str, Any] = {"grids": GRIDS, "by": ("channel", "stage"), "period": "month", "until": until}
    known = gap_counts(some.log(), **asked)
    same(known, gap_counts(some.otherwise(day, rng).log(), **asked))
    same(known, gap_counts(some.log().as_of(until), **(asked | {"until": None})))
    assert str(known.last_start) == str(date_of(day - IDLE).date())
    assert known.n.sum() > 0


def test_starts_can_be_narrowed() -> None:
    log = lives(2, balances=True).log()
    first, last = date_of(10).date(), date_of(40).date()
    every = gap_counts(log, grids=GRIDS, period="month", starts="all")
    parts = [
        gap_counts(log, grids=GRIDS, period="month", starts="all", **span)
        for span in ({"last_start": date_of(9).date()}, {"first_start": first, "last_start": str(last)},
                     {"first_start": date_of(41).date()})
    ]  # fmt: skip
    assert sum((counted(part) for part in parts), Counter()) == counted(every)
    assert sum(part.balance_moves for part in parts) == every.balance_moves > 0
    assert (parts[1].first_start, parts[1].last_start, parts[1].n_days) == (first, last, 31)
    with pytest.raises(InputError, match="in this order"):
        gap_counts(log, first_start=last, last_start=first)


def test_gaps_that_begin_in_a_window() -> None:
    log = simulate_app(60, seed=2).log
    first, last = log.observed_until - timedelta(days=120), log.observed_until - timedelta(days=60)
    counts = gap_counts(log, first_start=first, last_start=str(last), grids={"balance": (100,)})
    table = log.gaps(features=["balance"]).table
    inside = table[table["start_date"].between(pd.Timestamp(first), pd.Timestamp(last))]
    assert counts.n.sum() == len(inside) > 0
    assert counts.n[counts.cells["balance"] == 0].sum() == (inside["balance"] < 100).sum()
    assert (counts.first_start, counts.last_start, counts.n_days) == (first, last, 61)
    # together with what began before and after, all mature gaps
    others = [
        gap_counts(log, last_start=first - timedelta(days=1)),
        gap_counts(log, first_start=last + timedelta(days=1)),
    ]
    assert sum(each.n.sum() for each in (counts, *others)) == gap_counts(log).n.sum()


def test_blocks_are_groups_of_whole_users() -> None:
    some = lives(3, n_users=150)
    log = some.log()
    one_each, few = gap_counts(log), gap_counts(log, blocks=7)
    assert one_each.n_blocks == log.counts["users"]
    assert few.n_blocks == 7
    assert (np.bincount(few.block, few.n) > 0.3 * few.n.sum() / 7).all()
    assert counted(few) == counted(one_each)
    # With one user a block, the gaps of a block are those of a user.
    users = sorted(user for user, day in some.registered.items() if day <= LAST)
    mature = [[d for d in active_days(some, user, LAST) if d <= LAST - IDLE] for user in users]
    assert np.bincount(one_each.block, one_each.n, minlength=len(users)).tolist() == [len(days) for days in mature]
    # A block keeps its users, whoever else is there.
    fewer = ActivityLog(
        log._reading.data["events"],
        log._reading.data["users"].query("user_id % 10 != 9"),
        rule=log.rule,
        observed_from=START.date(),
        observed_until=date_of(LAST).date(),
    )
    assert (np.bincount(gap_counts(fewer, blocks=7).block, gap_counts(fewer, blocks=7).n)
            <= np.bincount(few.block, few.n)).all()  # fmt: skip


def test_balances_that_move_in_idle_days_are_counted() -> None:
    for seed in range(2):
        some = lives(seed, balances=True)
        moving = 0
        for user in some.registered:
            days = active_days(some, user, LAST)
            for start, end in pairwise([*days, LAST + 1]):
                if start > LAST - IDLE or some.registered[user] > LAST:
                    continue
                idle = range(start + 1, min(end, start + IDLE))
                balances = [features_of(some, user, day)["balance"] for day in (start, *idle)]
                moving += any(left != right for left, right in pairwise(balances))
        counts = gap_counts(some.log(), grids={"balance": (100.0,)})
        assert counts.balance_moves == moving > 0
        assert gap_counts(some.log()).balance_moves == 0
        assert gap_counts(some.log(), grids={"n_investments": (1,)}).balance_moves == 0
    assert gap_counts(lives(1).log(), grids={"balance": (100.0,)}).balance_moves == 0


def test_the_tensor_has_an_axis_for_each_grid() -> None:
    counts = gap_counts(lives(5, balances=True).log(), grids=GRIDS)
    tensor = counts.tensor(["n_investments", "balance"])
    assert tensor.shape == (counts.n_blocks, 4, 5, IDLE + 1)
    assert tensor.dtype == np.int64
    assert tensor.sum() == counts.n.sum()
    chosen = (counts.cells["n_investments"] == 2) & (counts.cells["balance"] == 4) & (counts.duration == IDLE + 1)
    assert tensor[:, 2, 4, IDLE].sum() == counts.n[chosen].sum() > 0
    np.testing.assert_array_equal(tensor.sum(axis=(1, 2)), counts.tensor([]))
    both = counts.tensor([], registration_gap=True) + counts.tensor([], registration_gap=False)
    np.testing.assert_array_equal(both, counts.tensor([]))
    assert not counts.n.flags.writeable
    assert not counts.cells["balance"].flags.writeable
    with pytest.raises(InputError, match=r"no grid for 'balanc'. Did you mean 'balance'"):
        counts.tensor(["balanc"])


def test_attributes_can_be_cut() -> None:
    users = pd.DataFrame(
        {
            "user_id": ["a", "b", "c"],
            "registered_at": "2024-01-01",
            "age": [30.0, np.nan, 17.5],
            "city": ["x", "y", None],
        }
    )
    events = pd.DataFrame({"user_id": ["a"], "event_at": ["2024-03-01"], "kind": ["login"]})
    counts = gap_counts(ActivityLog(events, users), grids={"age": (17.5, 30)}, by=["city"])
    assert counted(counts) == {
        (True, 2, "x", 31, False): 1,
        (True, 3, "y", 31, False): 1,
        (True, 1, None, 31, False): 1,
    }


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"grids": {"balanc": (1,)}}, r"no variable 'balanc'. Did you mean 'balance'"),
        ({"by": ["chanel"]}, r"no variable 'chanel'. Did you mean 'channel'"),
        ({"grids": {"stage": (1,)}}, r"'stage' is no number .*by="),
        ({"grids": {"channel": (1,)}}, r"'channel' is no number"),
        ({"grids": {"balance": (2, 1)}}, r"each larger than the last"),
        ({"grids": {"balance": ()}}, r"is a list of numbers"),
        ({"grids": {"balance": "12"}}, r"each larger|list of numbers"),
        ({"grids": {"balance": (1, float("inf"))}}, r"finite numbers"),
        ({"starts": "some"}, r"'mature' or 'all'"),
        ({"period": "year"}, r"'quarter', 'month', 'day' or None"),
        ({"blocks": 1}, r"from 2 to"),
        ({"until": START.date()}, r"no gap that begins in it can be followed for 6 days"),
        ({"until": "2025-01-01"}, r"outside the log"),
    ],
)  # fmt: skip
def test_bad_arguments(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        gap_counts(lives(1).log(), **asked)


def test_a_kind_that_never_occurs_is_an_error() -> None:
    with pytest.raises(InputError, match="nobody is ever active"):
        gap_counts(lives(1).log(rule=ChurnRule(idle_days=3, activity=["logn"])))


@on_spark
def test_spark_counts_alike(spark: Any) -> None:  # noqa: F811
    app = simulate_app(200, seed=3)
    as_text = {name: getattr(app, name).astype({"user_id": str}) for name in ("events", "users")}
    asked: dict[str, Any] = {"by": ["channel", "stage"], "period": "quarter"}
    asked["grids"] = {"balance": (1, 100, 1000), "n_investments": (1, 2), "last_interval": (7,)}
    with connect(spark=spark) as engine:
        here, there = app.log, ActivityLog(app.events, app.users, balances=app.balances, engine=engine)
        assert here.observed_until == there.observed_until
        same(gap_counts(there, **asked), gap_counts(here, **asked))
        here, there = (ActivityLog(**as_text, observed_from="2023-07-01", engine=each) for each in (None, engine))
        same(gap_counts(there, starts="all", blocks=50), gap_counts(here, starts="all", blocks=50))
