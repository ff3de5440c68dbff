"""Features as of a day: worked by hand, and blind to everything later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, ChurnRule, Feature, Stages
from churnsurv.data.feature import BUILT_IN as FEATURES
from churnsurv.data.feature import resolve
from churnsurv.data.rule import days_of
from churnsurv.errors import InputError, SchemaError
from tests.data.small import users_of

BUILT_IN = ["n_investments", "total_amount", "max_amount", "ever_boosted", "balance", "stage"]

EVENTS = pd.DataFrame(
    [
        # user, day, kind, amount, product: user 1 registers on 1 January, so that 11 January is day 10
        (1, "2024-01-01", "invest", 100.0, "plain"),
        (1, "2024-01-04", "invest", 40.5, "plain"),
        (1, "2024-01-06", "login", 9_999.0, None),
        (1, "2024-01-08", "redeem", 30.0, None),
        (1, "2024-01-11 23:59", "invest", None, "boosted"),
        (1, "2024-01-12", "invest", 5_000.0, "boosted"),
        (1, "2024-01-30", "login", None, None),
        (2, "2024-01-20", "login", None, None),
        (2, "2024-02-20", "invest", 1.0, "plain"),
    ],
    columns=["user_id", "event_at", "kind", "amount", "product"],
)
USERS = users_of({1: "2024-01-01", 2: "2024-01-05"})


def log_with(events: pd.DataFrame = EVENTS, **settings: Any) -> ActivityLog:
    settings.setdefault("rule", ChurnRule(idle_days=20, activity=("login", "invest")))
    return ActivityLog(events, USERS, observed_until="2024-03-01", **settings)


def values(features: list[Any], day: int = 10, log: ActivityLog | None = None, **settings: Any) -> list[list[Any]]:
    log = log or log_with(rule=ChurnRule(idle_days=9, activity=("login", "invest", "redeem")))
    table = log.churn_spells(features=features, baseline_day=day, **settings).table
    names = [feature if isinstance(feature, str) else feature.name for feature in features]
    return [list(row) for row in table[names].itertuples(index=False)]


def test_built_in_features_at_the_end_of_a_day() -> None:
    at_day = {
        0: [1, 100.0, 100.0, 0, 100.0, "new"],
        2: [1, 100.0, 100.0, 0, 100.0, "new"],
        3: [2, 140.5, 100.0, 0, 140.5, "new"],
        7: [2, 140.5, 100.0, 0, 110.5, "new"],
        10: [3, 140.5, 100.0, 1, 110.5, "growth"],
        11: [4, 5140.5, 5000.0, 1, 5110.5, "growth"],
    }
    for day, expected in at_day.items():
        assert values(BUILT_IN, day)[0] == expected, day


def test_a_user_without_matching_events_has_the_empty_values() -> None:
    log = log_with(rule=ChurnRule(idle_days=45))
    asked = [*BUILT_IN, Feature("least", agg="min", column="amount"), Feature("mean", agg="mean", column="amount")]
    row = values(asked, 3, log)[1]
    assert row[:6] == [0, 0.0, 0.0, 0, 0.0, "new"]
    assert np.isnan(row[6])
    assert np.isnan(row[7])


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (Feature("f", agg="count"), 5),
        (Feature("f", agg="count", kind=("invest", "redeem")), 4),
        (Feature("f", agg="count", column="amount"), 4),
        (Feature("f", agg="count", column="product", equals="plain"), 2),
        (Feature("f", agg="count", last=7), 3),
        (Feature("f", agg="count", last=1), 1),
        (Feature("f", agg="days", last=8), 4),
        (Feature("f", agg="days"), 5),
        (Feature("f", agg="any", kind="invest", last=6), 1),
        (Feature("f", agg="any", kind="redeem", last=3), 0),
        (Feature("f", agg="sum", column="amount", kind="invest", last=8), 40.5),
        (Feature("f", agg="min", column="amount"), 30.0),
        (Feature("f", agg="mean", column="amount", kind="invest"), 70.25),
        (Feature("f", agg="max", column="amount", kind="redeem", last=2), None),
        (Feature("f", agg="max", column="amount", kind="redeem", last=2, empty=-1), -1.0),
        (Feature("f", agg="count", column="amount", equals=40.5), 1),
    ],
)
def test_features_of_ones_own(feature: Feature, expected: Any) -> None:
    found = values([feature])[0][0]
    assert np.isnan(found) if expected is None else found == expected, found


def test_entry_is_raised_and_spells_that_end_before_are_counted() -> None:
    log = log_with()
    plain, raised = log.churn_spells(spells="all"), log.churn_spells(spells="all", baseline_day=10)
    # User 1: 1 January to 19 February, 49 days. User 2: churned on 9 February, day 35; back from 20 February.
    assert plain.table[["user_id", "entry", "duration"]].to_numpy().tolist() == [[1, 0, 49], [2, 0, 35], [2, 0, 10]]
    assert raised.table[["user_id", "entry", "duration"]].to_numpy().tolist() == [[1, 30, 49], [2, 30, 35]]
    assert raised.counts["ended_before_entry"] == 1
    assert raised.counts["person_days"] == 24
    assert log.churn_spells(baseline_day=15).counts["no_risk"] == 1
    assert raised.baseline_day == 10


def test_features_run_over_the_life_and_not_the_spell() -> None:
    log = log_with(rule=ChurnRule(idle_days=5, activity=("login", "invest")))
    spells = log.churn_spells(spells="all", features=["n_investments", "total_amount"], baseline_day=0)
    found = {
        (row.user_id, str(row.origin.date())): (row.n_investments, row.total_amount)
        for row in spells.table.itertuples(index=False)
    }
    assert found[1, "2024-01-01"] == (1, 100.0)
    assert found[1, "2024-01-30"] == (4, 5140.5)


def test_balance_from_its_own_table_is_the_last_one_known() -> None:
    balances = pd.DataFrame(
        [
            (1, "2024-01-03", 50.0),
            (1, "2024-01-05 09:00", 70.0),
            (1, "2024-01-05 18:00", 60.0),
            (1, "2024-01-05 18:00", 65.0),
            (1, "2024-01-12", 999.0),
        ],
        columns=["user_id", "date", "balance"],
    )
    log = log_with(balances=balances, rule=ChurnRule(idle_days=45))
    assert np.isnan(values(["balance"], 1, log)[0][0])
    assert [values(["balance"], day, log)[0][0] for day in (2, 3, 4, 10, 11)] == [50.0, 50.0, 65.0, 65.0, 999.0]
    assert np.isnan(values(["balance"], 10, log)[1][0])


def test_stages_are_steps_of_a_feature_in_their_order() -> None:
    log = log_with(
        stages=Stages("total_amount", {"small": 0, "middle": 101, "large": 5_000}), rule=ChurnRule(idle_days=45)
    )
    assert [values(["stage"], day, log)[0][0] for day in (0, 3, 11)] == ["small", "middle", "large"]
    table = log.churn_spells(features=["stage"], baseline_day=3).table
    assert table["stage"].tolist() == ["middle", "small"]
    assert table["stage"].cat.categories.tolist() == ["small", "middle"]


def test_an_attribute_called_stage_is_no_feature() -> None:
    log = ActivityLog(EVENTS, USERS.assign(stage=["b", "a"]))
    assert log.churn_spells().table["stage"].tolist() == ["b", "a"]
    with pytest.raises(InputError, match=r"cannot be called 'stage'"):
        log.churn_spells(features=["stage"], baseline_day=3)


def test_known_at_says_when_each_column_is_known() -> None:
    log = ActivityLog(EVENTS, USERS.assign(channel="x"))
    known = log.churn_spells(
        features=["max_amount", Feature("logins", agg="count", kind="login")], baseline_day=7
    ).known_at
    assert known == {
        "channel": "given",
        "registered_at": "origin",
        "cohort": "origin",
        "max_amount": "day 7",
        "logins": "day 7",
    }
    with pytest.raises(TypeError):
        known["channel"] = "origin"


@pytest.mark.parametrize("seed", range(3))
def test_events_after_the_day_change_no_feature(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, day = 4_000, 20
    users = users_of({user: pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(user % 40)) for user in range(120)})
    events = pd.DataFrame(
        {
            "user_id": rng.integers(0, 120, n),
            "event_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 150 * 86_400, n), unit="s"),
            "kind": rng.choice(["login", "invest", "redeem"], n),
            "amount": rng.lognormal(5, 2, n),
            "product": rng.choice(["plain", "boosted"], n),
        }
    )
    own = [Feature("mean", agg="mean", column="amount", last=9), Feature("days", agg="days", kind="login")]
    settings: dict[str, Any] = {"observed_from": "2024-01-01", "observed_until": "2024-05-30"}
    asked: dict[str, Any] = {"features": [*BUILT_IN, *own], "baseline_day": day, "spells": "first"}
    whole = ActivityLog(events, users, **settings).churn_spells(**asked).table.set_index("user_id")
    origin = users.set_index("user_id")["registered_at"]
    known = events["event_at"].dt.normalize() <= events["user_id"].map(origin) + pd.Timedelta(days=day)
    # Without later events everybody churns early: a longer log lets them stay in the table for the comparison.
    keep_alive = pd.DataFrame({"user_id": origin.index, "event_at": (origin + pd.Timedelta(days=day + 25)).to_numpy()})
    cut = pd.concat([events[known], keep_alive.assign(kind="login")], ignore_index=True)
    short = ActivityLog(cut.sample(frac=1, random_state=seed), users, **settings).churn_spells(**asked).table
    short = short.set_index("user_id")
    both = whole.index.intersection(short.index)
    assert len(both) > 60
    names = [*BUILT_IN, "mean", "days"]
    pd.testing.assert_frame_equal(whole.loc[both, names], short.loc[both, names], check_exact=True)


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (["ever_boosted"], SchemaError, r"Feature 'ever_boosted' needs the column 'product' of events"),
        (
            [Feature("fees", agg="sum", column="amonut")],
            SchemaError,
            r"needs the column 'amonut'.*Did you mean 'amount'",
        ),
        ([Feature("x", agg="sum", column="kind")], SchemaError, r"Feature 'x': 9 values of 'kind' in events are no"),
        ([Feature("duration", agg="count")], InputError, r"cannot be called 'duration'"),
        ([Feature("Cohort", agg="count")], InputError, r"cannot be called 'Cohort'"),
        ([Feature("a", agg="count"), Feature("a", agg="days")], InputError, r"'a' is there twice"),
    ],
)
def test_features_that_cannot_be(features: list[Any], error: type[Exception], message: str) -> None:
    log = ActivityLog(EVENTS.drop(columns="product"), USERS)
    with pytest.raises(error, match=message):
        log.churn_spells(features=features, baseline_day=3)


def test_a_stage_of_an_unknown_feature() -> None:
    log = log_with(stages=Stages("n_investmens", {"new": 0}))
    with pytest.raises(
        InputError, match=r"Stages.by: there is no feature 'n_investmens'. Did you mean 'n_investments'"
    ):
        log.churn_spells(features=["stage"], baseline_day=3)


def test_numbers_in_text_columns_of_a_csv(tmp_path: Any) -> None:
    EVENTS.assign(fee=range(9), vip=["true", "false", "1"] * 3).to_csv(tmp_path / "events.csv", index=False)
    log = ActivityLog(tmp_path / "events.csv", USERS, rule=ChurnRule(idle_days=45), observed_until="2024-03-01")
    asked = [
        "total_amount",
        Feature("fees", agg="sum", column="fee"),
        Feature("dear", agg="count", column="fee", equals=3),
        Feature("vip", agg="count", column="vip", equals=True),
    ]
    assert values(asked, 10, log)[0] == [140.5, 10.0, 1, 3]


@pytest.mark.parametrize("feature", ["idle_days", "active_days", "last_interval", "mean_interval"])
def test_activity_itself_is_no_feature(feature: str) -> None:
    with pytest.raises(InputError, match=rf"'{feature}' is no feature.*the outcome itself.*log\.gaps\(\)"):
        resolve([feature])


def test_share_needs_what_it_is_a_share_of() -> None:
    for parts in ({}, {"column": "product"}):
        with pytest.raises(InputError, match=r"Feature 'x': share needs column= and equals="):
            Feature("x", agg="share", **parts)
    with pytest.raises(InputError, match=r"Did you mean 'share'"):
        Feature("x", agg="shares", column="product", equals="boosted")
    assert FEATURES["boosted_share"].empty is None


def test_days_as_numbers_and_as_text() -> None:
    assert [days_of(value, "every", least=1) for value in (7, "7", "7d", " 30 d ", np.int64(5))] == [7, 7, 7, 30, 5]
    for wrong in ("", "d", "7 days", "1w", "-3d", "1.5d", "٣d", "9" * 40, 7.0, None, True):
        with pytest.raises(InputError, match="every must be"):
            days_of(wrong, "every", least=1)
    with pytest.raises(InputError, match="every must be a whole number of days, 1 or more"):
        days_of("0d", "every", least=1)
    with pytest.raises(InputError, match="over 270 years"):
        days_of("200000d", "every", least=1)
