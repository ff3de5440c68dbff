"""Readiness: ordinary days pass, days that are not there in full do not, and the limits are those that are stated."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.action.readiness import Readiness, readiness
from churnsurv.action.readiness_limits import limits_of, one_level
from churnsurv.errors import DataNotReadyError, InputError
from churnsurv.tables import schema

DAY = datetime.date(2024, 3, 29)
FIRST = datetime.date(2024, 1, 26)  # nine weeks before
Events = pd.DataFrame


def events_of(rng: np.random.Generator) -> Events:
    """Some 60 users a day, fewer at weekends, each with two or three events from morning to midnight."""
    rows = []
    for day in pd.date_range(FIRST, DAY):
        users = rng.choice(400, size=rng.poisson(60 if day.dayofweek < 5 else 40), replace=False)
        for user in users:
            for kind in ["login", "login", *(["invest"] if user % 3 == 0 else [])]:
                second = int(rng.integers(8 * 3600, 24 * 3600))
                rows.append((user, day + pd.Timedelta(seconds=second), kind))
    return pd.DataFrame(rows, columns=["user_id", "event_at", "kind"])


EVENTS = events_of(np.random.default_rng(7))
USERS = pd.DataFrame({"user_id": range(400), "registered_at": FIRST})
ON_DAY = EVENTS["event_at"].dt.date == DAY


def found(events: Events, *, until: datetime.date = DAY, **settings: Any) -> Readiness:
    log = ch.ActivityLog(events, USERS, observed_from=FIRST, observed_until=until)
    return readiness(log, as_of=DAY, **settings)


def verdicts(result: Readiness) -> dict[str, str]:
    return {check.check: check.verdict for check in result.checks}


def test_an_ordinary_day_is_ready() -> None:
    result = found(EVENTS)
    assert result.ready
    result.raise_unless_ready()
    assert set(verdicts(result).values()) == {"fine"}
    table = result.table
    assert tuple(table.columns) == schema("readiness").names
    row = table.set_index("check").loc["events"]
    assert row["n"] == int(ON_DAY.sum())
    assert row["lower"] < row["n"] < row["upper"]
    assert "2024-03-29: ready" in repr(result)


HALVES: dict[str, Callable[[Events], Events]] = {
    "events": lambda e: e[~ON_DAY | (e.index % 3 == 0)],
    "last hours": lambda e: e[~ON_DAY | (e["event_at"].dt.hour < 19)],
    "events: invest": lambda e: e[~ON_DAY | (e["kind"] != "invest")],
    "active users": lambda e: e[~ON_DAY | (e["user_id"] % 3 == 1)],
}


@pytest.mark.parametrize("check", list(HALVES))
def test_a_day_that_is_not_there_in_full_is_not_ready(check: str) -> None:
    result = found(HALVES[check](EVENTS))
    assert verdicts(result)[check] == "not ready"
    with pytest.raises(
        DataNotReadyError, match=rf"(?s)2024-03-29 is not ready:.*{check}: .*expected.*nothing is to be"
    ):
        result.raise_unless_ready()
    assert DataNotReadyError.exit_code == 3
    assert str(result).splitlines()[1].startswith("not ready")


def test_a_log_that_ends_before_the_day_is_not_ready() -> None:
    result = found(EVENTS[~ON_DAY], until=DAY - datetime.timedelta(days=2))
    assert verdicts(result)["log"] == "not ready"
    assert "ends on 2024-03-27, 2 days before 2024-03-29" in result.table["words"].iloc[0]


def test_later_days_change_nothing() -> None:
    day = DAY - datetime.timedelta(days=3)
    log = ch.ActivityLog(EVENTS, USERS, observed_from=FIRST, observed_until=DAY)
    known = EVENTS[EVENTS["event_at"].dt.date <= day]
    earlier = ch.ActivityLog(known, USERS, observed_from=FIRST, observed_until=day)
    pd.testing.assert_frame_equal(readiness(log, as_of=day).table, readiness(earlier, as_of=day).table)


def test_rejected_rows_stop_the_run_where_their_share_jumps() -> None:
    strange = EVENTS.copy()
    strange.loc[ON_DAY & (strange.index % 5 == 0), "user_id"] = 9_999  # a table of users that was not loaded
    result = found(strange)
    assert verdicts(result)["rejects: events"] == "not ready"
    assert verdicts(found(strange, rejects=0.5))["rejects: events"] == "look"


def test_a_fuller_day_is_looked_at_but_ready() -> None:
    twice = pd.concat([EVENTS, EVENTS[ON_DAY], EVENTS[ON_DAY]], ignore_index=True)
    result = found(twice)
    assert result.ready
    assert verdicts(result)["events"] == "look"


def test_a_day_may_be_thinner_where_the_user_says_so() -> None:
    assert found(HALVES["events"](EVENTS), thin=0.1).ready


def test_the_first_empty_day_is_not_ready_however_little_there_is() -> None:
    few = EVENTS.groupby(EVENTS["event_at"].dt.date).head(3)
    assert verdicts(found(few))["events"] == "fine"
    result = found(few[few["event_at"].dt.date != DAY])
    assert verdicts(result)["events"] == "not ready"
    assert "which none of the 56 days before was without" in result.table.set_index("check")["words"]["events"]


def test_a_short_log_expects_nothing_but_events() -> None:
    log = ch.ActivityLog(EVENTS, USERS, observed_from=DAY - datetime.timedelta(days=16), observed_until=DAY)
    result = readiness(log, as_of=DAY)
    assert verdicts(result) == {"log": "fine", "events": "look"}
    assert math.isnan(result.table["expected"].iloc[1])
    log = ch.ActivityLog(EVENTS[~ON_DAY], USERS, observed_from=DAY - datetime.timedelta(days=16), observed_until=DAY)
    assert not readiness(log, as_of=DAY).ready


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weeks": 2}, "weeks must be a whole number from 3 on"),
        ({"thin": 1.5}, "thin must be a number from 0 to 1"),
        ({"jump": 0.5}, "jump must be a number from 1 on"),
        ({"rejects": "much"}, "rejects must be a number from 0 to 1"),
    ],
)
def test_arguments_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        found(EVENTS, **settings)


def test_a_day_before_the_log() -> None:
    log = ch.ActivityLog(EVENTS, USERS, observed_from=FIRST, observed_until=DAY)
    with pytest.raises(InputError, match="is before the log begins, 2024-01-26"):
        readiness(log, as_of="2024-01-01")


# ----------------------------------------------------------------------------------------------------- the limits


def test_limits_of_a_steady_log_by_hand() -> None:
    limits = limits_of(np.full(7 * 8, 99), z=3.0)
    reach = 3.0 * 0.5 * math.sqrt(1 + math.pi / 2 * (1 / 7 + 1 / 8))
    assert limits.expected == pytest.approx(99, abs=1e-10)
    assert limits.lower == pytest.approx((math.sqrt(99.375) - reach) ** 2 - 0.375, abs=1e-10)
    assert limits.upper == pytest.approx((math.sqrt(99.375) + reach) ** 2 - 0.375, abs=1e-10)


def test_weekdays_and_levels_are_taken_apart() -> None:
    weekday = np.array([400.0, 400, 400, 400, 400, 100, 100])
    level = np.repeat([1.0, 1.0, 1.0, 4.0], 7)  # four times as much in the last week
    root = np.sqrt(np.tile(weekday, 4)) * 0 + np.tile(np.sqrt(weekday), 4) + 10 * (level > 1)
    counts = np.round(root**2 - 0.375).astype(np.int64)
    limits = limits_of(counts, z=3.0)
    assert limits.expected == pytest.approx(30**2, rel=0.01)  # the weekday of the first column at the new level
    assert limits.least == pytest.approx(20**2, rel=0.01)  # and a day that goes back to the old one is no alarm
    assert limits.lower < 20**2 < limits.upper
    assert limits.spread == pytest.approx(0.5)


def test_one_day_that_was_half_there_moves_nothing() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(200, size=56)
    thin = counts.copy()
    thin[-1] = 20
    before, after = limits_of(counts, z=3.0), limits_of(thin, z=3.0)
    assert after.lower == pytest.approx(before.lower, rel=0.05)
    assert after.expected == pytest.approx(before.expected, rel=0.05)


def test_false_alarms_of_poisson_counts_are_rare() -> None:
    rng = np.random.default_rng(11)
    outside = 0
    for mean in (3, 30, 300):
        for _ in range(80):
            counts = rng.poisson(mean, size=57)
            limits = limits_of(counts[:-1], z=3.0)
            outside += not limits.lower <= counts[-1] <= limits.upper
    assert outside <= 3  # of 240; 0.3 % would be normal


def test_events_that_come_together_vary_more() -> None:
    counts = np.full(56, 100)
    assert limits_of(counts, z=3.0, together=4.0).lower < limits_of(counts, z=3.0).lower
    assert limits_of(counts, z=3.0, together=0.1).lower == limits_of(counts, z=3.0).lower
    assert one_level(100, z=3.0, n=1000).lower > one_level(100, z=3.0, n=1).lower


# ----------------------------------------------------------------------------------------------------- the alerts


@dataclass
class Told:
    """As much of alerts as readiness looks at."""

    as_of: datetime.date
    new: int
    continued: int = 0
    resolved: int = 0
    churn_rule: ch.ChurnRule = field(default_factory=ch.ChurnRule)
    counts: dict[str, int] = field(default_factory=lambda: {"living": 1_234})

    @property
    def table(self) -> pd.DataFrame:
        status = ["new"] * self.new + ["continued"] * self.continued + ["resolved"] * self.resolved
        return pd.DataFrame({"status": status})


def with_alerts(now: Told, *before: Told, jump: float = 2.0) -> dict[str, str]:
    result = Readiness(DAY, ()).with_alerts(now, before, jump=jump)  # type: ignore[arg-type]
    return verdicts(result)


def weeks_before(*new: int) -> list[Told]:
    return [Told(DAY - datetime.timedelta(days=7 * week), n) for week, n in enumerate(new, 1)]


def test_ordinary_alerts_pass() -> None:
    now = Told(DAY, new=30, continued=300, resolved=28)
    assert with_alerts(now, *weeks_before(28, 35, 31)) == {"users in tiers": "fine", "new alerts": "fine"}
    assert with_alerts(now) == {"users in tiers": "fine"}


def test_alerts_that_jump_stop_the_run() -> None:
    now = Told(DAY, new=900, continued=300, resolved=28)
    assert with_alerts(now, *weeks_before(28, 35, 31)) == {"users in tiers": "not ready", "new alerts": "not ready"}
    assert with_alerts(now, *weeks_before(28, 35, 31), jump=100)["new alerts"] == "look"


def test_new_alerts_of_some_users_are_compared_with_theirs() -> None:
    now, some = Told(DAY, new=900, continued=9000, resolved=900), Told(DAY, new=30)
    before = weeks_before(28, 35, 31)
    found = Readiness(DAY, ()).with_alerts(now, before, drawn=some)  # type: ignore[arg-type]
    assert verdicts(found) == {"users in tiers": "fine", "new alerts": "fine"}
    assert "30 new alerts of users drawn by their ids, of whom 1,234 live" in found.to_text()


def test_a_few_more_in_a_small_app_do_not() -> None:
    assert with_alerts(Told(DAY, new=4, continued=3), *weeks_before(1, 0, 1))["new alerts"] == "fine"


def test_alerts_of_other_days_are_refused() -> None:
    with pytest.raises(InputError, match="alerts are of 2024-03-28, not of as_of, 2024-03-29"):
        with_alerts(Told(DAY - datetime.timedelta(days=1), new=1))
    with pytest.raises(InputError, match="previous must be alerts of days before"):
        with_alerts(Told(DAY, new=1), Told(DAY, new=1))
