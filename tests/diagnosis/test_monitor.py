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
    assert alarm["missing_lower"] < 0.25 * since["expected"].sum() < alarm["missing_upper"]
    assert alarm["missing_lower"] < alarm["missing"] < alarm["missing_upper"]
    assert alarm["ratio"] == pytest.approx(since["observed"].sum() / since["expected"].sum(), rel=0.05)
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
    assert together.groups["group"].tolist() == ["channel 1", "channel 2", "(small)", "(all)"]
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
    assert len(found.table["date"].unique()) == 40
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


def changed(counts: ReturnDays, returned: np.ndarray | None = None, at_risk: np.ndarray | None = None) -> ReturnDays:
    return ReturnDays(
        counts.days, counts.at_risk if at_risk is None else at_risk, counts.returned if returned is None else returned,
        counts.by, counts.idle_days, counts.complete_from, counts.groups,
    )  # fmt: skip


def first_days(counts: ReturnDays, n_days: int) -> ReturnDays:
    return ReturnDays(
        counts.days[:n_days].copy(), counts.at_risk[:, :n_days].copy(), counts.returned[:, :n_days].copy(), counts.by,
        counts.idle_days, counts.complete_from, counts.groups,
    )  # fmt: skip


def rows_of(counts: ReturnDays, names: list[str]) -> ReturnDays:
    groups = counts.groups.assign(channel=np.repeat(names, 2))
    return ReturnDays(
        counts.days, counts.at_risk, counts.returned, counts.by, counts.idle_days, counts.complete_from, groups
    )


LAUNCHED = TRAIN + GUARD + 10


@pytest.fixture(scope="module")
def long_world() -> ReturnDays:
    """340 days; channel 1 drops for good, and channel 3 is launched within the days watched."""
    counts = draw(np.random.default_rng(2), (1_500, 900, 400), 340, drop=(0, BEGIN, 0.75))
    at_risk, returned = counts.at_risk.copy(), counts.returned.copy()
    for name in (at_risk, returned):
        name[4:, :LAUNCHED] = 0
    return changed(counts, returned, at_risk)


@pytest.fixture(scope="module")
def told(long_world: ReturnDays) -> ChurnMonitor:
    return brief(long_world, day(TRAIN + GUARD))


def brief(counts: ReturnDays, first: datetime.date, **asked: Any) -> ChurnMonitor:
    return monitor_counts(counts, "channel", None, first=first, train=TRAIN, n_years=60, **asked)


# The groups are sized, and limits are made, on days 126, 130 and 298.
@pytest.mark.parametrize("n_days", [180, 213, 271, 300])
def test_what_is_said_of_a_day_does_not_change(long_world: ReturnDays, told: ChurnMonitor, n_days: int) -> None:
    """Neither with the days that follow, nor with the first day told; an alarm keeps its date."""
    early = brief(first_days(long_world, n_days), day(n_days - 28))
    assert early.first_day == day(n_days - 28)
    last = pd.Timestamp(early.last_day)
    rows = told.table[told.table["date"].between(pd.Timestamp(early.first_day), last)]
    both = early.table.merge(rows, on=["date", "group"], how="outer", suffixes=("", "_later"))
    assert len(both) == len(early.table) == len(rows) >= 3 * 28 - 28
    for name in early.table.columns[2:]:
        np.testing.assert_allclose(both[name].astype(float), both[f"{name}_later"].astype(float), rtol=1e-9)
    later = told.alarms[told.alarms["alarm_on"] <= last]
    here = later[later["ended_on"].isna() | (later["ended_on"] > pd.Timestamp(early.first_day))].reset_index(drop=True)
    assert here[["group", "alarm_on"]].to_dict() == early.alarms[["group", "alarm_on"]].to_dict()
    begun = early.alarms.set_index("group").loc["channel 1", "begun"]
    assert begun == told.alarms.set_index("group").loc["channel 1", "begun"]
    assert abs((begun - pd.Timestamp(day(BEGIN))).days) <= 2


def test_what_began_before_the_days_drawn_is_not_marked(long_world: ReturnDays, told: ChurnMonitor) -> None:
    late = brief(first_days(long_world, 213), day(185))
    assert [line for line in told.plot(group="channel 1").lines if line.get_marker() == "^"]
    assert not [line for line in late.plot(group="channel 1").lines if line.get_marker() == "^"]


def test_a_drop_for_good_is_measured_by_what_was_before_and_is_the_usual_after_train_days(
    long_world: ReturnDays, told: ChurnMonitor
) -> None:
    mine = told.table[told.table["group"] == "channel 1"].set_index("date")
    alarm = told.alarms[told.alarms["group"] == "channel 1"].iloc[0]
    lasted = (alarm["ended_on"] - alarm["alarm_on"]).days
    assert TRAIN + GUARD <= lasted < TRAIN + GUARD + 28
    before = mine[mine.index < alarm["ended_on"]].tail(60)
    assert before["observed"].sum() / before["expected"].sum() == pytest.approx(0.75, abs=0.03)
    assert any("channel 1 some expectations could not be learnt anew" in note for note in told.notes)
    after = mine[mine.index >= alarm["ended_on"]]
    assert after["observed"].sum() / after["expected"].sum() == pytest.approx(1.0, abs=0.06)
    assert not after["alarm"].any()
    assert any("The alarm of channel 1 was over on" in note for note in told.notes)


