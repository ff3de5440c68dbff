"""Users in tiers: by hand, from every kind of table, and why."""

from __future__ import annotations

import datetime
import json
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from churnsurv.data import ActivityLog, Feature, connect
from churnsurv.errors import InputError, SchemaError
from churnsurv.tables import schema
from churnsurv.warning.rules import Rule
from tests.warning.schemes import HIGH, MEDIUM, THREE, rule, scheme

TWO = {"high": rule("idle_days > 15 and balance < 100"), "low": rule("idle_days > 7")}


def users(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def people() -> pd.DataFrame:
    """One user a case: at a threshold, beyond it, without a balance, churned, without idle days."""
    return users(
        user_id=["at", "beyond", "rich", "early", "fresh", "unknown", "gone", "lost"],
        idle_days=[15, 16, 16, 8, 7, 29, 30, None],
        balance=[99.99, 99.99, 100.0, 0.0, 0.0, None, 0.0, 0.0],
        ignored="x",
    )


def log() -> ActivityLog:
    days = ["2024-01-02", "2024-02-10", "2024-02-20", "2024-02-26", "2024-03-01"]
    events = users(user_id=["a", "b", "b", "c", "d"], event_at=days, kind="invest", amount=[50, 70, 500, 20, 5])
    registered = users(user_id=["a", "b", "c", "d"], registered_at="2024-01-01")
    return ActivityLog(events, registered)


# --------------------------------------------------------------------------------------------------------- assign


def test_the_highest_rule_that_holds_by_hand() -> None:
    found = scheme(TWO).assign(people())
    assert found.table["tier"].astype(object).where(found.table["tier"].notna(), None).tolist() == [
        *("low", "high", "low", "low", None, "low", None, None),
    ]  # fmt: skip
    assert dict(found.in_tier) == {"high": 1, "low": 4}
    assert dict(found.counts) == {"rows": 8, "no_tier": 3, "churned": 1, "missing": 2}
    assert found.notes == (
        "1 row idle for 30 days or more: churned already, and in no tier.",
        "1 row without idle_days: in no tier, as nothing says whether they churned.",
        "1 row without balance: no condition on it holds for them.",
    )
    assert repr(found) == "<TierAssignment: 1 high, 4 low, 3 in no tier, of 8 rows>"


def test_the_table_has_its_layout_and_an_ordered_tier() -> None:
    table = scheme(TWO).assign(people()).table
    assert list(table) == [*schema("tier_assignment").names, "balance"]
    assert table["tier"].cat.categories.tolist() == ["low", "high"]
    assert table["tier"].cat.ordered
    assert table["tier"].max() == "high"
    assert table["date"].isna().all()
    assert table["balance"].isna().sum() == 1
    told = json.loads(scheme(TWO).assign(people()).to_json())
    assert told["table"]["tier"][:2] == ["low", "high"]
    assert told["facts"]["counts"]["churned"] == 1


def test_what_stands_in_for_a_missing_value() -> None:
    told = scheme(TWO, missing={"balance": 0.0})
    found = told.assign(people())
    assert found.table.loc[5, "tier"] == "high"
    assert np.isnan(found.table.loc[5, "balance"])
    assert found.counts["missing"] == 1
    assert "1 row without balance: 0 stands in for it." in found.notes
    dear = scheme(TWO, missing={"balance": 100.0}).assign(people())
    assert dear.table.loc[5, "tier"] == "low"


@pytest.mark.parametrize("make", [pl.from_pandas, pa.Table.from_pandas, lambda frame: pl.from_pandas(frame).lazy()])
def test_any_table_gives_the_same(make: object) -> None:
    frame = people()
    wanted = scheme(TWO).assign(frame).table
    found = scheme(TWO).assign(make(frame)).table  # type: ignore[operator]
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_nullable_and_decimal_columns() -> None:
    frame = people().assign(idle_days=pd.array([15, 16, 16, 8, 7, 29, 30, None], dtype="Int16"))
    decimals = pa.table({**pa.Table.from_pandas(frame).to_pydict()}).set_column(
        2, "balance", pa.array(["99.99", "99.99", "100.00", "0", "0", None, "0", "0"]).cast(pa.decimal128(12, 2))
    )
    assert scheme(TWO).assign(frame).table["tier"].tolist() == scheme(TWO).assign(people()).table["tier"].tolist()
    assert scheme(TWO).assign(decimals).table["tier"].tolist() == scheme(TWO).assign(people()).table["tier"].tolist()


def test_a_snapshot_and_a_relation_of_it() -> None:
    told, own = scheme(THREE), log()
    assert told.features == ["balance", "n_investments"]
    snapshot = own.snapshot("2024-03-01", features=told.features)
    found = told.assign(snapshot)
    assert found.table["user_id"].tolist() == ["b", "c", "d"]
    assert found.table["tier"].isna().tolist() == [False, True, True]
    assert found.table.loc[0, "tier"] == "low"
    assert (found.table["date"] == "2024-03-01").all()
    relation = own.relation("snapshot", date="2024-03-01", features=told.features)
    theirs = told.assign(relation).table.sort_values("user_id", ignore_index=True)
    pd.testing.assert_frame_equal(theirs, found.table)
    panel = own.landmark_panel(every=10, features=told.features)
    assert told.assign(panel).counts["rows"] == len(panel.table)


def test_a_relation_of_an_engine_fetches_only_what_is_needed() -> None:
    with connect() as engine:
        found = scheme(TWO).assign(engine.sql("SELECT 1 AS user_id, 16 AS idle_days, 5 AS balance, [1] AS other"))
        assert list(found.table) == ["user_id", "date", "idle_days", "tier", "balance"]
        assert found.table["tier"].tolist() == ["high"]


def test_rows_stay_in_their_order_under_any_index() -> None:
    frame = people().set_index(pd.Index([3] * 8))
    assert scheme(TWO).assign(frame).table["user_id"].tolist() == frame["user_id"].tolist()


def test_no_rows_and_empty_tiers() -> None:
    nobody = scheme({"high": Rule(), "low": rule("idle_days > 7")})
    assert dict(nobody.assign(people()).in_tier) == {"high": 0, "low": 5}
    assert dict(scheme(TWO).assign(people().head(0)).counts) == {"rows": 0, "no_tier": 0, "churned": 0, "missing": 0}


def test_own_features_are_asked_for_and_used() -> None:
    days = Feature("days", agg="days")
    told = scheme({"high": rule("idle_days > 0 and days >= 2")}, variables=(days,))
    assert told.features == [days]
    found = told.assign(log().snapshot("2024-03-01", features=told.features)).table
    assert found["days"].tolist() == [2, 1, 1]
    assert found["tier"].notna().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": {"balance": "balanse"}}, "'balance' is missing. Did you mean 'balanse'"),
        ({"columns": {"idle_days": "idle"}}, "'idle_days' is missing"),
        ({"columns": {"user_id": "user"}}, "'user_id' is missing. Did you mean 'user'"),
    ],
)
def test_missing_columns_are_named(change: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        scheme(TWO).assign(people().rename(**change))


def test_bad_columns() -> None:
    with pytest.raises(SchemaError, match="'balance' must hold numbers"):
        scheme(TWO).assign(people().assign(balance="many"))
    with pytest.raises(InputError, match=r"idle_days .* 1 such row, first at row 0 \(-1"):
        scheme(TWO).assign(people().assign(idle_days=[-1, *range(7)]))
    with pytest.raises(InputError, match="called 'tier', which is a column of the answer"):
        scheme({"high": rule("tier < 3")}).assign(people().assign(tier=1))


def test_a_log_is_no_snapshot() -> None:
    with pytest.raises(InputError, match=r"pass log\.snapshot\(day"):
        scheme(TWO).assign(log())


def test_a_snapshot_of_another_rule_is_refused() -> None:
    told = scheme(TWO)
    for other in (log().with_rule(14), log().with_rule(activity=["invest"])):
        with pytest.raises(InputError, match="fitted to 30 days without login or invest"):
            told.assign(other.snapshot("2024-03-01", features=told.features))
        with pytest.raises(InputError, match=r"log\.with_rule"):
            told.assign(other.relation("snapshot", date="2024-03-01", features=told.features))
    turned = log().with_rule(activity=["invest", "login"])  # the same kinds
    assert told.assign(turned.snapshot("2024-03-01", features=told.features)).counts["rows"] == 3


def test_asking_changes_nothing() -> None:
    frame, told = people(), scheme(TWO, missing={"balance": 0.0})
    before, text = frame.copy(), told.to_json()
    found = told.assign(frame)
    found.table["tier"] = None
    told.explain(frame, "rich")
    pd.testing.assert_frame_equal(frame, before)
    assert told.to_json() == text
    assert found.table["tier"].notna().any()


# -------------------------------------------------------------------------------------------------------- explain


def test_every_condition_from_the_highest_tier_down() -> None:
    found = scheme(THREE).explain(people().assign(n_investments=5), "rich")
    table = found.table
    assert list(table) == list(schema("tier_explanation").names)
    assert table["tier"].tolist() == ["high"] * 5 + ["medium"] + ["low"] * 2
    assert table["alternative"].tolist() == [1, 1, 2, 2, 2, 1, 1, 1]
    assert table["holds"].tolist() == [True, False, False, True, False, True, True, True]
    assert table["misses_by"].tolist() == [0, 0, 5, 0, 2, 0, 0, 0]
    assert table["value"].tolist() == [16, 100, 16, 100, 5, 16, 16, 100]
    assert (found.tier, found.idle_days, found.days_left) == ("medium", 16, 14)


def test_the_tier_is_that_of_assign_for_everybody() -> None:
    rng = np.random.default_rng(4)
    frame = users(
        user_id=np.arange(80),
        idle_days=rng.integers(0, 34, 80),
        balance=rng.choice([0, 50, 99.5, 100, 999, 1000, np.nan], 80),
        n_investments=rng.integers(0, 6, 80),
    )
    for missing in ({}, {"balance": 0.0}):
        told = scheme(THREE, missing=missing)
        for row in told.assign(frame).table.itertuples():
            found = told.explain(frame, row.user_id)
            assert found.tier == (row.tier if isinstance(row.tier, str) else None)
            holding = found.table.groupby(["tier", "alternative"], sort=False)["holds"].all()
            tiers = [tier for tier, _ in holding[holding].index]
            assert found.tier == (tiers[0] if tiers and row.idle_days < 30 else None)


def test_days_left_are_those_of_the_rule() -> None:
    told, own = scheme(TWO), log()
    snapshot = own.snapshot("2024-03-01", features=told.features)
    found = told.explain(snapshot, "b")
    assert (found.days_left, found.churn_date) == (20, datetime.date(2024, 3, 21))
    churned = own.churn_spells().table  # whoever stays silent churns on that day
    assert churned["user_id"].tolist() == ["a", "b", "c", "d"]
    later = ActivityLog(
        users(user_id=["b", "d"], event_at=["2024-02-20", "2024-04-10"], kind="invest", amount=1),
        users(user_id=["b", "d"], registered_at="2024-02-01"),
    )
    ended = later.churn_spells().table.set_index("user_id").loc["b"]
    assert bool(ended["churned"])
    assert ended["end_date"].date() == found.churn_date


def test_words_for_whoever_makes_the_call() -> None:
    frame = people().assign(date=pd.Timestamp("2025-01-31"))
    told = scheme(TWO)
    assert told.explain(frame, "beyond").text == (
        "User beyond is in the warning tier high at the end of 2025-01-31: idle for 16 days (more than 15) and balance "
        "99.99 (below 100). Without activity (login or invest) the user counts as churned in 14 days, on 2025-02-14. "
        "Of the users warned in this tier when the rule was fitted, 33% churned."
    )
    assert told.explain(frame, "at").text.endswith(
        "If the user stays silent and nothing else changes, the tier becomes high on idle day 16, in 1 day."
    )
    assert "Silence alone does not lead to the tier high: the balance is 100, not below 100." in (
        told.explain(frame, "rich").text
    )
    fresh = told.explain(frame.assign(idle_days=0), "fresh").text
    assert "in no warning tier at the end of 2025-01-31: no rule holds. The user was active on that day." in fresh
    assert "the tier becomes low on idle day 8, in 8 days." in fresh
    assert "has churned already" in told.explain(frame, "gone").text
    assert "how long the user has been idle is not known" in told.explain(frame, "lost").text
    assert "The balance is not known, so that no condition on it holds." in told.explain(frame, "unknown").text
    assert str(told.explain(frame, "gone")) == told.explain(frame, "gone").text


def test_the_words_ahead_come_true() -> None:
    told = scheme(THREE)
    for balance in (50.0, 100.0, 5000.0):
        for investments in (1, 5):
            days = users(user_id=range(30), idle_days=range(30), balance=balance, n_investments=investments)
            tiers = told.assign(days).table["tier"].astype(object).tolist()
            for day, (today, tomorrow) in enumerate(pairwise(tiers)):
                said = f"on idle day {day + 1}, in 1 day." in told.explain(days, day).text
                assert said == (today != tomorrow and isinstance(tomorrow, str))


def test_a_churned_user_has_no_days_left() -> None:
    found = scheme(TWO).explain(people(), "gone")
    assert (found.tier, found.days_left, found.churn_date) == (None, 0, None)
    lost = scheme(TWO).explain(people(), "lost")
    assert (lost.tier, lost.days_left, lost.idle_days) == (None, None, None)


def test_an_empty_tier_has_its_line() -> None:
    table = scheme({"high": Rule(), "medium": MEDIUM}).explain(people(), "rich").table
    assert table["condition"].tolist() == ["contact nobody", "idle_days > 10"]
    assert table["alternative"].isna().tolist() == [True, False]


def test_unknown_and_doubled_users() -> None:
    frame = people()
    with pytest.raises(InputError, match=r"no user 'beyon' .* nearest ids are 'beyond'"):
        scheme(TWO).explain(frame, "beyon")
    with pytest.raises(InputError, match="in 2 rows"):
        scheme(TWO).explain(pd.concat([frame, frame]), "rich")
    with pytest.raises(InputError, match="are none"):
        scheme(TWO).explain(frame.head(0), "rich")
    numbers = users(user_id=np.arange(50_000), idle_days=3, balance=1.0)
    assert scheme(TWO).explain(numbers, "17").user_id == 17
    with pytest.raises(InputError, match="'4999"):
        scheme(TWO).explain(numbers, 499_991)


def test_html_is_escaped_and_readable() -> None:
    frame = people().assign(user_id=[f"<b>{name}" for name in people()["user_id"]])
    html = scheme({"<i>": HIGH, "low": MEDIUM}).explain(frame.assign(n_investments=1), "<b>rich")._repr_html_()
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;b&gt;rich" in html
    assert "<td>yes</td>" in html
    assert "<td>balance &lt; 100</td>" in html
    assert "nan" not in html.lower().replace("information", "")


def test_the_result_as_json_and_repr() -> None:
    found = scheme(TWO).explain(people(), "beyond")
    assert repr(found) == (
        "<Explanation: user beyond: tier high; idle for 16 days; 14 days to formal churn; churn is 30 days without "
        "login or invest>"
    )
    told = json.loads(found.to_json())
    assert told["facts"]["tier"] == "high"
    assert told["facts"]["text"] == found.text
