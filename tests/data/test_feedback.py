"""Feedback of a log: what is rejected, what an as-of log knows, and the spell that an answer is about."""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnsurv.data import ActivityLog, connect
from churnsurv.data.arrow import to_pandas
from churnsurv.data.feedback import asked_churns
from churnsurv.errors import InputError, SchemaError
from tests.data.spark import on_spark, spark  # noqa: F401

DAY = datetime.timedelta(days=1)
FIRST = datetime.date(2024, 1, 1)


def day(number: int) -> str:
    return str(FIRST + number * DAY)


USERS = pd.DataFrame({"user_id": [1, 2, 3], "registered_at": [day(0), day(0), day(40)], "channel": ["a", "b", "a"]})
# User 1 churns on day 40, returns on day 60, churns on day 90; 2 is active on every tenth day; 3 churns on day 70.
EVENTS = pd.DataFrame(
    {
        "user_id": [1, 1, *[2] * 20],
        "event_at": [day(10), day(60), *(day(number) for number in range(5, 205, 10))],
        "kind": "login",
    }
)


def answers(*rows: tuple[object, object, object]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["user_id", "date", "reason"])


def log(feedback: object = None, **settings: object) -> ActivityLog:
    return ActivityLog(EVENTS, USERS, feedback=feedback, observed_until=day(200), **settings)  # type: ignore[arg-type]


def told(feedback: pd.DataFrame, **settings: object) -> list[tuple[object, ...]]:
    found = to_pandas(asked_churns(log(feedback), within=30, **settings).answers)  # type: ignore[arg-type]
    return [
        (row.user_id, row.code, None if pd.isna(row.spell) else int(row.spell), row.status)
        for row in found.itertuples()
    ]


def test_every_kind_of_row_that_cannot_be_used_has_its_reason() -> None:
    feedback = answers(
        (1, day(45), "rigid"), (9, day(45), "rigid"), (None, day(45), "rigid"), (1, None, "rigid"),
        (1, "soon", "rigid"), (1, day(45), " "), (1, day(201), "rigid"), (1, "2023-12-31", "rigid"),
    )  # fmt: skip
    some = log(feedback)
    assert list(some.rejects[["table", "row", "reason", "value"]].itertuples(index=False, name=None)) == [
        ("feedback", 1, "unknown_user", "9"),
        ("feedback", 2, "missing_user_id", None),
        ("feedback", 3, "missing_date", None),
        ("feedback", 4, "unparsable_date", "soon"),
        ("feedback", 5, "missing_reason", None),
        ("feedback", 6, "outside_window", day(201)),
        ("feedback", 7, "outside_window", "2023-12-31"),
    ]
    assert {name: some.counts[name] for name in ("feedback_read", "feedback", "feedback_rejected")} == {
        "feedback_read": 8, "feedback": 1, "feedback_rejected": 7,
    }  # fmt: skip
    problems = {problem.problem: problem for problem in some.check().problems if problem.table == "feedback"}
    assert set(problems) == set(some.rejects["reason"])
    assert problems["outside_window"].n_rows == 2


def test_a_log_without_feedback_is_what_it_was() -> None:
    with_answers = log(answers((1, day(45), "rigid")))
    without = log()
    assert "feedback" not in without.counts
    for table in ("churn_spells", "gaps", "history", "landmark_panel"):
        pd.testing.assert_frame_equal(getattr(with_answers, table)().table, getattr(without, table)().table)
    assert "feedback" not in with_answers.to_sql("spells", spells="all")
    pd.testing.assert_frame_equal(with_answers.rejects, without.rejects)


@pytest.mark.parametrize(
    ("date", "spell", "status"),
    [
        (9, None, "not_churned"),  # active again in the same spell
        (10, 1, "counts"),  # in the app, on its last day
        (11, 1, "counts"),  # idle, and churned thirty days later
        (40, 1, "counts"),
        (60, 1, "counts"),  # the day of the return, though it is also the last active one of the next spell
        (61, 2, "counts"),
        (120, 2, "counts"),
        (121, 2, "too_late"),
    ],
)
def test_an_answer_is_about_the_spell_that_ended_before_it(date: int, spell: int | None, status: str) -> None:
    assert told(answers((1, day(date), "x")), spells="all") == [(1, "x", spell, status)]


def test_answers_of_users_who_did_not_churn_or_are_not_looked_at() -> None:
    feedback = answers((2, day(97), "a"), (2, day(198), "b"), (1, day(91), "c"), (3, day(99), "d"))
    assert told(feedback) == [
        (1, "c", 2, "left_out"),
        (2, "a", None, "not_churned"),
        (2, "b", 1, "not_churned"),
        (3, "d", 1, "counts"),
    ]


