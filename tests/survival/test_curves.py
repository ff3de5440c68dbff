"""The table of curves, questions to it, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ChurnsurvWarning, FollowUpError, InputError
from churnsurv.tables import schema

DATA = pd.DataFrame(
    {
        "user_id": [1, 1, 2, 2, 3, 3, 4],
        "entry": [0, 0, 0, 10, 0, 5, 0],
        "duration": [30, 45, 45, 60, 20, 40, 40],
        "churned": [True, True, False, True, False, True, False],
        "channel": ["web", "web", "web", "web", "app", "app", "app"],
    }
)


def test_the_table_by_hand() -> None:
    table = ch.kaplan_meier(DATA, by="channel", entry="entry").table
    assert list(table) == [*schema("curves").names, "channel"]
    assert table["group"].tolist() == ["app"] * 4 + ["web"] * 5
    assert table["channel"].tolist() == table["group"].tolist()
    assert table["time"].tolist() == [0, 5, 20, 40, 0, 10, 30, 45, 60]
    assert table["survival"].tolist() == pytest.approx([1, 1, 1, 0.5, 1, 1, 0.75, 0.5, 0.0])
    # who enters on day 5 (app) or 10 (web) is at risk after it
    assert table["n_at_risk"].tolist() == [2, 2, 3, 2, 3, 3, 4, 3, 1]
    assert table["n_events"].tolist() == [0, 0, 0, 1, 0, 0, 1, 1, 1]
    assert table["n_censored"].tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 0]
    assert table["std_error"].tolist()[:8] == pytest.approx([0, 0, 0, math.sqrt(1 / 8), 0, 0, math.sqrt(3 / 64), 0.25])
    assert table["lower"].tolist()[0] == table["upper"].tolist()[4] == 1.0


def test_the_next_row_of_the_table_tells_who_is_at_risk_on_any_day() -> None:
    curves = ch.kaplan_meier(DATA, by="channel", entry="entry")
    for group, rows in curves.table.groupby("group"):
        for day in range(1, 40):
            told = rows.loc[rows["time"] >= day, "n_at_risk"].iloc[0]
            asked = curves.number_at_risk([day]).set_index("group").loc[group, "n_at_risk"]
            assert told == asked


def test_a_churn_on_day_zero_makes_the_first_row() -> None:
    table = ch.kaplan_meier(pd.DataFrame({"duration": [0, 2], "churned": [True, False]})).table
    assert table["time"].tolist() == [0, 2]
    assert table["survival"].tolist() == [0.5, 0.5]
    assert table["n_at_risk"].tolist() == [2, 1]


def test_groups_stand_in_categorical_order() -> None:
    data = DATA.assign(channel=pd.Categorical(DATA["channel"], categories=["web", "unused", "app"]))
    curves = ch.kaplan_meier(data, by=["channel"])
    assert curves.groups == ("web", "app")
    assert curves.last_day == {"web": 60, "app": 40}
    assert isinstance(curves.last_day["web"], int)


def test_at_reads_the_steps() -> None:
    curves = ch.kaplan_meier(DATA, by="channel", entry="entry")
    found = curves.at([0, 29.5, 30, 31, 40])
    assert list(found) == list(curves.table)
    web = found[found["group"] == "web"]
    assert web["survival"].tolist() == [1, 1, 0.75, 0.75, 0.75]
    assert web["n_at_risk"].tolist() == [3, 4, 4, 3, 3]
    assert web["n_events"].tolist() == [0, 0, 1, 0, 0]
    assert curves.at(30)["survival"].tolist() == [1, 0.75]


def test_nothing_is_said_beyond_the_last_day() -> None:
    curves = ch.kaplan_meier(DATA, by="channel")
    with pytest.raises(FollowUpError) as caught:
        curves.at([10, 50])
    assert str(caught.value) == (
        "nobody was followed to day 50; last days: 'app' day 40. Ask for days up to 40, or leave these groups out."
    )
    both = ch.kaplan_meier(DATA.assign(churned=[True, True, False, False, False, True, False]), by="channel")
    with pytest.raises(FollowUpError, match="last days: 'app' day 40, 'web' day 60"):
        both.at(61)


def test_a_curve_that_has_reached_zero_stays_there() -> None:
    curves = ch.kaplan_meier(DATA[DATA["channel"] == "web"], cluster="user_id")
    found = curves.at([60, 61, 1000])
    assert found["survival"].tolist() == [0, 0, 0]
    assert found["n_at_risk"].tolist() == [1, 0, 0]
    assert found[["std_error", "lower", "upper"]].isna().all(axis=None)


def test_many_groups_beyond_follow_up_are_counted() -> None:
    data = pd.DataFrame({"duration": np.arange(1, 21), "churned": False, "cohort": [f"c{k:02}" for k in range(20)]})
    with pytest.raises(FollowUpError, match=r"'c11' day 12 and 8 more\. Ask for days up to 1,"):
        ch.kaplan_meier(data, by="cohort").at(99)


@pytest.mark.parametrize("times", [-1, [1, math.nan], "ten", [[1]], [True]])
def test_times_that_are_none(times: object) -> None:
    curves = ch.kaplan_meier(DATA)
    for question in (curves.at, curves.number_at_risk):
        with pytest.raises(InputError, match="times must be finite numbers of days >= 0"):
            question(times)


def test_numbers_at_risk_are_cumulative_and_reach_beyond_the_end() -> None:
    found = ch.kaplan_meier(DATA, by="channel", entry="entry").number_at_risk([0, 45, 100])
    assert list(found) == ["group", "time", "n_at_risk", "n_events", "n_censored"]
    web = found[found["group"] == "web"]
    assert web["n_at_risk"].tolist() == [3, 3, 0]
    assert web["n_events"].tolist() == [0, 2, 3]
    assert web["n_censored"].tolist() == [0, 1, 1]


def test_quantiles_and_median() -> None:
    curves = ch.kaplan_meier(DATA, by="channel")
    found = curves.quantiles([0.25, 0.6])
    assert list(found) == list(schema("quantiles").names)
    assert found["group"].tolist() == ["app", "app", "web", "web"]
    np.testing.assert_equal(found["time"].tolist(), [40, math.nan, 37.5, 60])
    pd.testing.assert_frame_equal(curves.median, curves.quantiles(0.5))


@pytest.mark.parametrize("p", [0, 1.1, [0.5, math.nan], [[0.5]]])
def test_probabilities_that_are_none(p: object) -> None:
    with pytest.raises(InputError, match=r"probabilities must lie in \(0, 1\], such as 0\.5"):
        ch.kaplan_meier(DATA).quantiles(p)


def test_clusters_give_other_errors_of_the_same_curve() -> None:
    plain, robust = (
        ch.kaplan_meier(DATA, by="channel"),
        ch.kaplan_meier(DATA, by="channel", cluster="user_id"),
    )
    assert robust.cluster == "user_id"
    assert plain.cluster is None
    assert robust.table["survival"].equals(plain.table["survival"])
    # web: user 1 has both churns up to day 45, user 2 none. S = (1 - 1/4)(1 - 1/3) = 1/2, and in the weights w1, w2 of
    # the users (2 w2 / (2 w1 + 2 w2)) on day 45, so that each derivative is 1/4 and the variance 1/8
    web = robust.table[(robust.table["group"] == "web") & (robust.table["time"] == 45)]
    assert web["std_error"].tolist() == pytest.approx([math.sqrt(1 / 8)], rel=1e-10)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(1, 9), st.booleans(), st.integers(0, 2), st.integers(0, 4)),
        min_size=1,
    ),
    st.sampled_from([1.0, 0.25]),
    st.booleans(),
)
def test_each_group_is_estimated_from_its_own_rows(rows: list[tuple], unit: float, clustered: bool) -> None:
    data = pd.DataFrame(rows, columns=["entry", "duration", "churned", "plan", "user_id"])
    data["duration"] = (data["duration"] + data["entry"]) * unit
    data["entry"] = data["entry"] * unit
    options = {"entry": "entry", "cluster": "user_id" if clustered else None}
    together = ch.kaplan_meier(data, by="plan", **options).table
    for plan, part in data.groupby("plan"):
        alone = ch.kaplan_meier(part, **options).table.drop(columns="group")
        mine = together[together["plan"] == plan][list(alone)].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone, rtol=1e-10)


def test_a_group_with_nobody_at_risk_has_no_curve() -> None:
    data = DATA.assign(entry=[0, 0, 0, 0, 20, 40, 40], churned=[True, True, False, True, False, False, False])
    with pytest.warns(ChurnsurvWarning, match="no curve for 'app': nobody of the group is ever at risk"):
        curves = ch.kaplan_meier(data, by="channel", entry="entry")
    assert curves.groups == ("web",)
    assert curves.table["channel"].unique().tolist() == ["web"]
    nobody = data.assign(entry=data["duration"], churned=False)
    with pytest.raises(InputError, match="nobody is at risk: in all 7 rows duration equals entry"):
        ch.kaplan_meier(nobody, entry="entry")


def test_all_censored_is_a_flat_curve() -> None:
    curves = ch.kaplan_meier(DATA.assign(churned=False))
    assert set(curves.table["survival"]) == {1.0}
    assert curves.median["time"].isna().all()
    assert repr(curves) == "<SurvivalCurves: 7 rows, 0 churned; median day: all not reached>"


def test_arguments_that_are_refused() -> None:
    with pytest.raises(InputError, match="ci must be 'log-log', 'log', 'plain' or 'arcsine', not 'loglog'"):
        ch.kaplan_meier(DATA, ci="loglog")
    with pytest.raises(InputError, match="level must lie between 0 and 1"):
        ch.kaplan_meier(DATA, level=95)
    with pytest.raises(InputError, match="'time' is also the name of a column of the result"):
        ch.kaplan_meier(DATA.assign(time=1), by="time")


def test_the_table_is_fresh_and_facts_are_in_the_json() -> None:
    curves = ch.kaplan_meier(DATA, by="channel", ci="plain", level=0.9)
    mine = curves.table
    mine["survival"] = 7.0
    assert curves.table["survival"].max() == 1
    said = json.loads(curves.to_json())
    assert said["schema"] == {"name": "curves", "version": 1}
    assert said["facts"]["level"] == 0.9
    assert said["facts"]["ci"] == "plain"
    assert said["facts"]["groups"][1] == {
        "group": "web",
        "n": 4,
        "n_events": 3,
        "n_no_risk": 0,
        "last_day": 60,
        "median": 52.5,
        "median_lower": 30.0,
        "median_upper": None,
    }
    assert said["table"]["time"][:2] == [0, 20]


def test_curves_of_an_activity_log_know_their_rule_and_cluster() -> None:
    events = pd.DataFrame(
        {
            "user_id": ["a", "a", "a", "b", "c"],
            "event_at": ["2024-01-05", "2024-02-01", "2024-04-20", "2024-01-20", "2024-03-01"],
            "kind": "login",
        }
    )
    users = pd.DataFrame(
        {
            "user_id": ["a", "b", "c"],
            "registered_at": ["2024-01-01", "2024-01-02", "2024-02-25"],
            "channel": list("xyx"),
        }
    )
    log = ch.ActivityLog(events, users)
    first = ch.kaplan_meier(log.churn_spells(), by="channel")
    assert first.cluster is None
    assert first.table["time"].tolist() == [0, 35, 61, 0, 48]
    every = ch.kaplan_meier(log.churn_spells(spells="all"))
    assert every.cluster == "user_id"
    facts = json.loads(every.to_json())["facts"]
    assert facts["n_clusters"] == 3
    assert facts["data"]["rule"]["idle_days"] == 30
    assert facts["groups"][0]["n"] == facts["data"]["counts"]["spells"] == 4
    assert facts["groups"][0]["n_no_risk"] == 1  # returned on the last day of the log


def test_the_plot_is_drawn_on_the_axes_given() -> None:
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert ch.kaplan_meier(DATA, by="channel").plot(ax) is ax
    assert ax.get_xlim()[1] == 60


def test_limits_between_day_0_and_the_first_row_are_not_made_up() -> None:
    table = pd.DataFrame({"duration": [20, 30, 40], "churned": [False, True, True]})
    limits = ch.kaplan_meier(table).at([0, 10, 25, 30])[["lower", "upper"]].to_numpy()
    np.testing.assert_array_equal(limits[0], [1.0, 1.0])
    assert np.isnan(limits[1:3]).all()
    assert np.isfinite(limits[3]).all()
    np.testing.assert_array_equal(ch.kaplan_meier(table, ci="plain").at([10])[["lower", "upper"]], [[1.0, 1.0]])
