from __future__ import annotations

import json
import warnings
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.diagnosis.bursts import CohortBursts, cohort_bursts
from churnsurv.diagnosis.calendar import read_calendar
from churnsurv.tables import schema

FIRST = pd.Timestamp("2024-01-01")
CALENDAR = pd.DataFrame(
    {
        "name": ["spring", "fair", "quiet"],
        "start": ["2024-02-08", "2024-03-10", "2024-04-01"],
        "end": ["2024-02-12", "2024-03-10", "2024-04-02"],
        "kind": ["campaign", "holiday", None],
    }
)


def counts_of(n_days: int = 120) -> np.ndarray:
    """Two bursts: days 40 to 43 (10 to 13 February), and day 72 (13 March)."""
    counts = np.random.default_rng(0).poisson(6, n_days)
    counts[40:44] += 25
    counts[72] += 30
    return counts


def tables(counts: np.ndarray, *, seed: int = 1, channels: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Users registered so often, half of whom come back once; users of days 40 to 43 come back less."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(counts.size), counts)
    users = pd.DataFrame({"user_id": np.arange(day.size), "registered_at": FIRST + pd.to_timedelta(day, unit="D")})
    if channels:
        users["channel"] = rng.choice(["a", "b", "c"], day.size, p=[0.5, 0.3, 0.2])
    again = rng.random((day.size, 5)) < np.where((day >= 40) & (day < 44), 0.5, 0.8)[:, None]
    steps = [pd.DataFrame({"user_id": users["user_id"][again[:, k]], "after": 8 * (k + 1)}) for k in range(5)]
    visits = pd.concat(steps).merge(users[["user_id", "registered_at"]])
    events = visits.assign(event_at=visits["registered_at"] + pd.to_timedelta(visits["after"], unit="D"), kind="login")
    return events[["user_id", "event_at", "kind"]], users


def log_of(events: pd.DataFrame, users: pd.DataFrame, **settings: Any) -> ch.ActivityLog:
    return ch.ActivityLog(events, users, **{"observed_until": "2024-07-31", **settings})


@cache
def log() -> ch.ActivityLog:
    return log_of(*tables(counts_of()))


@cache
def bursts() -> CohortBursts:
    return cohort_bursts(log(), calendar=CALENDAR)


def days_of(found: CohortBursts) -> list[tuple[str, str]]:
    table = found.table
    return [(str(s.date()), str(e.date())) for s, e in zip(table["start"], table["end"], strict=True)]


def test_consecutive_days_are_one_burst_and_counts_are_exact() -> None:
    table = bursts().table
    assert days_of(bursts()) == [("2024-02-10", "2024-02-13"), ("2024-03-13", "2024-03-13")]
    assert table["registrations"].tolist() == [counts_of()[40:44].sum(), counts_of()[72]]
    assert table["unit"].tolist() == ["day", "day"]
    assert (table["excess"] == table["registrations"] - table["expected"]).all()
    assert (table["ratio"] == table["registrations"] / table["expected"]).all()
    assert (table["excess_lower"] < table["excess"]).all()
    assert (table["excess"] < table["excess_upper"]).all()
    assert (table["excess_upper"] <= table["registrations"]).all()
    days = bursts().days
    assert days["registrations"].tolist() == counts_of().tolist()
    for row in table.itertuples():
        inside = days[(days["date"] >= row.start) & (days["date"] <= row.end)]
        assert inside["burst"].all()
        assert row.expected == pytest.approx(inside["expected"].sum(), rel=1e-9)
        assert row.p_value == inside["p_value"].min()
        assert row.adjusted_p_value == inside["adjusted_p_value"].min() <= 0.05


def test_events_match_within_the_tolerance() -> None:
    """Spring (8 to 12 February) overlaps; the fair (10 March) misses 13 March by three days."""
    assert bursts().table["event"].tolist() == ["spring", "fair"]
    assert bursts().table["event_kind"].tolist() == ["campaign", "holiday"]
    assert cohort_bursts(log(), calendar=CALENDAR, tolerance=2).table["event"].tolist() == ["spring", None]
    notes = " ".join(bursts().notes)
    assert "2 of 2 bursts lie within 3 days of an event" in notes
    # 5 + 6, 1 + 6 and 2 + 6 days of 120 lie within three days of an event.
    assert "so do 22 % of all days" in notes
    assert "No burst near 1 of 3 events in these days: 'quiet'" in notes
    two = pd.DataFrame({"name": ["x", "y", "x"], "date": ["2024-02-13", "2024-02-10", "2024-02-14"]})
    assert cohort_bursts(log(), calendar=two, tolerance=0).table["event"].tolist() == ["y; x", None]


def test_the_hazard_table_is_that_of_cox_called_by_hand() -> None:
    users = log().churn_spells().table
    day = users["origin"]
    in_first, in_second = day.between("2024-02-10", "2024-02-13"), day == "2024-03-13"
    users["together"] = np.where(in_first | in_second, "x burst", "none")
    users["each"] = np.select([in_first, in_second], ["x1", "x2"], "none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ch.ChurnsurvWarning)
        one = ch.cox("together + channel", users, entry="entry", reference={"together": "none"}).table
        two = ch.cox("each + channel", users, entry="entry", reference={"each": "none"}).table
    numbers = ["estimate", "std_error", "hazard_ratio", "hr_lower", "hr_upper", "p_value"]
    hazard = bursts().hazard
    assert hazard["term"].tolist() == [
        "burst: any burst", "channel: b", "channel: c", "burst: 2024-02-10 to 2024-02-13", "burst: 2024-03-13",
    ]  # fmt: skip
    assert np.allclose(hazard[numbers].iloc[:3], one[numbers], rtol=1e-10, atol=0)
    assert np.allclose(hazard[numbers].iloc[3:], two[numbers].iloc[:2], rtol=1e-10, atol=0)
    assert hazard["hazard_ratio"].iloc[3] > 1.3
    assert any("association" in note for note in bursts().notes)


def test_groups_are_counted_in_each_burst() -> None:
    _, users = tables(counts_of())
    groups = bursts().groups
    first = users[users["registered_at"].between("2024-02-10", "2024-02-13")]
    expected = first["channel"].value_counts().sort_index()
    mine = groups[groups["start"] == "2024-02-10"]
    assert mine["group"].tolist() == ["a", "b", "c"]
    assert mine["registrations"].tolist() == expected.tolist()
    assert mine["share"].sum() == pytest.approx(1)
    assert ((mine["share_lower"] < mine["share"]) & (mine["share"] < mine["share_upper"])).all()
    inside = users["registered_at"].between("2024-02-10", "2024-02-13") | (users["registered_at"] == "2024-03-13")
    assert mine["share_outside"].iloc[0] == pytest.approx((users.loc[~inside, "channel"] == "a").mean())


def test_the_order_of_rows_and_the_names_of_users_change_nothing() -> None:
    events, users = tables(counts_of())
    shuffled = cohort_bursts(
        log_of(events.sample(frac=1, random_state=3), users.sample(frac=1, random_state=4)), calendar=CALENDAR[::-1]
    )
    pd.testing.assert_frame_equal(shuffled.table, bursts().table)
    pd.testing.assert_frame_equal(shuffled.hazard, bursts().hazard)
    assert shuffled.notes == bursts().notes
    other = cohort_bursts(
        log_of(events.assign(user_id=9999 - events["user_id"]), users.assign(user_id=9999 - users["user_id"]))
    )
    pd.testing.assert_frame_equal(other.days, bursts().days)


def test_days_are_those_of_the_time_zone() -> None:
    """Registered at 20:00 UTC: in Shanghai that is 4:00 of the next day."""
    events, users = tables(counts_of(), channels=False)
    users["registered_at"] += pd.Timedelta(hours=20)
    events["event_at"] += pd.Timedelta(hours=20)
    moved = cohort_bursts(log_of(events, users, time_zone="Asia/Shanghai"))
    assert days_of(moved) == [("2024-02-11", "2024-02-14"), ("2024-03-14", "2024-03-14")]
    assert days_of(cohort_bursts(log_of(events, users))) == days_of(bursts())


def test_as_of_a_day_nothing_later_is_known() -> None:
    events, users = tables(counts_of())
    cut = pd.Timestamp("2024-03-01")
    early = log_of(events[events["event_at"] <= cut], users[users["registered_at"] <= cut], observed_until=cut.date())
    known = cohort_bursts(log().as_of("2024-03-01"), calendar=CALENDAR)
    assert days_of(known) == [("2024-02-10", "2024-02-13")]
    pd.testing.assert_frame_equal(known.days, cohort_bursts(early).days)


def test_small_channels_are_pooled_and_said() -> None:
    events, users = tables(counts_of())
    users.loc[[3, 90], "channel"] = ["only one", None]
    found = cohort_bursts(log_of(events, users))
    assert set(found.groups["group"]) == {"a", "b", "c", "other"}
    assert any("'only one' (1 user)" in note and "pooled as 'other'" in note for note in found.notes)


def test_without_channels_or_with_one_of_them_nothing_is_adjusted_for() -> None:
    events, users = tables(counts_of(), channels=False)
    none = cohort_bursts(log_of(events, users))
    assert none.by is None
    assert none.groups.empty
    assert any("no column 'channel'" in note for note in none.notes)
    single = cohort_bursts(log_of(events, users.assign(channel="a")))
    asked = cohort_bursts(log(), by=None)
    for found in (single, asked):
        assert set(found.hazard["variable"]) == {"burst"}
    pd.testing.assert_frame_equal(single.hazard, none.hazard)
    assert single.groups["share"].tolist() == [1.0, 1.0]


def test_a_log_without_bursts() -> None:
    events, users = tables(np.full(60, 5))
    found = cohort_bursts(log_of(events, users))
    assert len(found.table) == 0
    assert list(found.table.columns) == list(schema("cohort_bursts").names)
    assert found.hazard.empty
    assert found.groups.empty
    assert repr(found).startswith("<CohortBursts: no burst among the registrations of 300 users")
    json.loads(found.to_json())


def test_a_short_log_has_fewer_terms_and_says_so() -> None:
    counts = np.full(21, 8)
    counts[20] = 60
    found = cohort_bursts(log_of(*tables(counts)))
    assert days_of(found) == [("2024-01-21", "2024-01-21")]
    assert any("Weekdays are not told apart" in note for note in found.notes)
    assert any("Weeks were not judged" in note for note in found.notes)
    assert found.weeks.empty
    with pytest.raises(ch.InputError, match="13 days; at least 14"):
        cohort_bursts(log_of(*tables(counts[:13])))
    with pytest.raises(ch.InputError, match="29 users registered"):
        cohort_bursts(log_of(*tables(np.r_[np.ones(28, int), 1])))
    with pytest.raises(ch.InputError, match="8 calendar weeks"):
        cohort_bursts(log_of(*tables(counts)), unit="week")


def test_a_burst_on_the_very_first_days() -> None:
    counts = np.random.default_rng(2).poisson(6, 90)
    counts[:2] += 40
    counts[30:34] = 0
    assert days_of(cohort_bursts(log_of(*tables(counts)))) == [("2024-01-01", "2024-01-02")]


def test_days_without_registrations_at_the_ends_and_earlier_users_are_left_out_and_said() -> None:
    events, users = tables(counts_of())
    found = cohort_bursts(log_of(events, users, observed_from="2024-01-11"))
    assert found.first_day == date(2024, 1, 11)
    assert found.n_users == counts_of()[10:].sum()
    early = int(counts_of()[:10].sum())
    assert any(note.startswith(f"{early} users registered before the first day of the log") for note in found.notes)
    assert any("93 days of the log at its ends are left out" in note for note in found.notes)


def test_a_burst_of_a_week() -> None:
    counts = np.tile([20, 19, 21, 20, 22, 18, 20], 18)
    counts[:70] += np.tile([1, -1], 35)
    counts[70:77] += 9
    found = cohort_bursts(log_of(*tables(counts)))
    (row,) = found.table.itertuples()
    assert (str(row.start.date()), str(row.end.date()), row.unit) == ("2024-03-11", "2024-03-17", "week")
    week = found.weeks.iloc[10]
    assert week["burst"]
    assert (week["n_days"], week["registrations"]) == (7, counts[70:77].sum())
    assert row.p_value == week["p_value"]
    assert cohort_bursts(log_of(*tables(counts)), unit="day").table.empty
    assert len(cohort_bursts(log_of(*tables(counts)), unit="week").table) == 1


def test_where_nobody_churned_there_is_no_ratio_but_the_reason() -> None:
    events, users = tables(counts_of())
    found = cohort_bursts(log_of(events, users, rule=ch.ChurnRule(idle_days=400)))
    assert len(found.table) == 2
    assert found.hazard.empty
    assert any(note.startswith("No hazard ratios: ") for note in found.notes)
    assert "churn hazard" not in repr(found)


def test_small_bursts_share_a_hazard_ratio() -> None:
    counts = np.random.default_rng(0).poisson(2, 120)
    counts[[20, 50, 80]] += [12, 12, 50]
    found = cohort_bursts(log_of(*tables(counts)))
    assert found.hazard.loc[found.hazard["variable"] == "burst", "category"].tolist() == [
        "any burst", "other bursts", "2024-03-21",
    ]  # fmt: skip
    assert any("2 bursts of fewer than 30 users" in note for note in found.notes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"unit": "month"}, "unit is 'day', 'week' or 'both'"),
        ({"tolerance": -1}, "tolerance"),
        ({"min_users": 0}, "min_users"),
        ({"alpha": 1.5}, "alpha must lie between 0 and 1"),
        ({"adjust": "bonferonni"}, "Did you mean 'bonferroni'"),
        ({"level": 2}, "level"),
        ({"by": "chanel"}, "Did you mean 'channel'"),
        ({"by": ["channel"]}, "by is one column"),
    ],
)
def test_arguments_that_are_not_understood(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ch.InputError, match=said):
        cohort_bursts(log(), **settings)


