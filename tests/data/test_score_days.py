"""A given score on the idle days of gaps, against looking it up day by day; and what a table may have wrong."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import churnsurv as ch
from churnsurv.data.score_days import score_days
from churnsurv.errors import InputError, SchemaError
from tests.data.spark import on_spark, spark  # noqa: F401

FIRST, LAST = pd.Timestamp("2024-01-01"), pd.Timestamp("2024-03-15")
IDLE = 6


def log_and_scores(seed: int, n_users: int = 25) -> tuple[ch.ActivityLog, pd.DataFrame]:
    """Users with a few active days each, one of whom is never scored; scores on days before, in and after gaps."""
    rng = np.random.default_rng(seed)
    users = pd.DataFrame({"user_id": range(n_users), "registered_at": FIRST})
    users["registered_at"] += pd.to_timedelta(rng.integers(0, 40, n_users), unit="D")
    rows = [
        (user, start + pd.Timedelta(days=int(day)))
        for user, start in users.itertuples(index=False)
        for day in rng.integers(0, 75, rng.integers(0, 12))
        if start + pd.Timedelta(days=int(day)) <= LAST
    ]
    events = pd.DataFrame(rows, columns=["user_id", "event_at"]).assign(kind="login")
    scored = pd.DataFrame(
        [
            (user, FIRST + pd.Timedelta(days=int(day)), float(np.round(rng.normal(), 1)))
            for user in range(1, n_users)
            for day in rng.choice(75, rng.integers(0, 30), replace=False)
        ],
        columns=["user_id", "date", "score"],
    ).sample(frac=1.0, random_state=seed)
    log = ch.ActivityLog(
        events, users, rule=ch.ChurnRule(idle_days=IDLE), observed_from=FIRST.date(), observed_until=LAST.date()
    )
    return log, scored.reset_index(drop=True)


def day_by_day(log: ch.ActivityLog, scored: pd.DataFrame, followed: int = IDLE) -> list[dict[str, Any]]:
    """Each gap that is followed for so many days with its score on each idle day, looked up one by one."""
    table = log.gaps(features=[]).table
    table = table[table["start_date"] <= LAST - pd.Timedelta(days=followed)]
    found = []
    for gap in table.itertuples():
        churned = not gap.returned or gap.duration > IDLE
        mine = scored[scored["user_id"] == gap.user_id].sort_values("date")
        scores, ages, own = {}, {}, set()
        for day in range(1, IDLE if churned else min(IDLE, gap.duration)):
            date = gap.start_date + pd.Timedelta(days=day)
            known = mine[mine["date"] <= date]
            if (mine["date"] == date).any():
                own.add(day)
            scores[day] = known["score"].iloc[-1] if len(known) else None
            ages[day] = (date - known["date"].iloc[-1]).days if len(known) else 0
        duration = IDLE + 1 if churned else gap.duration
        told = {"start": gap.start_date, "duration": duration, "registration": gap.registration_gap}
        found.append(told | {"scores": scores, "ages": ages, "own": own})
    return found


def rises(scores: dict[int, float | None]) -> list[tuple[int, float]]:
    found, highest = [], -np.inf
    for day, score in scores.items():
        if score is not None and score > highest:
            found.append((day, score))
            highest = score
    return found


@pytest.mark.parametrize("seed", range(3))
def test_records_are_those_of_looking_day_by_day(seed: int) -> None:
    log, scored = log_and_scores(seed)
    found, expected = score_days(log, scored), day_by_day(log, scored)
    assert found.duration.tolist() == [gap["duration"] for gap in expected]
    assert found.registration_gap.tolist() == [gap["registration"] for gap in expected]
    got = [[] for _ in expected]
    for gap, day, score in zip(found.gap, found.day, found.score, strict=True):
        got[gap].append((day, score))
    assert got == [rises(gap["scores"]) for gap in expected]
    assert found.days == sum(len(gap["scores"]) for gap in expected)
    held = [(gap, day) for gap in expected for day, score in gap["scores"].items() if score is not None]
    assert found.days_before == found.days - len(held)
    assert found.days_carried == sum(day not in gap["own"] for gap, day in held)
    assert found.longest_carry == max(gap["ages"][day] for gap, day in held)
    assert found.never == sum(bool(gap["scores"]) and not any(s is not None for s in gap["scores"].values())
                              for gap in expected)  # fmt: skip
    assert found.rows["read"] == found.rows["used"] == len(scored)


def test_without_rises_every_row_of_a_gap_is_there() -> None:
    log, scored = log_and_scores(1)
    found, expected = score_days(log, scored, rises=False), day_by_day(log, scored)
    for place, gap in enumerate(expected):
        mine = found.gap == place
        days = [day for day, score in gap["scores"].items() if score is not None and (day == 1 or day in gap["own"])]
        assert found.day[mine].tolist() == days
        assert found.score[mine].tolist() == [gap["scores"][day] for day in days]


def test_gaps_of_some_days_are_those_of_all() -> None:
    log, scored = log_and_scores(2)
    table = log.gaps(features=[]).table
    starts = table["start_date"][table["start_date"] <= LAST - pd.Timedelta(days=IDLE)]
    some = starts.between("2024-01-20", "2024-02-10").to_numpy()
    whole = score_days(log, scored)
    part = score_days(log, scored, first_start="2024-01-20", last_start=datetime.date(2024, 2, 10))
    assert part.duration.tolist() == whole.duration[some].tolist()
    assert part.score.tolist() == whole.score[some[whole.gap]].tolist()
    with pytest.raises(InputError, match="not all in it"):
        score_days(log, scored, last_start="2024-03-14")


def test_any_table_gives_the_same(tmp_path: Any) -> None:
    log, scored = log_and_scores(3)
    text = scored.assign(date=scored["date"].dt.strftime("%Y-%m-%d"), user_id=scored["user_id"].astype(str))
    scored.to_parquet(tmp_path / "churnsurv_1_scores.parquet")
    text.to_csv(tmp_path / "scores.csv", index=False)
    expected = score_days(log, scored)
    tables = [
        text, pl.from_pandas(scored), pa.Table.from_pandas(scored), tmp_path / "churnsurv_1_scores.parquet",
        str(tmp_path / "scores.csv"), scored.assign(date=scored["date"] + pd.Timedelta(hours=23)),
        scored.assign(score=scored["score"].astype("float32").astype(str)),
    ]  # fmt: skip
    for table in tables:
        found = score_days(log, table)
        assert found.duration.tolist() == expected.duration.tolist()
        assert found.gap.tolist() == expected.gap.tolist()
        assert found.score.tolist() == expected.score.tolist()
    with ch.connect() as engine:
        other = ch.ActivityLog(
            log._reading.data["events"], log._reading.data["users"], rule=log.rule,
            observed_from=FIRST.date(), observed_until=LAST.date(), engine=engine,
        )  # fmt: skip
        engine.sql("SELECT 1")  # the engine's own relation
        relation = engine._connection.from_arrow(pa.Table.from_pandas(text))
        assert score_days(other, relation).score.tolist() == expected.score.tolist()


def test_nothing_stays_in_the_engine() -> None:
    log, scored = log_and_scores(0)
    before = None
    for _ in range(2):
        score_days(log, scored)
        there = sorted(log.engine.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal"))
        there += sorted(log.engine.rows("SELECT table_name FROM duckdb_tables()"))
        assert before is None or there == before
        before = there
    with pytest.raises(InputError, match="no row can be used"):
        score_days(log, scored.assign(user_id=999))
    there = sorted(log.engine.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal"))
    assert there + sorted(log.engine.rows("SELECT table_name FROM duckdb_tables()")) == before


def test_rows_that_cannot_be_used_are_counted() -> None:
    log, scored = log_and_scores(0)
    user, date, score = scored.iloc[0]
    odd = [
        (999, date, score), (user, pd.Timestamp("2024-03-16"), score), (user, pd.Timestamp("2023-12-31"), score),
        (user, date, None), (user, date, score), (user, None, score), (None, date, score), (3, date, None),
    ]  # fmt: skip
    rows = pa.Table.from_pylist(
        [{"user_id": u, "date": d, "score": s} for u, d, s in [*scored.itertuples(index=False), *odd]]
    )
    found = score_days(log, rows)
    assert {reason: n for reason, n in found.rows.items() if n} == {
        "read": len(scored) + 8, "used": len(scored), "repeated": 1, "missing_user_id": 1, "unknown_user": 1,
        "missing_date": 1, "outside_log": 2, "no_score": 2,
    }  # fmt: skip
    assert found.score.tolist() == score_days(log, scored).score.tolist()


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (lambda t: t.assign(score=np.inf), InputError, "infinite or no numbers, such as 'inf'"),
        (lambda t: t.assign(score="high"), InputError, "no numbers, such as 'high'"),
        (lambda t: t.assign(score=True), SchemaError, "'score' has type BOOLEAN"),
        (lambda t: t.assign(score=None), InputError, r"no row can be used \(.* no score\)"),
        (lambda t: t.assign(date="soon"), InputError, r"no row can be used \(.* unparsable date\)"),
        (lambda t: t.rename(columns={"score": "scores"}), SchemaError, r"'score' is missing.*Rename its columns\.$"),
        (lambda t: t.assign(user_id="a" + t["user_id"].astype(str)), SchemaError, "ids of the same type"),
        (lambda t: pd.concat([t, t.tail(1).assign(score=9.0)]), InputError, r"1 users and dates .* and 9\. Keep"),
        (lambda t: t.iloc[:0], InputError, "no rows"),
        (lambda t: t["score"], InputError, "cannot be read"),
        (lambda _: None, InputError, "no table was given"),
    ],
)
def test_tables_that_cannot_be_used(changed: Any, error: type[Exception], message: str) -> None:
    log, scored = log_and_scores(0)
    with pytest.raises(error, match=message):
        score_days(log, changed(scored))


@on_spark
def test_spark_gives_the_same(spark: Any) -> None:  # noqa: F811
    log, scored = log_and_scores(1)
    with ch.connect(spark=spark) as engine:
        other = ch.ActivityLog(
            log._reading.data["events"], log._reading.data["users"], rule=log.rule,
            observed_from=FIRST.date(), observed_until=LAST.date(), engine=engine,
        )  # fmt: skip
        found, expected = score_days(other, scored), score_days(log, scored)
        for name in ("block", "duration", "registration_gap", "gap", "day", "score"):
            assert getattr(found, name).tolist() == getattr(expected, name).tolist()
        assert (found.rows, found.days, found.never) == (expected.rows, expected.days, expected.never)
