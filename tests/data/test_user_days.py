"""Days of users since registration: by brute force, and the same from Spark as from DuckDB."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import churnsurv as ch
from churnsurv.data.user_days import UserDays, user_days
from churnsurv.simulation import simulate_app
from tests.data.spark import on_spark
from tests.data.spark import spark as session  # noqa: F401
from tests.data.test_engine_spark import dirty_tables, typed_tables


def plain(days: UserDays) -> dict[str, Any]:
    values = {field.name: getattr(days, field.name) for field in fields(days)}
    return {
        name: value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value for name, value in values.items()
    }


def same(ours: UserDays, theirs: UserDays) -> None:
    """Equal in every value, order included."""
    for (name, mine), other in zip(plain(ours).items(), plain(theirs).values(), strict=True):
        if isinstance(mine, pa.Array):
            assert mine.equals(other), name
        elif mine is None:
            assert other is None, name
        else:
            assert mine.dtype == other.dtype, name
            np.testing.assert_array_equal(mine, other, err_msg=name)


def simulated(engine: Any = None, **settings: Any) -> ch.ActivityLog:
    app = simulate_app(60, seed=9)
    tables = {"balances": app.balances, "observed_until": app.observed_until, **settings}
    return ch.ActivityLog(app.events, app.users, engine=engine, **tables)


@pytest.mark.parametrize("own_balances", [False, True])
def test_days_are_those_of_the_tables(own_balances: bool) -> None:
    app = simulate_app(60, seed=9)
    log = simulated(**({} if own_balances else {"balances": None}))
    days = user_days(log, horizon=90, held=True)
    users, events = app.users, app.events
    registered = users.set_index("user_id")["registered_at"].dt.normalize()
    assert days.user_id.to_pylist() == users["user_id"].tolist()
    assert days.followed.tolist() == (pd.Timestamp(app.observed_until) - registered).dt.days.tolist()
    since = (events["event_at"].dt.normalize() - events["user_id"].map(registered)).dt.days
    active = {(user - 1, 0) for user in users["user_id"]} | {
        (user - 1, day) for user, day in zip(events["user_id"], since, strict=True) if day <= 90
    }
    assert list(zip(days.active_user, days.active_day, strict=True)) == sorted(active)
    first = since[events["kind"] == "invest"].groupby(events["user_id"]).min().reindex(users["user_id"])
    np.testing.assert_array_equal(days.invested, first.to_numpy())
    assert days.held_user is not None
    for place, user in enumerate(users["user_id"]):
        mine = days.held_user == place
        held = np.cumsum(days.held[mine])  # type: ignore[index]
        known = app.balances[app.balances["user_id"] == user]
        after = (known["date"] - registered[user]).dt.days.to_numpy()
        for day in range(0, 91, 9):
            of_table = known["balance"].to_numpy()[after <= day]
            of_days = held[days.held_day[mine] <= day]  # type: ignore[index]
            assert np.isclose(of_days[-1] if of_days.size else 0.0, of_table[-1] if of_table.size else 0.0, atol=1e-6)


@on_spark
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"balances": None, "observed_from": "2023-07-01"},
        {"balances": None, "rule": ch.ChurnRule(idle_days=14, activity=("login",))},
    ],
)
def test_spark_says_the_same_of_an_app(session: Any, settings: dict[str, Any]) -> None:  # noqa: F811
    here, there = simulated(**settings), simulated(ch.connect(spark=session), **settings)
    same(user_days(here, horizon=90, held=True), user_days(there, horizon=90, held=True))


@on_spark
def test_spark_says_the_same_of_a_dirty_log(session: Any) -> None:  # noqa: F811
    events, users = dirty_tables(5)
    typed = typed_tables(3)
    for tables, settings in (
        ((events, users), {}),
        ((events.drop(columns=["kind", "product"]), users), {"rule": ch.ChurnRule(activity=None)}),
        ((typed["events"], typed["users"]), {"balances": typed["balances"], "time_zone": "Asia/Shanghai"}),
    ):
        here = ch.ActivityLog(*tables, **settings)
        there = ch.ActivityLog(*tables, engine=ch.connect(spark=session), **settings)
        ours, theirs = user_days(here, horizon=60, held=True), user_days(there, horizon=60, held=True)
        assert ours.active_day.size > 50
        same(ours, theirs)


@on_spark
def test_the_value_of_channels_is_the_same(session: Any) -> None:  # noqa: F811
    margin = {"active_day": 0.1, "invested_day": 0.0002}
    here, there = (
        ch.channel_value(log, simulate_app(60, seed=9).costs, margin=margin, horizon=120, min_users=5)
        for log in (simulated(), simulated(ch.connect(spark=session)))
    )
    pd.testing.assert_frame_equal(here.table, there.table, check_exact=True)
    assert here.notes == there.notes