@pytest.mark.parametrize(
    ("calendar", "said"),
    [
        ({"date": ["2024-01-01"]}, "'name' is missing"),
        ({"name": ["x"]}, "'date' is missing"),
        ({"name": ["x"], "start": ["2024-01-01"]}, "'end' is missing"),
        ({"name": ["x"], "date": ["soon"]}, "'soon' at row 0"),
        ({"name": ["x"], "date": [20240101]}, "20240101 at row 0"),
        ({"name": ["x", "y"], "date": ["2024-01-01", None]}, "at row 1"),
        ({"name": [None], "date": ["2024-01-01"]}, "'name' is missing at row 0"),
        ({"name": ["x"], "start": ["2024-01-02"], "end": ["2024-01-01"]}, "before it starts"),
    ],
)
def test_calendars_that_cannot_be_read(calendar: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(ch.InputError, match=said):
        read_calendar(pd.DataFrame(calendar))


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NaT, pd.NA, " "])
def test_an_event_without_a_kind_has_none(missing: object) -> None:
    kinds = pd.Series(["campaign", missing], dtype=object)
    table = pd.DataFrame({"name": ["a", "b"], "date": ["2024-05-20", "2024-06-20"], "kind": kinds})
    assert [event.kind for event in read_calendar(table)] == ["campaign", None]


