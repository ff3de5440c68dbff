"""The monitor of a campaign: a log worked out by hand, an app, what may never change, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import churnsurv as ch
from churnsurv.data.assigned_cells import assigned_cells
from churnsurv.errors import InputError, SchemaError
from churnsurv.recall.monitor import lift_monitor

from . import small

COUNTS = ["n_treated", "n_control", "returned_treated", "returned_control"]


@pytest.fixture(scope="module")
def by_hand():
    return lift_monitor(small.assignments(), small.log(), control="none", horizon=small.HORIZON)


def planted(n=1200, lift=0.25, *, days=20, shares=(0.5, 0.5), seed=0, columns=None):
    """A campaign of `n` users over some days: returns on days 1 ... 5, at .04 a day or with larger odds."""
    rng = np.random.default_rng(seed)
    assigned = np.sort(rng.integers(0, days, n))
    treated = rng.random(n) < np.linspace(*shares, days)[assigned]
    odds = 0.04 / 0.96 * np.where(treated, 1 + lift, 1.0)
    wait = rng.geometric(odds / (1 + odds))
    day = pd.Timestamp("2024-05-01") + pd.to_timedelta(assigned, unit="D")
    users = pd.DataFrame({"user_id": np.arange(n), "registered_at": pd.Timestamp("2024-01-01")})
    events = pd.DataFrame({"user_id": np.arange(n), "event_at": day + pd.to_timedelta(wait - 1, unit="D")})
    events = events[wait <= 5].assign(kind="login")
    log = ch.ActivityLog(events, users, observed_until="2024-06-30")
    table = pd.DataFrame({"user_id": np.arange(n), "campaign": "may", "assigned_at": day})
    table["arm"] = np.where(treated, "sms", "holdout")
    return log, table if columns is None else table.assign(**columns(treated, assigned))


# ------------------------------------------------------------------------------------------------------------ by hand


def test_the_days_and_counts_of_six_users(by_hand):
    table = by_hand.table
    assert list(table.columns) == list(ch.schema("lift_monitor").names)
    assert table["day"].dt.strftime("%m-%d").tolist() == [f"03-{d:02d}" for d in range(1, 11)]
    counts = table.set_index(table["day"].dt.day)[COUNTS]
    # users 1, 4 and 5 on the 1st; user 2 on the 8th, 3 on the 9th, 6 on the 10th
    assert counts["n_treated"].tolist() == [1, 1, 1, 1, 1, 1, 1, 2, 3, 3]
    assert counts["n_control"].tolist() == [2, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    # user 1 returns on the 2nd, 5 on the 3rd, 2 on the 8th, 6 on the 10th
    assert counts["returned_treated"].tolist() == [0, 1, 1, 1, 1, 1, 1, 2, 2, 2]
    assert counts["returned_control"].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 2]


def test_the_one_cell_that_could_have_been_otherwise(by_hand):
    """On 2 March one of user 1 (sms), 4 and 5 returns: user 1. All other cells have users of one arm alone."""
    expected = quad(lambda t: 3 * np.exp(t) / (np.exp(t) + 2) * norm.pdf(t, scale=0.3), -1.8, 1.8)[0]
    table = by_hand.table
    assert table["e_value"].tolist() == pytest.approx([1.0] + [expected] * 9, rel=1e-8)
    assert table["estimate"].isna().all()
    assert table["lower"].tolist() == [0.0] * 10
    assert table["upper"].isna().all()
    assert by_hand.decision == "go on"
    assert by_hand.threshold == pytest.approx(20)


def test_what_it_says_in_one_line_and_in_json(by_hand):
    assert repr(by_hand) == (
        "<LiftMonitor: sms against none: go on; odds ratio of return on a day not known (0 to any), e-value 1.01; "
        "day 10 of spring, 6 users>"
    )
    told = json.loads(by_hand.to_json())
    assert told["facts"]["decisions"] == {"sms": "go on"}
    assert told["facts"]["first_day"] == "2024-03-01"
    assert told["table"]["upper"] == [None] * 10


def test_the_day_ends_with_the_horizon_of_the_last_users():
    found = lift_monitor(small.assignments().iloc[[0, 3, 4]], small.log(), control="none", horizon=4)
    assert str(found.last_day) == "2024-03-04"
    shorter = lift_monitor(small.assignments().iloc[[0, 3, 4]], small.log(), control="none", horizon="1d")
    assert shorter.table[COUNTS].to_numpy().tolist() == [[1, 2, 0, 0]]


# -------------------------------------------------------------------------------------------------------- what it says


def test_what_is_said_of_a_day_never_changes():
    log, table = planted(shares=(0.2, 0.8))
    whole = lift_monitor(table, log, horizon=5, smallest_lift=1.1)
    for until in ("2024-05-04", "2024-05-15", "2024-05-22"):
        early = lift_monitor(table, log, horizon=5, smallest_lift=1.1, until=until)
        assert str(early.last_day) == until
        pd.testing.assert_frame_equal(early.table, whole.table.iloc[: len(early.table)])
        # who is assigned later is no row that could not be used
        assert not any("could not be used" in note for note in early.notes)


def test_a_large_lift_is_found_and_none_is_given_up():
    log, table = planted(2500, lift=1.0)
    found = lift_monitor(table, log, horizon=5)
    assert found.decision == "lift"
    decided = found.table[found.table["decision"] == "lift"]
    assert decided["e_value"].iloc[0] >= found.threshold
    assert decided["lower"].iloc[0] > 1
    assert decided.index[0] < len(found.table) - 1
    assert decided.index.tolist() == list(range(decided.index[0], len(found.table)))
    last = found.table.iloc[-1]
    assert last["lower"] < 2 < last["upper"]
    log, table = planted(2500, lift=-0.3)
    assert lift_monitor(table, log, horizon=5, smallest_lift=1.2).decision == "no lift worth having"


def test_a_day_of_assignment_that_is_treated_alone_says_nothing():
    """Everybody of the second half is treated, and returns far more often: no cell compares them with anybody."""
    log, table = planted(800, lift=0.0, days=10)
    late = table["assigned_at"] >= "2024-05-06"
    one = lift_monitor(table[~late], log, horizon=5)
    other = lift_monitor(table.assign(arm=np.where(late, "sms", table["arm"])), log, horizon=5)
    assert other.table["e_value"].iloc[-1] == pytest.approx(one.table["e_value"].iloc[-1], rel=1e-9)


def test_several_arms_share_the_error():
    log, table = planted(900)
    arms = table.assign(arm=np.where(table["user_id"] % 3 == 0, "push", table["arm"]))
    found = lift_monitor(arms, log, horizon=5)
    assert found.arms == ("push", "sms")
    assert found.threshold == pytest.approx(40)
    assert set(found.decisions) == {"push", "sms"}
    assert any("40" in note for note in found.notes)
    alone = lift_monitor(arms[arms["arm"] != "push"], log, horizon=5, level=0.975)
    mine = found.table[found.table["arm"] == "sms"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone.table)


def test_strata_and_propensities_make_cells_of_their_own():
    """Kinds with shares of .2 and .8: as strata, or by their propensities, the same cells."""

    def kinds(treated, assigned):
        kind = np.random.default_rng(1).random(treated.size) < 0.5
        share = np.where(kind, 0.8, 0.2)
        return {"stratum": np.where(kind, "b", "a"), "propensity": np.where(treated, share, 1 - share)}

    log, table = planted(600, columns=kinds)
    both, strata, chances = (
        lift_monitor(table.drop(columns=without), log, horizon=5).table for without in ([], ["propensity"], ["stratum"])
    )
    plain = lift_monitor(table.drop(columns=["stratum", "propensity"]), log, horizon=5).table
    pd.testing.assert_frame_equal(both, strata)
    pd.testing.assert_frame_equal(both, chances)
    assert not np.allclose(both["e_value"], plain["e_value"])
    three = table.drop(columns="stratum").assign(arm=np.where(table["user_id"] % 3 == 0, "push", table["arm"]))
    with pytest.raises(InputError, match="add a 'stratum'"):
        lift_monitor(three, log, horizon=5)


def test_the_cells_are_those_of_the_app():
    app = ch.simulate_app(1000, seed=4)
    cells = assigned_cells(app.log, app.campaigns, horizon=30, campaign="recall")
    mine = app.campaigns[app.campaigns["campaign"] == "recall"]
    assert cells.n.sum() == len(mine) == cells.counts["users"]
    events = app.events.assign(day=pd.to_datetime(app.events["event_at"]).dt.normalize())
    events = events[events["kind"].isin(["login", "invest"])]
    both = mine.merge(events[["user_id", "day"]], on="user_id")
    u = (both["day"] - pd.to_datetime(both["assigned_at"])).dt.days + 1
    first = u[(u >= 1) & (u <= 30)].groupby(both["user_id"]).min()
    assert cells.n[cells.time > 0].sum() == len(first)
    assert (cells.n * cells.time).sum() == first.sum()


# ------------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"control": "hold-out"}, "no arm 'hold-out'.*Did you mean 'holdout'"),
        ({"smallest_lift": 0.02}, "at least 1"),
        ({"prior_scale": 3.0}, "from 0.01 to 1"),
        ({"level": 95}, "between 0 and 1"),
        ({"horizon": 0}, "horizon"),
        ({"campaign": "june"}, "no campaign 'june'"),
    ],
)
def test_bad_arguments(change, words):
    log, table = planted(40)
    with pytest.raises(InputError, match=words):
        lift_monitor(table, log, **{"horizon": 5, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="arm"), "'arm' is missing"),
        (lambda t: t[t["arm"] == "holdout"], "alone: nothing to compare"),
        (lambda t: pd.concat([t, t.assign(campaign="june")]), "2 campaigns, and a monitor follows one"),
        (lambda t: pd.concat([t, t.iloc[[0]].assign(arm="push")]), "two arms of one campaign"),
        (lambda t: t.assign(cluster=t["user_id"] // 2), "40 users share their cluster"),
    ],
)
def test_bad_assignments(change, words):
    log, table = planted(40)
    with pytest.raises((InputError, SchemaError), match=words):
        lift_monitor(change(table), log, horizon=5)


def test_users_alone_in_their_cluster_and_conflicts_left_out_are_fine():
    log, table = planted(60)
    plain = lift_monitor(table.iloc[1:], log, horizon=5)
    twice = pd.concat([table, table.iloc[[0]].assign(arm="push")]).assign(cluster=lambda t: t["user_id"])
    found = lift_monitor(twice[twice["user_id"] != 0], log, horizon=5)
    pd.testing.assert_frame_equal(found.table, plain.table)
    both = pd.concat([table, table.iloc[[0]].assign(arm="sms"), table.iloc[[0]].assign(arm="holdout")])
    left = lift_monitor(both.drop_duplicates(), log, horizon=5, exclude_conflicts=True)
    pd.testing.assert_frame_equal(left.table, plain.table)
    assert any("could not be used" in note for note in left.notes)