def test_a_new_group_is_not_counted_before_it_is_learnt_and_has_a_chart_of_its_own_later(told: ChurnMonitor) -> None:
    table = told.table.pivot(index="date", columns="group", values=["at_risk", "observed", "expected"])
    launched = pd.Timestamp(day(LAUNCHED))
    start = table.loc[launched : launched + pd.Timedelta(days=41)]
    for name in ("at_risk", "observed"):
        alone = start[name, "channel 1"] + start[name, "channel 2"]
        np.testing.assert_array_equal(start[name, "(all)"], alone)
    late = table.loc[pd.Timestamp(day(298)) :]
    assert late["at_risk", "channel 3"].min() > 200
    assert (late["at_risk", "(all)"] > late["at_risk", "channel 1"] + late["at_risk", "channel 2"]).all()
    assert late["observed", "channel 3"].sum() / late["expected", "channel 3"].sum() == pytest.approx(1, abs=0.06)
    assert told.groups["group"].tolist()[:3] == ["channel 1", "channel 2", "channel 3"]


def test_a_new_group_is_said_to_be_new(long_world: ReturnDays) -> None:
    found = brief(first_days(long_world, LAUNCHED + 20), day(LAUNCHED))
    assert "New, and not counted before 28 days are there to learn from: channel 3." in found.notes


def test_one_chart_has_carriers_from_its_first_day() -> None:
    counts = draw(np.random.default_rng(3), (1_500, 900), TRAIN + GUARD + 30, drop=(0, TRAIN + GUARD + 20, 0.4))
    stages = counts.groups.assign(stage=["old", "new", "old", "new"])[["stage", "registration_gap"]]
    counts = ReturnDays(
        counts.days, counts.at_risk, counts.returned, ("stage", "registration_gap"), counts.idle_days,
        counts.complete_from, stages,
    )  # fmt: skip
    for n_days in (TRAIN + GUARD + 21, TRAIN + GUARD + 30):
        found = monitor_counts(
            first_days(counts, n_days), None, "stage", first=day(TRAIN + GUARD), train=TRAIN, n_years=60
        )
        (alarm,) = found.alarms.to_dict("records")
        assert (alarm["group"], alarm["alarm_on"]) == ("(all)", alarm["begun"])
        assert found.carriers["expected"].gt(0).all()
        assert set(found.carriers["value"]) == {"old", "new"}
        assert found.carriers["missing"].sum() == pytest.approx(alarm["missing"])


def test_values_may_not_have_the_names_of_groups_together() -> None:
    counts = draw(np.random.default_rng(3), (900, 500, 60), TRAIN + GUARD + 20)
    for name in ("(all)", "(small)"):
        with pytest.raises(InputError, match=rf"'channel' has the value '\{name[:-1]}\)'.*Rename it"):
            watched(rows_of(counts, ["a", name, "c"]))
    found = watched(rows_of(counts, ["other", "b", "c"]))
    assert found.groups["group"].tolist() == ["other", "b", "(all)"]
    assert not found.table.duplicated(["date", "group"]).any()


def test_a_holiday_is_judged_only_by_days_that_were_learnt() -> None:
    counts = draw(np.random.default_rng(5), (2_000, 1_200), TRAIN + GUARD + 28)
    seen, coming = 60, TRAIN + GUARD + 8
    events = [Event(day(place), day(place), f"day {place}", "holiday") for place in (seen, coming)]
    halved, closed = counts.returned.copy(), counts.returned.copy()
    halved[:, [seen, coming]] //= 3
    closed[:, seen] = 0
    learnt = watched(changed(counts, halved), events=events)
    assert learnt.table["judged"].all()
    unseen = watched(changed(counts, halved), events=events, leave_out=[day(seen)])
    for found in (unseen, watched(changed(counts, closed), events=events)):
        assert found.alarms.empty
        row = found.table[(found.table["group"] == "channel 1") & (found.table["date"] == pd.Timestamp(day(coming)))]
        assert not row["judged"].any()
        assert row["expected"].iloc[0] > 80
        assert set(found.table.loc[~found.table["judged"], "date"]) == {pd.Timestamp(day(coming))}


