"""The recall list: who is churned, why as far as that is known by then, and what is said when; no look ahead."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.action import Strategy
from churnsurv.action.recall_strategies import STRATEGIES, read_strategies
from churnsurv.errors import InputError, SchemaError

DAY = "2024-03-31"


@cache  # a log is frozen, and has read its tables once
def small_log(*, text: bool = False, extra: tuple[tuple[Any, ...], ...] = (), held: bool = False) -> ch.ActivityLog:
    """1 and 2 churned on 2024-02-09 and 2024-02-10; 3 churned on 2024-02-04, came back and is living; 4 is living."""
    rows = [
        (1, "invest", 500.0, "plain", "2024-01-09"), (1, "invest", 100.0, "plain", "2024-01-10"),
        (1, "invest", 700.0, "boosted", "2024-01-10"),
        (2, "login", None, None, "2024-01-11"),
        (3, "invest", 50.0, "boosted", "2024-01-05"), (3, "login", None, None, "2024-03-20"),
        (4, "login", None, None, "2024-01-20"), (4, "login", None, None, "2024-02-10"),
        (4, "login", None, None, "2024-03-05"),
        *extra,
    ]  # fmt: skip
    events = pd.DataFrame(rows, columns=["user_id", "kind", "amount", "product", "event_at"])
    users = pd.DataFrame({"user_id": [1, 2, 3, 4], "registered_at": "2024-01-01", "channel": ["a", "a", "b", None]})
    if text:
        events, users = (t.assign(user_id="u" + t["user_id"].astype(str)) for t in (events, users))
    balances = pd.DataFrame({"user_id": [1, 1], "date": ["2024-01-10", "2024-05-01"], "balance": [77.0, 5.0]})
    return ch.ActivityLog(events, users, balances=balances if held else None, observed_until="2024-06-30")


def feedback(*rows: tuple[Any, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "date", "reason"])


# --------------------------------------------------------------------------------------------------- who and what


def test_who_is_listed_with_what_worked_by_hand() -> None:
    found = ch.recall_list(small_log(), as_of=DAY)
    table = found.table
    assert list(table.columns) == list(ch.schema("recall_list").names)
    assert table["user_id"].tolist() == [1, 2]  # the highest total first
    assert table["churned_on"].dt.strftime("%Y-%m-%d").tolist() == ["2024-02-09", "2024-02-10"]
    assert table["days_since_churn"].tolist() == [51, 50]
    assert table["n_investments"].tolist() == [3, 0]
    assert table["total_amount"].tolist() == [1_300.0, 0.0]
    assert table["max_amount"].tolist() == [700.0, 0.0]
    assert table["ever_boosted"].tolist() == [1, 0]
    assert table["balance"].tolist() == [1_300.0, 0.0]
    assert table["stage"].tolist() == ["growth", "new"]
    assert table["preferred_product"].isna().tolist() == [False, True]
    assert table["preferred_product"].iloc[0] == "plain"
    assert table["reason"].tolist() == [None, None]
    assert any("There is no feedback" in note for note in found.notes)
    assert {"listed": 2, "told": 0, "likely": 0, "none": 2}.items() <= found.counts.items()
    assert "2 users churned" in repr(found)
    assert '"recall_list"' in found.to_json()


def test_the_day_of_churn_and_of_return_are_the_lists_edges() -> None:
    log = small_log()
    listed = {day: ch.recall_list(log, as_of=day).table["user_id"].tolist() for day in
              ("2024-02-03", "2024-02-04", "2024-02-09", "2024-03-19", "2024-03-20")}  # fmt: skip
    assert listed["2024-02-03"] == []
    assert listed["2024-02-04"] == [3]
    assert sorted(listed["2024-02-09"]) == [1, 3]
    assert sorted(listed["2024-03-19"]) == [1, 2, 3]
    assert sorted(listed["2024-03-20"]) == [1, 2]


def test_nothing_after_the_day_changes_the_list() -> None:
    told = feedback((1, "2024-02-20", "rigid"))
    later = ((2, "invest", 9e4, "boosted", "2024-04-01"), (1, "login", None, None, "2024-04-02"))
    more = pd.concat([told, feedback((2, "2024-04-01", "policy"), (9, "2024-04-01", "rigid"))])
    ours = ch.recall_list(small_log(), as_of=DAY, feedback=told)
    theirs = ch.recall_list(small_log(extra=later), as_of=DAY, feedback=more)
    pd.testing.assert_frame_equal(ours.table, theirs.table)
    pd.testing.assert_frame_equal(ours.chances, theirs.chances)
    pd.testing.assert_frame_equal(ours.responses, theirs.responses)
    assert dict(ours.counts) == dict(theirs.counts)


def test_the_order_of_rows_changes_nothing() -> None:
    app = ch.simulate_app(80, seed=2)
    log = ch.ActivityLog(
        app.events.sample(frac=1, random_state=1), app.users.iloc[::-1], balances=app.balances.iloc[::-1],
        observed_from=app.observed_from, observed_until=app.observed_until,
    )  # fmt: skip
    one = ch.recall_list(app.log, as_of="2025-03-01", feedback=app.feedback, min_probability=0.1)
    other = ch.recall_list(log, as_of="2025-03-01", feedback=app.feedback.iloc[::-1], min_probability=0.1)
    pd.testing.assert_frame_equal(one.table, other.table)
    own = ch.recall_list(app.log, as_of="2025-03-01", min_probability=0.1)  # the log has the same feedback itself
    pd.testing.assert_frame_equal(one.table, own.table)
    living = app.log.lifecycle("2025-03-01").users
    assert sorted(one.table["user_id"]) == sorted(living.loc[living["status"] == "churned", "user_id"])


def test_text_ids_since_and_features() -> None:
    told = feedback(("u1", "2024-02-20", "rigid"))
    own = ch.Feature("logins", agg="count", kind="login")
    found = ch.recall_list(small_log(text=True), as_of=DAY, feedback=told, since="2024-02-10", features=[own])
    assert found.table["user_id"].tolist() == ["u2"]
    assert found.table["logins"].tolist() == [1]
    assert found.counts["before_since"] == 1
    with pytest.raises(InputError, match="cannot be called 'balance'"):
        ch.recall_list(small_log(), as_of=DAY, features=["balance"])


def test_balances_of_their_own_and_preferred_products() -> None:
    ties = ((2, "invest", 10.0, "b", "2024-01-08"), (2, "invest", 10.0, "a", "2024-01-08"),
            (2, "invest", 10.0, "c", "2024-01-09"))  # fmt: skip
    table = ch.recall_list(small_log(held=True, extra=ties), as_of=DAY).table.set_index("user_id")
    assert table.loc[1, "balance"] == 77
    assert np.isnan(table.loc[2, "balance"])
    assert table.loc[1, "preferred_product"] == "plain"  # two of three
    assert table.loc[2, "preferred_product"] == "c"  # as often and as much as a and b, but last


def test_an_empty_list_has_its_columns_and_a_log_without_amounts_says_what_is_missing() -> None:
    empty = ch.recall_list(small_log(), as_of="2024-01-20", feedback=feedback()).table
    assert len(empty) == 0
    assert list(empty.columns) == list(ch.schema("recall_list").names)
    assert empty.dtypes["probability"] == np.float64
    assert empty.dtypes["not_before"] == "datetime64[s]"
    events = pd.DataFrame({"user_id": [1], "kind": ["login"], "event_at": ["2024-01-05"]})
    users = pd.DataFrame({"user_id": [1], "registered_at": ["2024-01-01"]})
    found = ch.recall_list(ch.ActivityLog(events, users, observed_until="2024-06-01"), as_of="2024-05-01")
    assert found.table["total_amount"].isna().all()
    assert any("do not tell" in note and "channel" in note for note in found.notes)


def test_users_registered_before_the_log() -> None:
    events = pd.DataFrame({"user_id": [1, 3], "kind": "login", "event_at": ["2024-01-05", "2024-03-01"]})
    users = pd.DataFrame({"user_id": [1, 2, 3], "registered_at": ["2023-06-01", "2023-06-01", "2024-01-01"]})
    log = ch.ActivityLog(events, users, observed_from="2024-01-01", observed_until="2024-06-01")
    found = ch.recall_list(log, as_of="2024-03-01")
    assert found.table["user_id"].tolist() == [1]
    assert found.counts["not_seen"] == 1
    assert found.counts["life_not_observed"] == 1
    assert any("nobody can say when they churned" in note for note in found.notes)


# --------------------------------------------------------------------------------------------------- reasons


def test_an_answer_counts_for_its_own_churn_alone() -> None:
    told = feedback(
        (1, "2024-01-09", "early"),  # before the day of the last activity
        (1, "2024-02-01", "rigid"), (1, "2024-02-15 09:00", "frustrated"), (1, "2024-02-15 18:00", "policy"),
        (3, "2024-02-01", "natural"),
        (2, "2024-03-20", None), (7, "2024-03-20", "rigid"), (2, "soon", "rigid"), (None, "2024-03-20", "rigid"),
    )  # fmt: skip
    found = ch.recall_list(
        small_log(extra=((3, "login", None, None, "2024-03-21"),)), as_of="2024-05-15", feedback=told
    )
    table = found.table.set_index("user_id")
    assert table.loc[1, "reason"] == "policy"  # the latest
    assert table.loc[1, "reason_from"] == "told"
    assert np.isnan(table.loc[1, "probability"])
    assert table.loc[3, "reason"] is None  # answered of an earlier churn
    assert table.loc[2, "reason"] is None
    left = {name: n for name, n in found.counts.items() if name.startswith("feedback")}
    assert left == {
        "feedback": 9, "feedback_missing_reason": 1, "feedback_unknown_user": 1, "feedback_unparsable_date": 1,
        "feedback_missing_user_id": 1,
    }  # fmt: skip
    assert found.counts["answered"] == 2
    assert found.counts["churns"] == 5
    assert any("fewer than 20" in note for note in found.notes)


@pytest.fixture(scope="module")
def asked() -> tuple[ch.ActivityLog, pd.DataFrame]:
    """120 churned users of channels a, b and c; 30 of a and 10 of b answered, 2 of c."""
    n = 120
    ids = np.arange(n)
    users = pd.DataFrame({"user_id": ids, "registered_at": "2024-01-01", "channel": np.repeat(list("abc"), 40)})
    events = pd.DataFrame({"user_id": ids, "kind": "login", "event_at": "2024-01-05"})
    who = np.concatenate([np.arange(30), 40 + np.arange(10), 80 + np.arange(2)])
    reasons = ["natural"] * 24 + ["rigid"] * 6 + ["rigid"] * 7 + ["natural"] * 3 + ["rigid"] * 2
    answers = pd.DataFrame({"user_id": who, "date": "2024-02-20", "reason": reasons})
    return ch.ActivityLog(events, users, observed_until="2024-06-01"), answers


def test_likely_reasons_by_channel(asked: tuple[ch.ActivityLog, pd.DataFrame]) -> None:
    log, answers = asked
    found = ch.recall_list(log, as_of="2024-03-01", feedback=answers)
    by = found.table.groupby(["channel", "reason_from"], observed=True)["reason"].agg(["unique", "size"])
    assert by.loc[("a", "likely"), "unique"] == ["natural"]
    assert by.loc[("a", "likely"), "size"] == 10
    assert by.loc[("b", "likely"), "unique"] == ["rigid"]
    silent = found.table[(found.table["channel"] == "c") & found.table["reason_from"].isna()]
    assert len(silent) == 38  # two answers are too few
    assert silent["reason"].tolist() == [None] * 38
    assert silent["probability"].isna().all()
    chances = found.chances
    assert chances.groupby(["stage", "channel"])["probability"].sum().to_numpy() == pytest.approx(1)
    assert ((chances["lower"] < chances["probability"]) & (chances["probability"] < chances["upper"])).all()
    mine = chances[(chances["channel"] == "a") & (chances["reason"] == "natural")].iloc[0]
    assert (mine["n_answers"], mine["n_reason"]) == (30, 24)
    assert 0.6 < mine["probability"] < 0.8  # drawn to the other channels, where it is rarer
    rows = found.table[(found.table["channel"] == "a") & (found.table["reason_from"] == "likely")]
    assert (
        rows[["probability", "lower", "upper"]].to_numpy() == mine[["probability", "lower", "upper"]].to_numpy()
    ).all()
    assert any("not missing at" in note for note in found.notes)


def test_below_the_least_probability_there_is_no_reason(asked: tuple[ch.ActivityLog, pd.DataFrame]) -> None:
    log, answers = asked
    found = ch.recall_list(log, as_of="2024-03-01", feedback=answers, min_probability=0.99)
    assert found.counts["likely"] == 0
    assert found.counts["told"] == 42
    few = ch.recall_list(log, as_of="2024-03-01", feedback=answers.iloc[:19], min_probability=0)
    assert few.counts["likely"] == 0


def test_who_answers_is_said_with_limits_and_corrected(asked: tuple[ch.ActivityLog, pd.DataFrame]) -> None:
    log, answers = asked
    found = ch.recall_list(log, as_of="2024-03-01", feedback=answers)
    rows = found.responses
    assert list(rows.columns) == list(ch.schema("recall_responses").names)
    channel = rows[rows["variable"] == "channel"].set_index("group")
    assert channel["n_answered"].to_dict() == {"a": 30, "b": 10, "c": 2}
    # (30 - 14)^2 + (10 - 14)^2 + (2 - 14)^2 = 416 over 40 x .35 x .65 = 9.1, two degrees of freedom
    assert channel["p_value"].iloc[0] == pytest.approx(np.exp(-416 / 9.1 / 2))
    assert channel["adjusted_p_value"].iloc[0] == channel["p_value"].iloc[0]  # the only variable with several groups
    assert rows.loc[rows["variable"] == "all", "share"].tolist() == [0.35]
    assert ((rows["lower"] <= rows["share"]) & (rows["share"] <= rows["upper"])).all()


@pytest.fixture(scope="module")
def simulated() -> tuple[Any, Any]:
    app = ch.simulate_app(2_000, seed=100)
    return app, ch.recall_list(app.log, as_of="2025-03-01", feedback=app.feedback, min_probability=0.3)


def test_likely_reasons_are_right_as_often_as_they_say(simulated: tuple[Any, Any]) -> None:
    """Against the hidden reasons of the simulated app; those who only pause have none and are left out."""
    app, found = simulated
    hidden = app.truth.reasons.assign(date=lambda t: pd.to_datetime(t["date"]).astype("datetime64[s]"))
    table = found.table.assign(date=found.table["churned_on"] - pd.Timedelta(days=30))
    both = table.merge(hidden.rename(columns={"reason": "true"})[["user_id", "date", "true"]], on=["user_id", "date"])
    likely = both[both["reason_from"] == "likely"]
    assert len(both) > 0.99 * len(table)
    assert len(likely) > 700
    right = (likely["reason"] == likely["true"]).mean()
    spread = 3 * np.sqrt(right * (1 - right) / len(likely))
    assert likely["lower"].mean() - spread < right < likely["upper"].mean() + spread
    told = both[both["reason_from"] == "told"]
    assert (told["reason"] == told["true"]).all()


def test_limits_hold_the_true_shares_of_reasons(simulated: tuple[Any, Any]) -> None:
    model = {name: dict(zip(("rigid", "frustrated", "policy", "natural"), p, strict=True)) for name, p in
             {"new": (0.10, 0.35, 0.15, 0.40), "later": (0.22, 0.23, 0.20, 0.35)}.items()}  # fmt: skip
    rows = simulated[1].chances
    true = [model["new" if s == "new" else "later"][r] for s, r in zip(rows["stage"], rows["reason"], strict=True)]
    assert ((rows["lower"] <= true) & (true <= rows["upper"])).mean() >= 0.85


# --------------------------------------------------------------------------------------------------- strategies


def test_the_strategies_of_the_case() -> None:
    answers = feedback((1, "2024-02-20", "natural"), (2, "2024-02-20", "frustrated"))
    table = ch.recall_list(small_log(), as_of=DAY, feedback=answers).table.set_index("user_id")
    assert table.loc[1, "message"] == "A coupon and an interest boost on plain are waiting for you."
    assert table.loc[1, "strategy"] == "at once; product matched"
    assert table.loc[1, "not_before"] == pd.Timestamp("2024-04-01")  # the day after
    assert table.loc[2, "strategy"] == "after the fix"
    assert pd.isna(table.loc[2, "not_before"])  # nothing says when it is mended
    answers = feedback((1, "2024-02-20", "rigid"), (2, "2024-02-20", "price"))
    found = ch.recall_list(small_log(), as_of=DAY, feedback=answers)
    table = found.table.set_index("user_id")
    assert table.loc[1, "not_before"] == pd.Timestamp("2024-05-09")  # 90 days after 2024-02-09
    assert table.loc[2, "strategy"] is None
    assert any("No strategy is given for 'price': 1 users" in note for note in found.notes)


def test_strategies_as_a_table_a_mapping_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "strategies.toml"
    file.write_text(
        '[strategies.frustrated]\nmessage = "Mended"\nafter = "fix"\nafter_on = 2024-04-20\n'
        '[strategies.unknown]\nmessage = "Hello"\nwait = "60d"\n',
        encoding="utf-8",
    )
    frame = pd.DataFrame(
        {"reason": ["frustrated", "unknown"], "message": ["Mended", "Hello"], "wait": [np.nan, 60],
         "after": ["fix", None], "after_on": [pd.Timestamp("2024-04-20"), pd.NaT]}
    )  # fmt: skip
    mapping = {
        "frustrated": Strategy("Mended", after="fix", after_on=date(2024, 4, 20)),
        "unknown": {"message": "Hello", "wait": 60},
    }
    answers = feedback((2, "2024-02-20", "frustrated"))
    read = [read_strategies(each) for each in (file, str(file), frame, mapping)]
    assert all(dict(each) == dict(read[0]) for each in read)
    table = ch.recall_list(small_log(), as_of=DAY, feedback=answers, strategies=file).table.set_index("user_id")
    assert table.loc[2, "not_before"] == pd.Timestamp("2024-04-20")
    assert table.loc[1, "message"] == "Hello"
    assert table.loc[1, "not_before"] == pd.Timestamp("2024-04-09")
    assert STRATEGIES["rigid"].wait == 90


@pytest.mark.parametrize(
    ("strategies", "what"),
    [
        ({}, "there is none"),
        ({"rigid": "wait"}, "needs a Strategy"),
        ({"rigid": {"wait": 3}}, "has no message"),
        ({"rigid": {"message": "x", "waits": 3}}, "Did you mean 'wait'"),
        ({"rigid": {"message": "x", "after": "fixed"}}, "Did you mean 'fix'"),
        ({"rigid": {"message": "x", "wait": -1}}, "'rigid': Strategy: wait must be"),
        ({"rigid": {"message": "x", "after_on": "2024-01-01"}}, "name it"),
        ({"rigid": {"message": "on {product}"}}, "product_matched=True"),
        ({"rigid": {"message": " "}}, "message is the text"),
        ({3: {"message": "x"}}, "a reason is text"),
        (pd.DataFrame({"reason": ["a", "a"], "message": ["x", "y"]}), "is there twice"),
        ("nowhere.toml", "no file"),
    ],
)
def test_strategies_that_make_no_sense(strategies: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_strategies(strategies)


def test_bad_arguments() -> None:
    log = small_log()
    with pytest.raises(InputError, match="outside the log"):
        ch.recall_list(log, as_of="2025-01-01")
    with pytest.raises(InputError, match="is after as_of"):
        ch.recall_list(log, as_of=DAY, since="2024-05-01")
    with pytest.raises(InputError, match="min_probability must lie"):
        ch.recall_list(log, as_of=DAY, min_probability=50)
    with pytest.raises(InputError, match="level must lie"):
        ch.recall_list(log, as_of=DAY, level=95)
    with pytest.raises(SchemaError, match="'reason' is missing"):
        ch.recall_list(log, as_of=DAY, feedback=pd.DataFrame({"user_id": [1], "date": ["2024-02-20"], "why": ["x"]}))
    with pytest.raises(SchemaError, match="user_id"):
        ch.recall_list(log, as_of=DAY, feedback=feedback(("u1", "2024-02-20", "rigid")))