def test_calendars_with_dates_of_any_kind_are_read_alike() -> None:
    forms = ["2024-05-20", date(2024, 5, 20), pd.Timestamp("2024-05-20 13:00"), np.datetime64("2024-05-20")]
    for form in forms:
        (event,) = read_calendar(pd.DataFrame({"name": ["x"], "first": [form], "last": [form]}))
        assert (event.start, event.end) == (date(2024, 5, 20), date(2024, 5, 20))


def test_it_is_a_result() -> None:
    found = bursts()
    plain = json.loads(found.to_json())
    assert plain["schema"] == {"name": "cohort_bursts", "version": 1}
    assert plain["facts"]["hazard"]["term"][0] == "burst: any burst"
    assert "2 bursts on 5 of 120 days" in repr(found)
    assert "times that of others" in repr(found)
    for name, table in (("registrations_by_day", found.days), ("registrations_by_week", found.weeks),
                        ("burst_groups", found.groups), ("cox", found.hazard)):  # fmt: skip
        assert list(table.columns) == list(schema(name).names)
    changed = found.table
    changed["ratio"] = 0.0
    assert (found.table["ratio"] != 0).all()


def test_the_simulated_week_and_holiday_are_found_with_the_hazard_ratio_of_the_week() -> None:
    """The truth is that of the grouped fit: where a quarter churns on one day, Efron's tends to another number."""
    app = ch.simulate_app(3_000, seed=2)
    found = cohort_bursts(app.log, calendar=app.calendar, ties="grouped")
    assert days_of(found) == [("2024-02-10", "2024-02-17"), ("2024-05-20", "2024-05-26")]
    assert found.table["event"].tolist() == ["holiday", "spring"]
    # Users who register in that week without the campaign are one in fourteen: the ratio is hardly below the truth.
    week = found.hazard.set_index("term").loc["burst: 2024-05-20 to 2024-05-26"]
    assert abs(np.log(app.truth.hazard_ratios["campaign: spring"]) - week["estimate"]) < 3 * week["std_error"]
    assert week["hr_lower"] > 1