def test_churns_of_the_last_days_are_followed_but_not_asked_about() -> None:
    found = asked_churns(log(answers((3, day(75), "d"), (1, day(41), "c"))).as_of(day(75)), within=30)
    spells = to_pandas(found.spells).set_index("user_id")
    assert found.until == FIRST + 45 * DAY
    assert spells["churned"].to_dict() == {1: True, 2: False, 3: False}
    assert spells["duration"].to_dict() == {1: 40, 2: 45, 3: 5}
    assert to_pandas(found.answers)["status"].tolist() == ["counts", "window_open"]


def test_an_as_of_log_knows_only_what_was_answered_by_then() -> None:
    feedback = answers((1, day(45), "early"), (1, day(50), "late"))
    as_of = log(feedback).as_of(day(45))
    assert as_of.counts["feedback"] == 1
    found = to_pandas(asked_churns(as_of, within=5).answers)
    assert found["code"].tolist() == ["early"]
    pd.testing.assert_frame_equal(found, to_pandas(asked_churns(log(feedback[:1]).as_of(day(45)), within=5).answers))


def test_a_table_given_with_the_question_is_read_like_the_logs_own() -> None:
    feedback = answers((1, day(45), "rigid"), (3, day(75), "policy"), (9, day(75), "policy"))
    own, given = asked_churns(log(feedback), within=30), asked_churns(log(), feedback=feedback, within=30)
    as_text = asked_churns(log(), feedback=feedback.astype({"user_id": str}), within=30)
    for other in (given, as_text):
        pd.testing.assert_frame_equal(to_pandas(own.answers), to_pandas(other.answers))
        assert own.counts == other.counts
    pd.testing.assert_frame_equal(to_pandas(own.spells), to_pandas(given.spells))


def test_what_is_known_of_users_and_answers_may_have_any_name() -> None:
    """Names that the statements use themselves; `reason`, `tenure` and `place` are columns of the result."""
    users = USERS.assign(status="ok", code="c", route="r", answered_on="d", fate="f", moment="m", end="e", n_rows=1)
    feedback = answers((1, day(45), "x"), (9, day(45), "x")).assign(
        fine="f", verdict="v", moment="m", status="s", spell=7, churned="c", n_rows=5, given="g"
    )
    some = ActivityLog(EVENTS, users, feedback=feedback, observed_until=day(200))
    assert some.counts["feedback_rejected"] == 1
    assert some.rejects["reason"].tolist() == ["unknown_user"]
    found = asked_churns(some, within=30)
    assert to_pandas(found.answers)[["code", "status"]].to_numpy().tolist() == [["x", "counts"]]
    assert to_pandas(found.spells)["status"].tolist() == ["ok"] * 3
    for taken in ("Tenure", "place", "reason"):
        with pytest.raises(SchemaError, match=f"map it: columns={{'users': {{'user_{taken}': '{taken}'}}}}"):
            asked_churns(ActivityLog(EVENTS, USERS.assign(**{taken: 1}), feedback=feedback), within=30)


def test_rows_given_twice_are_one_answer() -> None:
    once = answers((1, f"{day(45)} 09:00", "x"), (1, f"{day(45)} 10:00", "x"), (3, day(75), "y")).assign(route="call")
    several = pd.concat([once, once[:1], once[2:], once[2:].assign(route="mail")])
    found, alone = asked_churns(log(several), within=30), asked_churns(log(once), within=30)
    assert found.counts["equal_feedback"] == 2
    assert found.counts["feedback"] == 6
    assert alone.counts["equal_feedback"] == 0
    assert found.answers.num_rows == alone.answers.num_rows + 1


@pytest.mark.parametrize("kind", ["time", "text", "zones"])
def test_answers_of_one_day_stand_in_the_order_of_their_times(kind: str) -> None:
    times = [f"{day(45)} 18:00:00", f"{day(45)} 09:30:00", f"{day(45)} 12:00:00"]
    if kind == "zones":
        times = [f"{day(45)}T18:00+08:00", f"{day(45)}T09:30+00:00", f"{day(45)}T14:00+03:00"]
    feedback = answers(*((1, time, code) for time, code in zip(times, "azb", strict=True)))
    if kind == "time":
        feedback["date"] = pd.to_datetime(feedback["date"])
    found = to_pandas(asked_churns(log(feedback), within=30).answers)
    assert found["code"].tolist() == (["z", "a", "b"] if kind == "zones" else ["z", "b", "a"])


