"""Cells that move while users are silent: held against the state of each user at the end of each idle day."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule, Feature, connect
from churnsurv.data.feature import BUILT_IN
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.data.gap_paths_sql import can_move
from tests.data.lives import IDLE, LAST, Lives, active_days, date_of, features_of, lives
from tests.data.small import log_of
from tests.data.spark import on_spark, spark  # noqa: F401
from tests.data.test_gap_counts import same

GRIDS = {"balance": (1.0, 100.0, 300.5), "n_investments": (1, 3), "tenure": (4.5, 20), "busy": (2, 3), "views": (1,)}
BUSY = Feature("busy", agg="days", last=4)
VIEWS = Feature("views", agg="count", kind="view")


def walked(counts: GapCounts) -> Counter[tuple[Any, ...]]:
    """Start, length, and the cells of each variable on the days that the gap lasts."""
    found: Counter[tuple[Any, ...]] = Counter()
    assert counts.period is not None
    rows = zip(counts.path.tolist(), counts.duration.tolist(), counts.n.tolist(), counts.period.tolist(), strict=True)
    for row, (path, duration, n, start) in enumerate(rows):
        days = min(duration, counts.idle_days)
        cells = [
            (int(counts.cells[name][row]),) * days if path < 0 else tuple(along[path, :days].tolist())
            for name, along in counts.paths.items()
        ]
        found[(start, duration, *cells)] += n
    return found


def expected(some: Lives, idle: int = IDLE) -> Counter[tuple[Any, ...]]:
    """The same from the tables, day by day."""
    found: Counter[tuple[Any, ...]] = Counter()
    for user, registered in some.registered.items():
        if registered > LAST:
            continue
        days = active_days(some, user, LAST)
        for start, end in pairwise([*days, None]):
            if start is None or start > LAST - idle:
                continue
            duration = idle + 1 if end is None or end - start > idle else end - start
            states = [state(some, user, day) for day in range(start, start + min(duration, idle))]
            cells = [
                tuple(
                    len(cuts) + 1 if each[name] is None else bisect_right(list(cuts), float(each[name]))
                    for each in states
                )
                for name, cuts in GRIDS.items()
            ]
            found[(date_of(start).date(), duration, *cells)] += 1
    return found


def state(some: Lives, user: int, day: int) -> dict[str, Any]:
    mine = [event for event in some.events if event[0] == user and 0 <= event[1] <= day]
    late = {event[1] for event in mine if day - event[1] < 4}
    views = sum(event[2] == "view" for event in mine)
    own = {"tenure": day - some.registered[user], "busy": len(late), "views": views}
    return features_of(some, user, day) | own


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_those_of_the_end_of_each_idle_day(seed: int) -> None:
    some = lives(seed, balances=seed % 2 == 1)
    counts = gap_counts(some.log(), grids=GRIDS, features=[BUSY, VIEWS], period="day", paths=True)
    assert walked(counts) == expected(some)
    moving = counts.path >= 0
    assert 10 < counts.n[moving].sum() < counts.n.sum()
    for name, along in counts.paths.items():
        assert along.shape == (counts.path.max() + 1, IDLE)
        np.testing.assert_array_equal(along[counts.path[moving], 0], counts.cells[name][moving])
        assert not along.flags.writeable
    # a path is there once, and moves
    together = np.hstack(list(counts.paths.values()))
    assert len(np.unique(together, axis=0)) == len(together)
    assert all(any(len(set(along[i])) > 1 for along in counts.paths.values()) for i in range(len(together)))


@pytest.mark.parametrize("far", [3e9, 1e19])
def test_a_tenure_that_nobody_reaches_changes_nothing(far: float) -> None:
    log = lives(1, n_users=40).log()
    near, wide = (gap_counts(log, grids={"tenure": cuts}, paths=True) for cuts in ((4.5, 20), (-far, 4.5, 20, far)))
    assert (near.path >= 0).any()
    np.testing.assert_array_equal(near.path, wide.path)
    np.testing.assert_array_equal(near.paths["tenure"] + 1, wide.paths["tenure"])
    never = gap_counts(log, grids={"tenure": (far,)}, paths=True)
    assert (never.path == -1).all()


def test_a_churn_after_one_day_leaves_no_day_to_move() -> None:
    log = lives(1, n_users=40).log().with_rule(idle_days=1)
    counts = gap_counts(log, grids=GRIDS, features=[BUSY, VIEWS], paths=True)
    assert counts.n.sum() > 0
    assert (counts.path == -1).all()


def test_paths_only_tell_gaps_further_apart() -> None:
    log = lives(3, balances=True).log()
    asked: dict[str, Any] = {"grids": GRIDS, "features": [BUSY, VIEWS], "by": ("channel",), "starts": "all"}
    plain, told = gap_counts(log, **asked), gap_counts(log, paths=True, **asked)
    assert (plain.path == -1).all()
    assert plain.paths["balance"].shape == (0, IDLE)
    assert told.balance_moves == plain.balance_moves > 0

    def rows(counts: GapCounts) -> Counter[tuple[Any, ...]]:
        columns = [counts.block, counts.registration_gap, *counts.cells.values(), counts.duration, counts.returned]
        found: Counter[tuple[Any, ...]] = Counter()
        for channel, n, *row in zip(
            counts.groups["channel"].astype(str), counts.n.tolist(), *(each.tolist() for each in columns), strict=True
        ):
            found[(channel, *row)] += n
        return found

    assert rows(plain) == rows(told)


@pytest.mark.parametrize("seed", range(2))
def test_where_nothing_can_move_nothing_changes(seed: int) -> None:
    log = lives(seed).log(rule=ChurnRule(idle_days=3, activity=None))
    asked: dict[str, Any] = {"grids": {"n_investments": (1, 2), "balance": (1.0,), "active_days": (2,)}}
    plain, told = gap_counts(log, by=("channel",), **asked), gap_counts(log, by=("channel",), paths=True, **asked)
    same(plain, told)
    assert (told.path == -1).all()


@pytest.mark.parametrize("seed", range(2))
def test_what_happens_later_changes_no_path(seed: int) -> None:
    rng = np.random.default_rng(seed)
    some, day = lives(seed, balances=True), int(rng.integers(IDLE + 20, LAST))
    asked: dict[str, Any] = {"grids": GRIDS, "features": [BUSY, VIEWS], "period": "day", "paths": True}
    known, other = (
        gap_counts(each.log(), until=date_of(day).date(), **asked) for each in (some, some.otherwise(day, rng))
    )
    same(known, other)
    assert (known.path >= 0).any()
    np.testing.assert_array_equal(known.path, other.path)
    for name in GRIDS:
        np.testing.assert_array_equal(known.paths[name], other.paths[name])


def test_a_balance_by_hand() -> None:
    """Six idle days. Interest comes on day 2 of a gap and is gone on day 4; of a short gap only its days are seen."""
    users = {1: "2024-01-01", 2: "2024-01-01"}
    balances = pd.DataFrame(
        {"user_id": [1, 1, 1, 2, 2], "balance": [5.0, 15.0, 7.0, 1.0, 12.0],
         "date": ["2024-01-01", "2024-01-03", "2024-01-05", "2024-01-02", "2024-01-05"]}
    )  # fmt: skip
    log = log_of(users, [(2, "2024-01-04")], idle_days=6, observed_from="2024-01-01", balances=balances,
                 observed_until="2024-01-15")  # fmt: skip
    counts = gap_counts(log, grids={"balance": (10.0,)}, period="day", paths=True)
    along = counts.paths["balance"]
    rows = sorted(zip(counts.block.tolist(), counts.period.tolist(), counts.path.tolist(), strict=True))
    assert [along[path].tolist() for _, _, path in rows] == [
        [0, 0, 1, 1, 0, 0],
        # no balance on the first day: cell 2. What stands from the return on day 3 on is carried.
        [2, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1],
    ]


def test_what_can_move() -> None:
    every, logins = ChurnRule(activity=None), ChurnRule(activity=["login"])
    assert can_move("balance", ChurnRule(), {})  # by a redemption
    assert can_move("balance", every, {"balances": object()})
    assert not can_move("balance", every, {})
    assert not can_move("stage", logins, {})
    invested = BUILT_IN["n_investments"]
    assert [can_move(invested, rule, {}) for rule in (ChurnRule(), every, logins)] == [False, False, True]
    assert can_move(Feature("all", agg="count"), ChurnRule(), {})


@on_spark
def test_spark_finds_the_same_paths(spark: Any) -> None:  # noqa: F811
    some = lives(1, balances=True)
    here = some.log()
    asked: dict[str, Any] = {"grids": GRIDS, "features": [BUSY, VIEWS], "period": "day", "paths": True}
    with connect(spark=spark) as engine:
        there = ActivityLog(
            here._reading.data["events"],
            here._reading.data["users"],
            balances=here._reading.data["balances"],
            rule=here.rule,
            observed_from=here.observed_from,
            observed_until=here.observed_until,
            engine=engine,
        )
        one, other = gap_counts(there, **asked), gap_counts(here, **asked)
    same(one, other)
    np.testing.assert_array_equal(one.path, other.path)
    for name in GRIDS:
        np.testing.assert_array_equal(one.paths[name], other.paths[name])
