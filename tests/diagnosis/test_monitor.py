"""The churn monitor: what it expects, what it leaves out, and what it says of a drop."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog
from churnsurv.data.return_days import ReturnDays, return_days
from churnsurv.diagnosis.calendar import Event
from churnsurv.diagnosis.monitor import ChurnMonitor, churn_monitor, monitor_counts
from churnsurv.errors import InputError, SchemaError
from churnsurv.simulation import SimulatedApp, simulate_app
from churnsurv.tables import schema
from tests.slow.churn_monitor import FIRST, draw

TRAIN, GUARD, WATCH = 112, 14, 70
SIZES = (2_000, 1_200, 90, 60)
BEGIN = TRAIN + GUARD + 20


def day(place: int) -> datetime.date:
    return FIRST + datetime.timedelta(days=place)


def world(seed: int = 1, **settings: Any) -> ReturnDays:
    return draw(np.random.default_rng(seed), SIZES, TRAIN + GUARD + WATCH, **settings)


def watched(counts: ReturnDays, **asked: Any) -> ChurnMonitor:
    return monitor_counts(counts, "channel", None, first=day(TRAIN + GUARD), train=TRAIN, n_years=100, **asked)


@pytest.fixture(scope="module")
def dropped() -> tuple[ReturnDays, ChurnMonitor]:
    counts = world(drop=(1, BEGIN, 0.75))
    return counts, watched(counts)


@pytest.fixture(scope="module")
def app() -> SimulatedApp:
    return simulate_app(900, seed=4, campaigns=())


@pytest.fixture(scope="module")
def log(app: SimulatedApp) -> ActivityLog:
    return app.log


ASKED: dict[str, Any] = {"train": 120, "watch": 40, "min_users": 40}


@pytest.fixture(scope="module")
def of_log(log: ActivityLog) -> ChurnMonitor:
    return churn_monitor(log, **ASKED)


def test_a_drop_is_found_where_it_is(dropped: tuple[ReturnDays, ChurnMonitor]) -> None:
    counts, found = dropped
    alarm = found.alarms[found.alarms["group"] == "channel 2"].iloc[0]
    begins = pd.Timestamp(day(BEGIN))
    assert alarm["begun_lower"] <= begins <= alarm["begun_upper"]
    assert 0 <= (alarm["alarm_on"] - begins).days <= 4
    assert pd.isna(alarm["ended_on"])
    assert alarm["lower"] < 0.75 < alarm["upper"] < 0.9
    assert alarm["after_lower"] < 0.75 < alarm["after_upper"]
    assert alarm["after_days"] == (pd.Timestamp(day(TRAIN + GUARD + WATCH - 1)) - alarm["alarm_on"]).days
    assert found.open_alarms["group"].tolist() == ["channel 2"]
    table = found.table[found.table["group"] == "channel 2"]
    since = table[table["date"] >= alarm["begun"]]
    assert alarm["missing"] == pytest.approx(since["expected"].sum() - since["observed"].sum())
    assert alarm["ratio"] == pytest.approx(since["observed"][:999].sum() / since["expected"].sum(), rel=0.05)
    observed = counts.returned[2:4, TRAIN + GUARD :].sum(axis=(0, 2))
    np.testing.assert_array_equal(table["observed"], observed)
    np.testing.assert_array_equal(table["at_risk"], counts.at_risk[2:4, TRAIN + GUARD :].sum(axis=(0, 2)))
    assert "channel 2 since" in repr(found)


def test_what_has_an_alarm_is_not_learnt_from(dropped: tuple[ReturnDays, ChurnMonitor]) -> None:
    """The last fit has days of the drop in its window; it expects what it did without, of those at risk then."""
    _, found = dropped
    table = found.table[found.table["group"] == "channel 2"]
    last = table.tail(14)
    assert last["ratio"].mean() == pytest.approx(0.75, abs=0.05)
    before = table[table["date"] < pd.Timestamp(day(BEGIN))]
    assert before["ratio"].mean() == pytest.approx(1.0, abs=0.05)


def test_small_groups_are_pooled_and_said(dropped: tuple[ReturnDays, ChurnMonitor]) -> None:
    _, found = dropped
    assert found.groups["group"].tolist() == ["channel 1", "channel 2", "(all)"]
    assert any("channel 3, channel 4; too few even together" in note for note in found.notes)
    together = watched(world(), min_users=120)
    assert together.groups["group"].tolist() == ["channel 1", "channel 2", "other", "(all)"]
    assert together.groups["pooled"].tolist()[2] == "channel 3, channel 4"
    assert together.groups["false_alarms"].tolist() == [0.25] * 4
    # Smaller charts find the same drop later.
    assert together.groups["half_found"].tolist()[:3] == sorted(together.groups["half_found"].tolist()[:3])
    whole = together.table.groupby(together.table["group"] == "(all)")[["expected", "observed", "at_risk"]].sum()
    np.testing.assert_allclose(whole.loc[True], whole.loc[False])


def test_no_change_no_alarm_and_the_same_again() -> None:
    one, other = watched(world(5)), watched(world(5))
    assert one.alarms.empty
    assert one.carriers.empty
    assert one.to_json() == other.to_json()
    assert repr(one).startswith("<ChurnMonitor: no alarm in 70 days")
    judged = one.table[one.table["group"] == "(all)"]
    inside = judged["observed"].between(judged["lower"], judged["upper"]).mean()
    assert inside > 0.88
    assert one.table["cusum"].ge(0).all()
    assert not one.table["alarm"].any()


def test_days_left_out_are_neither_learnt_nor_judged() -> None:
    counts = world(5)
    returned = counts.returned.copy()
    half = [TRAIN + GUARD + 10, 50]
    returned[:, half] //= 3
    spoilt = ReturnDays(
        counts.days, counts.at_risk, returned, counts.by, counts.idle_days, counts.complete_from, counts.groups
    )
    alarmed = watched(spoilt)
    assert set(alarmed.alarms["alarm_on"]) == {pd.Timestamp(day(half[0]))}
    fine = watched(spoilt, leave_out=[day(place) for place in half])
    assert fine.alarms.empty
    unjudged = fine.table[~fine.table["judged"]]
    assert set(unjudged["date"]) == {pd.Timestamp(day(half[0]))}
    assert any("2 days left out as asked" in note for note in fine.notes)
    clean = watched(counts, leave_out=[day(place) for place in half])
    np.testing.assert_allclose(fine.table["expected"], clean.table["expected"])


def test_holidays_are_like_no_other_day() -> None:
    """A holiday that was seen has an effect of its own; of one that was not nothing is said."""
    counts = world(5)
    seen, coming = [30, 31, 60, 61], [TRAIN + GUARD + 8, TRAIN + GUARD + 9]

    def halved(places: list[int]) -> ReturnDays:
        returned = counts.returned.copy()
        returned[:, places] //= 2
        return ReturnDays(
            counts.days, counts.at_risk, returned, counts.by, counts.idle_days, counts.complete_from, counts.groups
        )

    assert set(watched(halved(coming)).alarms["alarm_on"]) == {pd.Timestamp(day(coming[0]))}
    spoilt = halved(seen + coming)
    known = [Event(day(place), day(place), f"day {place}", "holiday") for place in (*seen, *coming)]
    found = watched(spoilt, events=known)
    assert found.alarms.empty
    rows = found.table[(found.table["group"] == "(all)") & (found.table["date"] == pd.Timestamp(day(coming[0])))]
    assert rows["ratio"].iloc[0] == pytest.approx(1.0, abs=0.25)
    unknown = watched(spoilt, events=[Event(day(place), day(place), "new", "new") for place in coming])
    assert unknown.alarms.empty
    assert (~unknown.table["judged"]).sum() == 3 * 2
    assert any("2 days watched are not judged" in note and "(new)" in note for note in unknown.notes)


def test_a_change_of_all_is_told_by_all_and_carried_by_each() -> None:
    counts = world(8)
    returned = counts.returned.copy()
    returned[:, BEGIN:] = np.random.default_rng(1).binomial(returned[:, BEGIN:], 0.75)
    everywhere = ReturnDays(
        counts.days, counts.at_risk, returned, counts.by, counts.idle_days, counts.complete_from, counts.groups
    )
    found = watched(everywhere)
    first = found.alarms[found.alarms["alarm_on"] <= pd.Timestamp(day(BEGIN + 4))]
    assert {"channel 1", "channel 2"} <= set(first["group"])


def test_carriers_add_up(dropped: tuple[ReturnDays, ChurnMonitor]) -> None:
    counts, _ = dropped
    stages = counts.groups["registration_gap"].map({False: "later", True: "new"})
    split = ReturnDays(
        counts.days, counts.at_risk, counts.returned, ("channel", "stage", "registration_gap"), counts.idle_days,
        counts.complete_from, pd.DataFrame({"channel": counts.groups["channel"], "stage": stages,
                                            "registration_gap": counts.groups["registration_gap"]}),
    )  # fmt: skip
    found = monitor_counts(split, "channel", "stage", first=day(TRAIN + GUARD), train=TRAIN, n_years=100)
    alarm = found.alarms[found.alarms["group"] == "channel 2"].iloc[0]
    carried = found.carriers[
        (found.carriers["group"] == "channel 2") & (found.carriers["alarm_on"] == alarm["alarm_on"])
    ]
    assert carried["split"].unique().tolist() == ["stage"]
    assert set(carried["value"]) == {"later", "new"}
    assert carried["share"].sum() == pytest.approx(1.0)
    assert carried["missing"].sum() == pytest.approx(alarm["missing"])
    assert carried["missing"].is_monotonic_decreasing
    assert (carried["lower"] < carried["ratio"]).all()
    # Both stages drop alike, so that the larger one carries more.
    assert carried["value"].iloc[0] == "later"


def test_from_the_log(log: ActivityLog, of_log: ChurnMonitor) -> None:
    found = of_log
    assert str(found.last_day) == str(log.observed_until)
    assert 40 <= len(found.table["date"].unique()) < 40 + 28
    assert (found.first_day - datetime.date(1970, 1, 1)).days % 28 == 0
    together = found.table[found.table["group"] == "(all)"]
    counts = return_days(log, first=found.first_day)
    np.testing.assert_array_equal(together["observed"], counts.returned.sum(axis=(0, 2)))
    np.testing.assert_array_equal(together["at_risk"], counts.at_risk.sum(axis=(0, 2)))
    for name, table in (
        ("churn_monitor", found.table), ("churn_monitor_alarms", found.alarms),
        ("churn_monitor_carriers", found.carriers), ("churn_monitor_groups", found.groups),
    ):  # fmt: skip
        assert tuple(table.columns) == schema(name).names
    plain = json.loads(found.to_json())
    assert plain["schema"] == {"name": "churn_monitor", "version": 1}
    assert plain["facts"]["groups"]["group"][-1] == "(all)"
    assert found.plot().get_figure() is not None


def test_nothing_after_the_last_day_is_looked_at(log: ActivityLog) -> None:
    until = log.observed_until - datetime.timedelta(days=25)
    asked: dict[str, Any] = ASKED | {"watch": 15, "by": "device"}
    early, late = churn_monitor(log.as_of(until), **asked), churn_monitor(log, **asked, until=until)
    assert early.to_json() == late.to_json()
    assert late.last_day == until
    next_days = churn_monitor(log, **asked, until=until + datetime.timedelta(days=4)).table
    common = late.table.merge(next_days, on=["date", "group"], suffixes=("", "_later"))
    assert len(common) >= 11 * 2
    for name in ("expected", "cusum", "limit", "alarm"):
        np.testing.assert_array_equal(common[name], common[f"{name}_later"])


def test_a_half_loaded_day_is_left_out_when_it_is_said_not_to_be_ready(app: SimulatedApp) -> None:
    """`until` is the last day that is there in full; watched all the same, the day looks like a drop."""
    last, events = app.observed_until, app.events
    half = events[~((events["event_at"].dt.date == last) & (np.arange(len(events)) % 8 > 0))]
    cut = ActivityLog(half, app.users, observed_from=app.observed_from, observed_until=last)
    asked: dict[str, Any] = ASKED | {"watch": 20, "by": None, "by_stage": False}
    watched_too = churn_monitor(cut, **asked).table.iloc[-1]
    assert watched_too["observed"] < watched_too["lower"]
    assert watched_too["cusum"] > 0
    found = churn_monitor(cut, **asked, until=last - datetime.timedelta(days=1))
    assert found.table["date"].max() == pd.Timestamp(last - datetime.timedelta(days=1))
    whole = churn_monitor(app.log, **asked, until=last - datetime.timedelta(days=1))
    assert found.to_json() == whole.to_json()


def test_without_channel_or_stage(log: ActivityLog) -> None:
    users = pd.DataFrame({"user_id": range(300), "registered_at": "2024-01-01"})
    events = pd.DataFrame(
        [(user, f"2024-{month:02}-{day:02}", "login") for user in range(300) for month in range(1, 7)
         for day in range(1 + user % 9, 29, 9)], columns=["user_id", "event_at", "kind"],
    )  # fmt: skip
    plain = ActivityLog(events, users)
    found = churn_monitor(plain, train=60, watch=30, min_users=10)
    assert found.by is None
    assert found.groups["group"].tolist() == ["(all)"]
    assert "no column 'channel'" in found.notes[0]


def test_wrong_questions(log: ActivityLog) -> None:
    with pytest.raises(InputError, match=r"no history of 1200 days to learn from before the first day watched"):
        churn_monitor(log, train=1200)
    with pytest.raises(SchemaError, match="chanel"):
        churn_monitor(log, "chanel")
    with pytest.raises(InputError, match="until must be a day of the log"):
        churn_monitor(log, until="2030-01-01")
    with pytest.raises(InputError, match="train must be a whole number of days, 56 or more"):
        churn_monitor(log, train=20)
    for asked in ({"smallest_drop": 1.2}, {"false_alarms": 0}, {"min_users": 0}, {"seed": -1}):
        with pytest.raises(InputError, match=f"{next(iter(asked))} must be"):
            churn_monitor(log, **asked)
    few = ActivityLog(
        pd.DataFrame({"user_id": [1, 1], "event_at": ["2024-02-01", "2024-12-30"], "kind": "login"}),
        pd.DataFrame({"user_id": [1], "registered_at": ["2024-01-01"]}),
    )
    with pytest.raises(InputError, match="users a day return in the days to learn from"):
        churn_monitor(few, by=None, train=60)