def test_whole_numbers_stay_whole_where_one_is_missing() -> None:
    feedback = pd.DataFrame({"user_id": [1, 3, 2], "date": [day(45), day(75), day(97)], "reason": [1.0, 20.0, np.nan]})
    assert to_pandas(asked_churns(log(feedback), within=30).answers)["code"].tolist() == ["1", "20"]


def test_features_are_those_of_the_day_of_churn() -> None:
    events = pd.concat(
        [EVENTS, pd.DataFrame({"user_id": 1, "event_at": [day(10), day(60)], "kind": "invest", "amount": 5.0})]
    )
    some = ActivityLog(events, USERS, feedback=answers((1, day(45), "x")), observed_until=day(200))
    spells = to_pandas(asked_churns(some, within=30, spells="all").spells)
    mine = spells[spells["user_id"] == 1]
    assert mine["n_investments"].tolist() == [1, 2]
    assert mine["tenure"].tolist() == [10, 60]
    assert spells.loc[spells["user_id"] == 2, "n_investments"].isna().all()


def test_names_are_mapped_and_nobody_needs_to_have_answered() -> None:
    theirs = pd.DataFrame({"who": [1], "on": [day(45)], "why": ["rigid"], "route": ["call"]})
    mapped = log(theirs, columns={"feedback": {"user_id": "who", "date": "on", "reason": "why"}})
    assert to_pandas(asked_churns(mapped, within=30).answers)["route"].tolist() == ["call"]
    nobody = log(answers())
    assert nobody.counts["feedback"] == 0
    assert nobody.rejects.empty
    assert asked_churns(nobody, within=30).answers.num_rows == 0


def test_what_cannot_be_asked_says_so() -> None:
    with pytest.raises(InputError, match="The log has no feedback"):
        asked_churns(log(), within=30)
    with pytest.raises(InputError, match="no churn has had 300 days for an answer"):
        asked_churns(log(answers((1, day(45), "x"))), within=300)
    with pytest.raises(SchemaError, match="'reason' is missing"):
        log(pd.DataFrame({"user_id": [1], "date": [day(1)]})).churn_spells()


def test_every_answer_is_judged_as_by_a_loop_over_days() -> None:
    rng = np.random.default_rng(5)
    active = {user: sorted({0, *rng.integers(0, 400, 6).tolist()}) for user in range(30)}
    users = pd.DataFrame({"user_id": list(active), "registered_at": day(0)})
    events = pd.DataFrame([(u, day(d), "login") for u, days in active.items() for d in days[1:]],
                          columns=["user_id", "event_at", "kind"])  # fmt: skip
    rows = [(int(u), int(d)) for u, d in zip(rng.integers(0, 30, 200), rng.integers(1, 400, 200), strict=True)]
    feedback = answers(*((u, day(d), "x") for u, d in rows))
    some = ActivityLog(events, users, feedback=feedback, observed_until=day(400))
    found = to_pandas(asked_churns(some, within=20, spells="all").answers)
    expected = sorted((u, d, status(active[u], d, end=400, within=20)) for u, d in set(rows))
    days = (pd.to_datetime(found["answered_on"]) - pd.Timestamp(FIRST)).dt.days
    assert sorted(zip(found["user_id"], days, found["status"], strict=True)) == expected


def status(active: list[int], answered: int, *, end: int, within: int) -> str:
    back = any(each == answered and answered - before > 30 for before, each in pairwise(active))
    last = max(each for each in active if each < answered or (each == answered and not back))
    churned = last + 30
    if churned > end or any(last < each <= churned for each in active):
        return "not_churned"
    if answered > churned + within:
        return "too_late"
    return "counts" if churned <= end - within else "window_open"


@on_spark
def test_spark_gives_the_same_answers_and_rejects(spark: Any) -> None:  # noqa: F811
    feedback = answers(
        (1, day(45), "rigid"), (1, day(61), "policy"), (2, day(97), "a"), (9, day(45), "x"), (3, "soon", "x"),
        (3, day(99), "natural"), (1, day(201), "x"), (3, f"{day(99)} 10:00", "a"), (1, day(60), "b"),
        (1, day(45), "rigid"),
    )  # fmt: skip
    with connect(spark=spark) as engine:
        one, other = log(feedback), log(feedback, engine=engine)
        pd.testing.assert_frame_equal(one.rejects, other.rejects)
        assert dict(one.counts) == dict(other.counts)
        here, there = (asked_churns(each, within=30, spells="all") for each in (one, other))
        for name in ("spells", "answers"):
            pd.testing.assert_frame_equal(to_pandas(getattr(here, name)), to_pandas(getattr(there, name)))
        assert here.counts == there.counts