def test_a_rise_that_lasts_is_a_new_level_and_blinds_no_chart() -> None:
    n_days, rise, drop = 300, TRAIN + GUARD + 15, TRAIN + GUARD + 110
    counts = draw(np.random.default_rng(6), (2_000,), n_days, drop=(0, rise, 1.4))
    returned = counts.returned.copy()
    returned[:, drop:] = np.random.default_rng(1).binomial(returned[:, drop:], 0.75)
    found = brief(changed(counts, returned), day(TRAIN + GUARD))
    table = found.table.set_index("date")
    assert table["limit"].max() < 2 * table["limit"].iloc[0]
    settled = table.loc[pd.Timestamp(day(rise + 75)) : pd.Timestamp(day(drop - 1))]
    assert settled["observed"].sum() / settled["expected"].sum() == pytest.approx(1.0, abs=0.06)
    (alarm,) = found.alarms.to_dict("records")
    assert 0 <= (alarm["alarm_on"] - pd.Timestamp(day(drop))).days <= 4
    risen = brief(first_days(counts, drop), day(TRAIN + GUARD))
    said = "Returns of channel 1 have been higher since "
    (since,) = (note.removeprefix(said)[:10] for note in risen.notes if note.startswith(said))
    assert abs((datetime.date.fromisoformat(since) - day(rise)).days) <= 3


def test_too_little_to_learn_from_is_said() -> None:
    counts = draw(np.random.default_rng(7), (900, 500), TRAIN + GUARD + 20)
    all_but_few = [day(place) for place in range(TRAIN + GUARD + 20) if not 30 <= place < 80]
    with pytest.raises(InputError, match=r"50 days to learn from.*at least 56 are needed"):
        watched(counts, leave_out=all_but_few)
    # Days that were never loaded say nothing about how many return.
    few = draw(np.random.default_rng(7), (110,), TRAIN + GUARD + 20)
    returned = few.returned.copy()
    returned[:, 5:50] = 0
    with pytest.raises(InputError, match="users a day return in the days to learn from"):
        watched(changed(few, returned))
    found = watched(changed(few, returned), leave_out=[day(place) for place in range(5, 50)])
    assert len(found.table) == 20
    # Where the first days are too few, it is watched from a later day on.
    later = draw(np.random.default_rng(7), (900, 500), TRAIN + GUARD + 80)
    found = watched(later, leave_out=[day(place) for place in range(70)])
    assert found.first_day > day(TRAIN + GUARD)
    assert found.notes[0].startswith(f"Watched from {found.first_day} on")


def test_few_false_alarms_are_held_by_limits_beyond_the_years_simulated() -> None:
    counts = draw(np.random.default_rng(7), (900, 500), TRAIN + GUARD + 20)
    usual, rare = watched(counts), watched(counts, false_alarms=0.01)
    assert not any("exponential tail" in note for note in usual.notes)
    assert any("exponential tail" in note for note in rare.notes)
    # A hundred times fewer: log 100 for a chart whose law is known, more for one whose law is not.
    assert (rare.groups["limit"] - usual.groups["limit"]).gt(0.8 * np.log(100)).all()


def test_a_limit_that_is_renewed_lower_raises_no_alarm_by_itself() -> None:
    """A chart is carried on in units of its limit; days left out leave it where it is."""
    counts = draw(np.random.default_rng(11), (1_500, 900), 310, day=0.15)
    returned = counts.returned.copy()
    returned[:, 298:304] //= 2
    found = brief(changed(counts, returned), day(250), leave_out=[day(place) for place in range(298, 304)])
    for _, rows in found.table.groupby("group"):
        unjudged = rows[~rows["judged"]]
        assert len(unjudged) == 6
        before = rows[rows["date"] < unjudged["date"].min()].iloc[-1]
        assert before["limit"] != unjudged["limit"].iloc[0]
        assert unjudged["alarm"].eq(before["alarm"]).all()
        np.testing.assert_allclose(unjudged["cusum"] / unjudged["limit"], before["cusum"] / before["limit"])


def test_days_and_numbers_as_they_come(log: ActivityLog, of_log: ChurnMonitor) -> None:
    asked: dict[str, Any] = ASKED | {"watch": 7, "by": None, "by_stage": False, "until": np.datetime64("2025-06-20")}
    one = datetime.date(2025, 6, 15)
    same = [
        churn_monitor(log, **asked, leave_out=out, false_alarms=alarms, smallest_drop=drop).to_json()
        for out, alarms, drop in (
            ([one], 1.0, 0.2), (str(one), np.int64(1), np.float64(0.2)), (np.array([one], "datetime64[ns]"), 1, 0.2),
        )
    ]  # fmt: skip
    assert same == same[:1] * 3
    outside = churn_monitor(log, **asked, leave_out=pd.Timestamp("2030-01-01"))
    assert outside.notes[0].startswith("1 day to leave out, outside 2022-07-01 to 2025-06-20: 2030-01-01.")
    assert outside.table.equals(churn_monitor(log, **asked, leave_out=None).table)
    for until in (pd.NaT, np.datetime64("NaT"), np.datetime64("2025-06-20T12:00")):
        with pytest.raises(InputError, match="until"):
            churn_monitor(log, **(asked | {"until": until}))
    with pytest.raises(InputError, match="leave_out is a day that is missing"):
        churn_monitor(log, **asked, leave_out=[pd.NaT])
    with pytest.raises(InputError, match="There is no chart of '5'"):
        of_log.plot(group=5)  # type: ignore[arg-type]


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
