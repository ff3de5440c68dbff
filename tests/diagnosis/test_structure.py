"""Where churn sits: each figure is the one asked for directly, and what was not followed is no number."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

import churnsurv as ch
from churnsurv.data import ActivityLog, ChurnRule, Stages
from churnsurv.data.lifecycle import stage_episodes
from churnsurv.diagnosis.pooled import pooled
from churnsurv.diagnosis.structure import ChurnStructure, churn_structure
from churnsurv.errors import InputError, SchemaError

# The small world: activity on a day with a probability of its own by channel, of which a part are investments; churn
# after 5 idle days. Registrations go on to the last day of the log.
RULE = ChurnRule(idle_days=5)
STAGES = Stages(starts={"new": 0, "growth": 2, "mature": 5})
ACTIVE = {"paid": 0.3, "free": 0.5, "tv": 0.4}
INVESTS, DAYS = 0.35, 120
HORIZONS = (10, 25, 60)


def world(n_users: int = 900, seed: int = 0, **settings: Any) -> ActivityLog:
    rng = np.random.default_rng(seed)
    first = pd.Timestamp("2024-01-01")
    registered = rng.integers(0, DAYS, n_users)
    channel = rng.choice(list(ACTIVE), n_users)
    chance = np.array([ACTIVE[each] for each in channel])
    user, day = np.nonzero(rng.random((n_users, DAYS)) < chance[:, None])
    kept = day > registered[user]
    kind = np.where(rng.random(user.size) < INVESTS, "invest", "login")
    events = pd.DataFrame({"user_id": user, "event_at": first + pd.to_timedelta(day, "D"), "kind": kind})[kept]
    users = pd.DataFrame(
        {"user_id": range(n_users), "registered_at": first + pd.to_timedelta(registered, "D"), "channel": channel}
    )
    until = (first + pd.Timedelta(days=DAYS - 1)).date()
    settings = {"rule": RULE, "stages": STAGES, "observed_until": until} | settings
    return ActivityLog(events, users, **settings)


def true_churn(active: float, horizon: int, moves_at: int | None = None) -> float:
    """P(churn by the horizon, before so many investments), from the law of the idle days."""
    n_left = 1 if moves_at is None else moves_at
    state = np.zeros((n_left, RULE.idle_days))
    state[0, 0] = 1.0
    churned = 0.0
    for _ in range(horizon):
        then = np.zeros_like(state)
        then[:, 1:] = (1 - active) * state[:, :-1]
        churned += (1 - active) * state[:, -1].sum()
        woken = active * state.sum(axis=1)
        then[:, 0] += woken * (1 if moves_at is None else 1 - INVESTS)
        if moves_at is not None:
            then[1:, 0] += woken[:-1] * INVESTS
        state = then
    return churned


@pytest.fixture(scope="module")
def log() -> ActivityLog:
    return world()


@pytest.fixture(scope="module")
def found(log: ActivityLog) -> ChurnStructure:
    return churn_structure(log, horizons=HORIZONS)


def of(table: pd.DataFrame, variable: str) -> pd.DataFrame:
    return table[table["variable"] == variable]


def test_tables_follow_their_schemas(found: ChurnStructure) -> None:
    for table, layout in (
        (found.table, "churn_structure"),
        (found.horizons, "churn_by_horizon"),
        (found.cross, "stage_channel"),
    ):
        assert tuple(table.columns) == ch.schema(layout).names
    assert list(dict.fromkeys(found.table["variable"])) == ["stage", "channel", "cohort"]
    assert of(found.table, "stage")["group"].tolist() == list(STAGES.names)
    assert not found.horizons.duplicated(["variable", "group", "horizon"]).any()


def test_shares_are_those_of_statsmodels(log: ActivityLog, found: ChurnStructure) -> None:
    spells = log.churn_spells().table
    total = int(spells["churned"].sum())
    assert (found.n_users, found.n_churned) == (len(spells), total)
    for variable in ("stage", "channel", "cohort"):
        mine = of(found.table, variable)
        assert mine["n_churned"].sum() == total
        limits = proportion_confint(mine["n_churned"].to_numpy(), total, alpha=0.05 / len(mine), method="wilson")
        assert mine["share"].to_numpy() == pytest.approx(mine["n_churned"].to_numpy() / total, rel=1e-14)
        assert np.array([mine["share_lower"], mine["share_upper"]]) == pytest.approx(np.array(limits), rel=1e-12)
    by_channel = spells.groupby("channel", observed=True)["churned"].agg(["size", "sum"])
    mine = of(found.table, "channel").set_index("group")
    assert mine["n_users"].to_dict() == by_channel["size"].to_dict()
    assert mine["n_churned"].to_dict() == by_channel["sum"].to_dict()
    assert of(found.table, "stage")["n_users"].iloc[0] == len(spells)


def test_horizons_are_kaplan_and_meiers(log: ActivityLog, found: ChurnStructure) -> None:
    spells = log.churn_spells().table
    for variable in ("channel", "cohort"):
        mine = of(found.horizons, variable).set_index(["group", "horizon"])
        for group, part in spells.groupby(variable, observed=True):
            curve = ch.kaplan_meier(part, entry="entry")
            for horizon in HORIZONS:
                if horizon > curve.last_day["all"]:
                    assert (str(group), horizon) not in mine.index
                    continue
                at, row = curve.at(horizon).iloc[0], mine.loc[(str(group), horizon)]
                assert row["churned"] == pytest.approx(1 - at["survival"], abs=1e-14)
                assert [row["std_error"], row["n_at_risk"]] == pytest.approx([at["std_error"], at["n_at_risk"]])
                age = (pd.Timestamp(log.observed_until) - part["origin"]).dt.days
                limits = [1 - at["upper"], 1 - at["lower"]] if (age >= horizon).sum() >= 10 else [np.nan] * 2
                assert [row["lower"], row["upper"]] == pytest.approx(limits, nan_ok=True)
                assert row["n_followed_to"] == (age >= horizon).sum() >= row["n_at_risk"]


def test_horizons_of_stages_are_aalen_and_johansens(log: ActivityLog, found: ChurnStructure) -> None:
    episodes = stage_episodes(log)
    rows = of(found.horizons, "stage").to_dict("records")
    assert len(rows) == 9
    for row in rows:
        part = episodes[(episodes["stage"] == row["group"]) & (episodes["duration"] > 0)]
        curve = ch.cumulative_incidence(part, cause="ended_by", event="ended", entry="entry")
        # Of some stages nobody is left by then: the curve is flat from its last day on.
        last = part["duration"].max()
        at = curve.at(min(row["horizon"], last)).query("cause == 'churned'").iloc[0]
        theirs = at[["incidence", "std_error", "lower", "upper"]].tolist()
        assert [row[column] for column in ("churned", "std_error", "lower", "upper")] == pytest.approx(theirs)
        assert row["n_at_risk"] == (0 if row["horizon"] > last else at["n_at_risk"])
        age = (pd.Timestamp(log.observed_until) - part["origin"]).dt.days
        assert row["n_followed_to"] == (age >= row["horizon"]).sum() > 0


def test_cells_are_aalen_and_johansens_too(log: ActivityLog, found: ChurnStructure) -> None:
    spells = log.churn_spells().table
    episodes = stage_episodes(log).merge(spells[["user_id", "channel"]], on="user_id")
    assert found.cross_horizon == max(HORIZONS)
    n_cells = len(found.cross)
    assert n_cells == 9
    for row in found.cross.to_dict("records"):
        cell = episodes[(episodes["stage"] == row["stage"]) & (episodes["channel"] == row["channel"])]
        assert row["n_users"] == cell["user_id"].nunique()
        assert row["n_churned"] == (cell["ended_by"] == "churned").sum()
        limits = proportion_confint(row["n_churned"], found.n_churned, alpha=0.05 / n_cells, method="wilson")
        assert (row["share_lower"], row["share_upper"]) == pytest.approx(limits, rel=1e-12)
        if row["n_users"] < found.min_users:
            assert np.isnan([row["churned"], row["lower"], row["upper"], row["rank"]]).all()
            continue
        curve = ch.cumulative_incidence(cell[cell["duration"] > 0], cause="ended_by", event="ended", entry="entry")
        at = curve.at(min(cell["duration"].max(), found.cross_horizon)).query("cause == 'churned'").iloc[0]
        theirs = at[["incidence", "lower", "upper"]].tolist()
        assert [row["churned"], row["lower"], row["upper"]] == pytest.approx(theirs)
    assert found.cross["n_churned"].sum() == found.n_churned
    assert found.cross["rank"].notna().sum() >= 7
    for _, band in found.cross.dropna().groupby("stage"):
        ordered = band.sort_values("rank")
        assert ordered["rank"].tolist() == list(range(1, len(band) + 1))
        assert ordered["churned"].is_monotonic_decreasing


def test_the_law_behind_the_log_is_recovered() -> None:
    found = churn_structure(world(6_000, seed=3), horizons=HORIZONS)
    rows = of(found.horizons, "channel").to_dict("records")
    assert len(rows) == 9
    for row in rows:
        truth = true_churn(ACTIVE[row["group"]], row["horizon"])
        assert abs(row["churned"] - truth) < 3.5 * row["std_error"], row
    # Users who are too young to have churned would pull the raw share far below.
    for group in of(found.table, "channel").to_dict("records"):
        truth = true_churn(ACTIVE[group["group"]], 60)
        assert group["n_churned"] / group["n_users"] < truth - 0.04
    moves_at = {"new": 2, "growth": 3}  # investments until the next stage
    cells = [row for row in found.cross.to_dict("records") if row["stage"] in moves_at]
    z = []
    for row in cells:
        truth = true_churn(ACTIVE[row["channel"]], 60, moves_at[row["stage"]])
        z.append((row["churned"] - truth) / ((row["upper"] - row["lower"]) / 3.92))
    assert np.abs(z).max() < 3.5
    assert (found.cross.query("rank == 1")["channel"] == "paid").all()


def test_users_too_young_to_be_known_are_not_retained() -> None:
    # Of 40 old users 10 stay; 200 registered 8 days before the end and no older than that.
    first = pd.Timestamp("2024-01-01")
    users = pd.DataFrame({"user_id": range(240), "registered_at": [first] * 40 + [first + pd.Timedelta(days=92)] * 200})
    users["channel"] = "paid"
    stay = [(user, first + pd.Timedelta(days=day), "login") for user in range(10) for day in range(4, 101, 4)]
    stay += [(user, first + pd.Timedelta(days=96), "login") for user in range(40, 240)]
    log = ActivityLog(
        pd.DataFrame(stay, columns=["user_id", "event_at", "kind"]), users, rule=RULE, observed_until="2024-04-10"
    )
    found = churn_structure(log, by="channel", horizons=[4, 20])
    rows = found.horizons.set_index("horizon")
    # day 5: 30 of 240 at risk; all that comes later is seen in 10 users
    assert rows.loc[20, "churned"] == pytest.approx(1 - 210 / 240)
    assert rows.loc[20, ["n_at_risk", "n_followed_to"]].tolist() == [10, 40]
    assert (rows.loc[4, "churned"], rows.loc[4, "n_at_risk"]) == (0, 240)
    assert np.isnan(rows.loc[4, ["lower", "upper"]].tolist()).all()
    assert "Nobody can churn before day 5, so that churn by day 4 is 0." in found.notes


def test_a_horizon_beyond_follow_up_is_no_number(log: ActivityLog) -> None:
    found = churn_structure(log, by=["cohort", "stage"], horizons=["25d", 60, 400])
    assert set(found.horizons["horizon"]) == {25, 60}
    last = log.churn_spells().table.groupby("cohort", observed=True)["duration"].max()
    short = [cohort for cohort, day in last.items() if day < 60]
    assert len(short) >= 1
    assert set(of(found.horizons, "cohort").query("horizon == 60")["group"]) == set(last.index) - set(short)
    (note,) = [note for note in found.notes if "day 60 since registration" in note]
    assert f"{short[-1]!r} (day {last[short[-1]]})" in note
    assert any("no curve reaches day 400 since the stage began in 'new'" in note for note in found.notes)
    assert found.cross_horizon == 60
    assert found.cross["channel"].unique().tolist() == ["all"]
    with_400 = churn_structure(log, by="stage", horizons=[400])
    assert with_400.horizons.empty
    assert with_400.cross_horizon is None
    assert with_400.cross["churned"].isna().all()
    assert any("no horizon is reached by all cells" in note for note in with_400.notes)


# ---------------------------------------------------------------------------------------------------- small groups


def test_small_groups_are_pooled_and_said(log: ActivityLog) -> None:
    users = log._reading.data["users"].copy()  # type: ignore[attr-defined]
    users.loc[:0, "channel"] = "radio"
    users.loc[1:4, "channel"] = None
    events = log._reading.data["events"]
    small = ActivityLog(events, users, rule=RULE, stages=STAGES, observed_until=log.observed_until)
    found = churn_structure(small, horizons=[25])
    mine = of(found.table, "channel").set_index("group")
    assert list(mine.index) == ["free", "paid", "tv", "other"]
    assert mine.loc["other", "n_users"] == 5
    assert mine["n_churned"].sum() == found.n_churned
    (note,) = [note for note in found.notes if "pooled" in note]
    assert note == (
        "channel: 'radio' (1 user), '(missing)' (4 users) have fewer than 30 users each and are pooled as 'other'."
    )
    cells = found.cross.set_index(["stage", "channel"])
    assert cells.loc[("new", "other"), "n_users"] == 5
    assert np.isnan(cells.loc[("new", "other"), "churned"])
    assert pd.isna(cells.loc[("new", "other"), "rank"])
    assert any(
        "fewer than 30 users have no probability" in note or "has no probability" in note for note in found.notes
    )
    one = churn_structure(small, by="channel", horizons=[25], min_users=1)
    assert of(one.table, "channel")["group"].tolist() == ["free", "paid", "radio", "tv", "(missing)"]
    assert not [note for note in one.notes if "pooled" in note]


def test_a_group_already_called_other_takes_the_small_ones_in() -> None:
    column = pd.Series(["other"] * 3 + ["paid"] * 3 + ["tv"], name="channel")
    found = pooled(column, 2)
    assert found.column.tolist() == ["other"] * 3 + ["paid"] * 3 + ["other"]
    assert found.column.cat.categories.tolist() == ["paid", "other"]
    assert found.note == (
        "channel: 'tv' (1 user) has fewer than 2 users and is pooled as 'other', together with those already called "
        "'other'."
    )
    assert pooled(column, 1).note is None
    assert pooled(column.iloc[:2], 5).note is None


def test_small_stages_stand_alone_and_are_named() -> None:
    found = churn_structure(world(60, seed=5), by="stage", horizons=[25])
    sizes = dict(zip(found.table["group"], found.table["n_users"], strict=True))
    assert sizes["mature"] < 30
    assert f"stage: only {sizes['mature']} users were ever in 'mature'; stages are not pooled." in found.notes
    never = churn_structure(world(60, seed=5, stages=Stages(starts={"new": 0, "huge": 500})), by="stage", horizons=[25])
    assert "stage: no user was ever in 'huge'." in never.notes
    assert any("all users stay in 'new', so that stages tell nothing" in note for note in never.notes)
    assert never.table["group"].tolist() == ["new"]


# ------------------------------------------------------------------------------------------------------ arguments


def test_of_the_default_variables_those_that_are_lacking_are_named() -> None:
    first = pd.Timestamp("2024-01-01")
    users = pd.DataFrame({"user_id": range(40), "registered_at": first})
    events = pd.DataFrame({"user_id": range(40), "event_at": first + pd.Timedelta(days=50)})
    log = ActivityLog(events, users, rule=ChurnRule(activity=None))
    found = churn_structure(log, horizons=[30])
    assert found.by == ("cohort",)
    assert [note.split(":")[0] for note in found.notes] == ["channel", "stage"]
    assert found.cross.empty
    with pytest.raises(InputError, match="'stage' is not among"):
        found.plot()
    with pytest.raises(InputError, match="users have no 'channel'"):
        churn_structure(log, by="channel")
    with pytest.raises(SchemaError, match="needs the column 'kind'"):
        churn_structure(log, by="stage")


def test_users_registered_before_the_log_are_left_out_and_said(log: ActivityLog) -> None:
    users, events = (log._reading.data[table] for table in ("users", "events"))
    late = ActivityLog(
        events, users, rule=RULE, stages=STAGES, observed_from="2024-02-01", observed_until=log.observed_until
    )
    found = churn_structure(late, horizons=[25])
    early = int((users["registered_at"] < "2024-02-01").sum())  # type: ignore[index]
    assert found.n_users == len(users) - early  # type: ignore[arg-type]
    assert found.notes[0] == f"{early:,} users registered before the log are left out: their first days were not seen."


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": "chanel"}, r"users have no 'chanel'. Did you mean 'channel'\?"),
        ({"by": "duration"}, "what is known at registration"),
        ({"by": ()}, "by is empty"),
        ({"horizons": ()}, "horizons is a list of days"),
        ({"horizons": [0]}, "1 or more"),
        ({"horizons": ["soon"]}, "must be whole days"),
        ({"min_users": 0}, "min_users must be a whole number of users"),
        ({"level": 95}, "level must lie between"),
    ],
)
def test_bad_arguments_are_named(log: ActivityLog, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        churn_structure(log, **settings)


def test_where_nobody_churned_there_is_no_structure() -> None:
    users = pd.DataFrame({"user_id": [1], "registered_at": ["2024-01-01"], "channel": ["paid"]})
    events = pd.DataFrame({"user_id": [1], "event_at": ["2024-01-09"], "kind": ["login"]})
    with pytest.raises(InputError, match=r"Nobody churned: none of the 1 first spells, followed for at most 8 days"):
        churn_structure(ActivityLog(events, users))


# ---------------------------------------------------------------------------------------------------- the result


def test_the_result_says_what_matters_and_changes_with_nothing(found: ChurnStructure) -> None:
    top = of(found.table, "channel").sort_values("share").iloc[-1]
    assert f"{found.n_churned:,} of {found.n_users:,} users churned in their first spell" in repr(found)
    assert f"channel {top['group']} {top['share']:.1%}" in repr(found)
    for name in ("table", "horizons", "cross"):
        copy = getattr(found, name)
        copy.iloc[0, -1] = 0
        assert not getattr(found, name).equals(copy)
    facts = json.loads(found.to_json())["facts"]
    assert facts["cross_horizon"] == found.cross_horizon
    assert len(facts["horizons"]["churned"]) == len(found.horizons)


def test_the_case_comes_out_of_the_simulated_app() -> None:
    found = churn_structure(ch.simulate_app(n_users=1_500, seed=2).log)
    shares = of(found.table, "stage").set_index("group")["share"]
    assert shares["new"] == shares.max() > 0.4
    worst = found.cross.query("rank == 1").set_index("stage")["channel"]
    assert worst["new"] == "distribution"
    assert worst["growth"] == "invitation"


def test_a_log_of_one_channel_and_channels_of_one_user_each(log: ActivityLog) -> None:
    users, events = (log._reading.data[table] for table in ("users", "events"))
    said = {}
    for name, channel in (("other", [f"c{i}" for i in range(len(users))]), ("only", "only")):  # type: ignore[arg-type]
        given = ActivityLog(events, users.assign(channel=channel), rule=RULE, stages=STAGES,  # type: ignore[union-attr]
                            observed_until=log.observed_until)  # fmt: skip
        found = churn_structure(given, by=["channel", "stage"], horizons=[25])
        row = of(found.table, "channel").iloc[0]
        assert (row["group"], row["share"], len(of(found.table, "channel"))) == (name, 1.0, 1)
        assert 0.97 < row["share_lower"] < row["share_upper"] <= 1
        assert found.cross["rank"].tolist() == [1.0] * 3
        said[name] = [note for note in found.notes if "pooled" in note]
    assert "'c0' (1 user)" in said["other"][0]
    assert "and 894 more have fewer than 30 users each and are pooled as 'other'" in said["other"][0]
    assert said["only"] == []


def test_shares_of_none_and_of_all_have_limits_inside_zero_and_one() -> None:
    found = churn_structure(world(60, seed=5), by="stage", horizons=[25], min_users=1)
    table = found.table
    assert (table["n_churned"] == 0).any() or (table["share"] < 1).all()
    assert (table["share_lower"] >= 0).all()
    assert (table["share_upper"] <= 1).all()


def test_where_few_were_followed_to_the_horizon_there_are_no_limits_and_that_is_said() -> None:
    """Nine or ten of 60 old enough: it is these that count, not how many of them are still at risk."""
    first = pd.Timestamp("2024-01-01")
    for n_old, limits in ((9, False), (10, True)):
        users = pd.DataFrame({"user_id": range(60), "channel": "paid"})
        users["registered_at"] = [first] * n_old + [first + pd.Timedelta(days=30)] * (60 - n_old)
        stays = [(user, first + pd.Timedelta(days=day), "login") for user in range(0, 60, 3) for day in range(3, 60, 3)]
        events = pd.DataFrame(stays, columns=["user_id", "event_at", "kind"])
        events = events[events["event_at"] > events["user_id"].map(users["registered_at"])]
        log = ActivityLog(events, users, rule=RULE, observed_until=(first + pd.Timedelta(days=59)).date())
        found = churn_structure(log, by="channel", horizons=[10, 40])
        early, late = found.horizons.to_dict("records")
        assert early["lower"] < early["churned"] < early["upper"]
        assert (late["n_followed_to"], late["std_error"] > 0) == (n_old, True)
        assert np.isnan([late["lower"], late["upper"]]).tolist() == [not limits] * 2
        note = "channel: fewer than 10 users were followed to day 40 since registration in 'paid' (9)"
        assert any(each.startswith(note) for each in found.notes) == (not limits)
