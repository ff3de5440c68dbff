"""Whose midnight ends a day: naive times, aware times, dates and text, through changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churnsurv.data import ActivityLog, connect
from churnsurv.data.clock import Clock
from churnsurv.errors import InputError, SchemaError
from tests.data.small import events_of, users_of

ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia")


def days(values: pa.Array, clock: Clock) -> list[Any]:
    with connect() as engine:
        moments = engine.register("moments", pa.table({"moment": values}))
        kind = engine.describe(moments)["moment"]
        steps = clock.moment("moment", kind, "x")
        columns = "".join(f", {sql} AS {column}" for column, sql in steps.columns.items())
        return [row[0] for row in engine.rows(f"SELECT {steps.day} FROM (SELECT *{columns} FROM {moments})")]


def test_one_expression_says_the_same() -> None:
    with connect() as engine:
        texts = ["2024-05-01 18:00", "2024-05-01", "2024-05-01 10:00Z", "x"]
        moments = engine.register("moments", pa.table({"moment": texts}))
        day = Clock("UTC", "Asia/Shanghai").day("moment", "VARCHAR", "x")
        found = [row[0] and row[0].day for row in engine.rows(f"SELECT {day} FROM {moments}")]
    assert found == [2, 1, 1, None]


def around_changes(zone: str) -> list[datetime]:
    """Random moments, and every quarter of an hour around the changes of a year, in UTC without zone."""
    rng = np.random.default_rng(20)
    start = datetime(1970, 1, 1)
    some = [start + timedelta(seconds=int(second)) for second in rng.integers(640_000_000, 2_800_000_000, 500)]
    info, found, hour = ZoneInfo(zone), [], datetime(2011, 1, 1, tzinfo=UTC)
    for _ in range(366 * 24):
        if hour.astimezone(info).utcoffset() != (hour + timedelta(hours=1)).astimezone(info).utcoffset():
            found += [hour.replace(tzinfo=None) + timedelta(minutes=15 * quarter - 2_880) for quarter in range(400)]
        hour += timedelta(hours=1)
    return some + found


@pytest.mark.parametrize("zone", ZONES)
def test_aware_times_are_converted(zone: str) -> None:
    moments = around_changes(zone)
    expected = [at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() for at in moments]
    assert days(pa.array(moments, pa.timestamp("us", tz="UTC")), Clock("UTC", zone)) == expected
    assert days(pa.array(moments, pa.timestamp("ns", tz="Asia/Tokyo")), Clock("Asia/Tokyo", zone)) == expected


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("target", ["UTC", "America/New_York", "Asia/Shanghai"])
def test_naive_times_are_in_the_zone_of_timestamps(zone: str, target: str) -> None:
    moments = around_changes(zone)
    own, other = ZoneInfo(zone), ZoneInfo(target)
    expected = [at.replace(tzinfo=own).astimezone(UTC).astimezone(other).date() for at in moments]
    if zone == target:
        expected = [at.date() for at in moments]
    for unit in ("us", "ms", "ns", "s"):
        moments = [at.replace(microsecond=0) for at in moments]
        assert days(pa.array(moments, pa.timestamp(unit)), Clock(zone, target)) == expected


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_the_last_nanosecond_of_a_day_is_still_that_day(zone: str | None) -> None:
    last = pa.array([1_704_499_199_999_999_999], pa.int64()).cast(pa.timestamp("ns", tz=zone))
    assert [str(day) for day in days(last, Clock("UTC", "UTC"))] == ["2024-01-05"]


def test_dates_stand_as_they_are() -> None:
    values = pa.array([datetime(2024, 3, 10).date(), None], pa.date32())
    assert days(values, Clock("Asia/Shanghai", "America/New_York")) == values.to_pylist()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        # A date as it stands; a time in New York; a time with a zone; all as days of Shanghai.
        ("2024-05-01", "2024-05-01"),
        ("2024-5-1", "2024-05-01"),
        ("2024/05/01", "2024-05-01"),
        (" 2024-05-01 ", "2024-05-01"),
        ("2024-05-01 11:59", "2024-05-01"),
        ("2024-05-01 12:00", "2024-05-02"),
        ("2024-05-01T12:00:00", "2024-05-02"),
        ("2024-05-01 12:00:00", "2024-05-02"),
        ("2024-01-01 11:59:59.999", "2024-01-02"),
        ("2024-05-01T15:59:59Z", "2024-05-01"),
        ("2024-05-01T16:00:00Z", "2024-05-02"),
        ("2024-05-01 16:00:00 UTC", "2024-05-02"),
        ("2024-05-01T23:59:00+08:00", "2024-05-01"),
        ("2024-05-01 23:59:00+0800", "2024-05-01"),
        ("2024-05-01 10:00 -06:00", "2024-05-02"),
        ("2024-05-01T10:00-05", "2024-05-01"),
        ("2024-05-01 18:00:00 Europe/Paris", "2024-05-02"),
        ("2024-05-01T12:00:00.123456", "2024-05-02"),
        ("2024-05-01 10:00 PM", None),
        ("2024-13-01", None),
        ("2024-02-30 10:00", None),
        ("20240501", None),
        ("01/05/2024", None),
        ("epoch", None),
        ("-infinity", None),
        ("2024-05-01 and more", None),
        ("12:00", None),
    ],
)
def test_text_is_read_row_by_row(text: str, day: str | None) -> None:
    clock = Clock("America/New_York", "Asia/Shanghai")
    assert [found and str(found) for found in days(pa.array([text]), clock)] == [day]


def test_a_log_of_every_kind_of_time_at_once() -> None:
    # 23:30 in Shanghai on 5 January is 15:30 UTC; half an hour later it is 6 January there.
    users = users_of(dict.fromkeys(range(4), "2024-01-01"))
    events = events_of(
        [
            (0, "2024-01-05"),
            (1, "2024-01-05 15:30"),
            (2, "2024-01-05T16:00Z"),
            (3, "2024-01-06T00:30+09:00"),
        ]
    )
    log = ActivityLog(events, users, time_zone="Asia/Shanghai", observed_until="2024-01-20")
    assert log.churn_spells().table["last_activity"].dt.day.tolist() == [5, 5, 6, 5]
    assert "days of Asia/Shanghai, times without zone in UTC" in repr(log)
    assert "days of Asia/Shanghai, times without zone in UTC" in repr(log.churn_spells())


def test_typed_and_text_times_agree_where_a_zone_has_an_hour_twice() -> None:
    # On 3 November 2024 New York has 01:30 twice; the first of them is 05:30 UTC, 13:30 in Shanghai.
    clock = Clock("America/New_York", "Pacific/Kiritimati")
    moment = datetime(2024, 11, 3, 1, 30)
    typed = days(pa.array([moment], pa.timestamp("us")), clock)
    assert days(pa.array(["2024-11-03 01:30"]), clock) == typed


def test_pandas_times_with_a_zone() -> None:
    at = pd.to_datetime(["2024-01-05 23:30", "2024-01-06 00:30"]).tz_localize("Asia/Shanghai")
    events = pd.DataFrame({"user_id": [1, 2], "event_at": at, "kind": "login"})
    log = ActivityLog(events, users_of({1: "2024-01-01", 2: "2024-01-01"}), observed_until="2024-01-20")
    assert log.churn_spells().table["last_activity"].dt.day.tolist() == [5, 5]


def test_times_of_day_and_numbers_are_refused() -> None:
    for kind in ("TIME", "BIGINT", "BOOLEAN", "DOUBLE"):
        with pytest.raises(SchemaError, match=rf"events: 'event_at' has type {kind}.*unit='s'"):
            Clock("UTC", "UTC").moment("x", kind, "events: 'event_at'")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", 8, "../etc/passwd"])
def test_unknown_zones(zone: Any) -> None:
    with pytest.raises(InputError, match=r"time_zone: there is no time zone"):
        Clock("UTC", zone)
