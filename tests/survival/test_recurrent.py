"""Mean cumulative numbers of churns: a log worked by hand, late entry, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError, SchemaError
from churnsurv.survival.recurrent import mean_cumulative_churns
from churnsurv.tables import schema

FIRST = dt.date(2024, 1, 1)
RULE = ch.ChurnRule(idle_days=3)


def log(
    users: dict[str, tuple[int, list[int]]], *, until: int = 20, since: int = 0, **attributes: list
) -> ch.ActivityLog:
    """Users with their days of registration and activity, counted from the first of January."""
    day = lambda n: (FIRST + dt.timedelta(days=n)).isoformat()  # noqa: E731
    events = [(user, day(n), "login") for user, (_, days) in users.items() for n in days]
    table = pd.DataFrame({"user_id": list(users), "registered_at": [day(n) for n, _ in users.values()], **attributes})
    frame = pd.DataFrame(events, columns=["user_id", "event_at", "kind"])
    return ch.ActivityLog(frame, table, rule=RULE, observed_from=day(since), observed_until=day(until))


# a churns on days 3 and 11 (back on 8), b on 7 (active on 2 and 4), c, registered on 15, on its day 3; d, on 18, never
USERS = {"a": (0, [8]), "b": (0, [2, 4]), "c": (15, []), "d": (18, [])}


def test_by_hand() -> None:
    found = mean_cumulative_churns(log(USERS).churn_spells(spells="all"))
    table = found.table
    assert list(table) == list(schema("mean_cumulative").names)
    # follow-up: a and b 20 days, c 5, d 2
    assert table["time"].tolist() == [0, 2, 3, 5, 7, 11, 20]
    assert table["n_at_risk"].tolist() == [4, 4, 3, 3, 2, 2, 2]
    assert table["n_events"].tolist() == [0, 0, 2, 0, 1, 1, 0]
    mean = [Fraction(0), Fraction(0), Fraction(2, 3), Fraction(2, 3), Fraction(7, 6), Fraction(5, 3), Fraction(5, 3)]
    assert table["mean"].tolist() == pytest.approx([float(m) for m in mean], rel=1e-14)
    # Lawless and Nadeau: what each user is above its mean, over the number observed
    third = {"a": Fraction(1, 9), "b": Fraction(-2, 9), "c": Fraction(1, 9)}
    seventh = {**third, "a": third["a"] - Fraction(1, 4), "b": third["b"] + Fraction(1, 4)}
    last = {**seventh, "a": seventh["a"] + Fraction(1, 4), "b": seventh["b"] - Fraction(1, 4)}
    variance = [0, 0, *(sum(x * x for x in u.values()) for u in (third, third, seventh, last, last))]
    assert (table["std_error"] ** 2).tolist() == pytest.approx([float(v) for v in variance], rel=1e-12)
    assert table["lower"].isna().tolist() == [False, True, *[False] * 5]
    assert repr(found) == "<MeanCumulativeCurves: 4 users, 4 churns; mean number by the last day: all 1.67>"


def test_days_away_count_as_days_at_risk() -> None:
    """Days between churn and return stay in the denominator: with spells alone it would be empty."""
    spells = log({"a": (0, []), "b": (0, [3, 6, 9, 12])}).churn_spells(spells="all")
    table = mean_cumulative_churns(spells).table.set_index("time")
    assert table.loc[15, ["mean", "n_at_risk"]].tolist() == [1.0, 2]  # b alone is active on day 15


def test_the_mean_is_that_of_counts_where_all_are_followed_alike() -> None:
    rng = np.random.default_rng(4)
    users = {f"u{i}": (0, sorted(rng.integers(0, 40, 6).tolist())) for i in range(60)}
    spells = log(users, until=60).churn_spells(spells="all")
    churns = spells.table.assign(day=lambda t: (t["end_date"] - t["registered_at"]).dt.days).query("churned")
    found = mean_cumulative_churns(spells).table
    for row in found.itertuples():
        counts = churns[churns["day"] <= row.time].groupby("user_id").size().reindex(users, fill_value=0)
        assert row.mean == pytest.approx(counts.mean(), rel=1e-12, abs=1e-15)
        assert row.std_error == pytest.approx(counts.std(ddof=0) / np.sqrt(60), rel=1e-9, abs=1e-12)


def test_groups_and_days_asked_for() -> None:
    found = mean_cumulative_churns(log(USERS, plan=["x", "x", "y", "y"]).churn_spells(spells="all"), by="plan")
    assert found.groups == ("x", "y")
    assert dict(found.last_day) == {"x": 20, "y": 5}
    assert dict(found.n_users) == {"x": 2, "y": 2}
    at = found.at([0, 3, 4])
    assert list(at) == [*schema("mean_cumulative").names, "plan"]
    assert at["mean"].tolist() == [0, 0.5, 0.5, 0, 1, 1]
    assert at["n_events"].tolist() == [0, 1, 0, 0, 1, 0]
    with pytest.raises(FollowUpError, match="nobody was observed to day 6 after registration; last days: 'y' day 5"):
        found.at(6)


def test_users_registered_before_the_log_are_left_out_with_their_returns() -> None:
    users = {**USERS, "old": (-9, [9]), "older": (-30, [1])}
    found = mean_cumulative_churns(log(users).churn_spells(spells="all"))
    pd.testing.assert_frame_equal(found.table, mean_cumulative_churns(log(USERS).churn_spells(spells="all")).table)
    assert json.loads(found.to_json())["facts"]["n_users_with_returns_only"] == 1  # "old"
    with pytest.raises(InputError, match="no user registered within the log"):
        mean_cumulative_churns(log({"old": (-9, [9])}).churn_spells(spells="all"))


def test_late_users_enter_when_the_log_is_as_long_as_the_rule() -> None:
    # alive: active on days 1 and 3, churns on day 6, its day 10; back: seen only on day 9, churns on day 12, its 16
    users = {"alive": (-4, [1, 3]), "back": (-4, [9]), "new": (0, [])}
    spells = log(users).churn_spells(spells="all", left_truncated="assume_first_spell")
    table = mean_cumulative_churns(spells).table.set_index("time")
    # both are observed from the end of day 2 of the log, their day 6; new churns on its day 3
    assert table.loc[3, ["mean", "n_at_risk"]].tolist() == [1, 1]
    assert table.loc[10, ["mean", "n_at_risk"]].tolist() == pytest.approx([1 + 1 / 3, 3])
    assert table.loc[16, "mean"] == pytest.approx(1 + 2 / 3)
    gone = log({**users, "never seen": (-4, [])}).churn_spells(spells="all", left_truncated="assume_first_spell")
    with pytest.warns(ChurnsurvWarning, match="1 user registered before the log began and was never seen"):
        mean_cumulative_churns(gone)


def test_users_who_registered_on_the_last_day_are_counted_and_not_at_risk() -> None:
    found = mean_cumulative_churns(log({**USERS, "e": (20, [])}).churn_spells(spells="all"))
    assert found.table["n_at_risk"].iloc[1] == 4
    assert found._facts()["n_no_risk"] == 1
    with pytest.raises(InputError, match="no user is observed for a day"):
        mean_cumulative_churns(log({"e": (20, [20])}).churn_spells(spells="all"))
    plan = log({**USERS, "e": (20, [])}, plan=["x"] * 4 + ["late"]).churn_spells(spells="all")
    with pytest.warns(ChurnsurvWarning, match="no mean for 'late'"):
        assert mean_cumulative_churns(plan, by="plan").groups == ("x",)


def test_tables_that_are_refused() -> None:
    every = log(USERS).churn_spells(spells="all")
    with pytest.raises(InputError, match=r"takes Spells, from log.churn_spells"):
        mean_cumulative_churns(every.table)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="first spells only"):
        mean_cumulative_churns(log(USERS).churn_spells())
    with pytest.raises(InputError, match="cut at day 1"):
        mean_cumulative_churns(log(USERS).churn_spells(spells="all", baseline_day=1))
    with pytest.raises(InputError, match="by: 'spell' changes within a user"):
        mean_cumulative_churns(every, by="spell")
    with pytest.raises(SchemaError, match="'plam' is missing"):
        mean_cumulative_churns(every, by="plam")
    with pytest.raises(InputError, match="level must lie"):
        mean_cumulative_churns(every, level=95)


def test_the_plot_is_drawn_on_the_axes_given() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert mean_cumulative_churns(log(USERS).churn_spells(spells="all")).plot(ax) is ax
