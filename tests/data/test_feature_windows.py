"""Features at the end of many days at once: against a plain count over the events, and to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churnsurv.data import ActivityLog, ChurnRule, Feature, Stages, connect
from churnsurv.data.feature import BUILT_IN, resolve
from churnsurv.data.features_sql import answers_sql, changes_sql, default_features
from churnsurv.errors import InputError, SchemaError
from tests.data.small import users_of
from tests.data.spark import on_spark
from tests.data.spark import spark as session  # noqa: F401 - a fixture

START = date(2024, 3, 1)
DAY = timedelta(days=1)
KINDS = ("login", "invest", "redeem")
STATE = ["idle_days", "active_days", "mean_interval", "last_interval", "last_active"]
Row = dict[str, Any]


def answers(
    log: ActivityLog, features: Sequence[Any], asked: Sequence[tuple[Any, date]], *, state: bool = False
) -> pd.DataFrame:
    """The answers to questions (user_id, day), in their order of user and day."""
    reading = log._reading
    table = pa.table({"id": [user for user, _ in asked], "as_of": pa.array([day for _, day in asked], pa.date32())})
    given = reading.engine.register("asked", table)
    questions = f"(SELECT u._user_key, g.as_of FROM {given} AS g JOIN {reading.users} AS u ON u.user_id = g.id)"
    sql = answers_sql(reading, log.rule, resolve(features), log.stages, questions, state=state)
    rows = f"SELECT u.user_id, a.* FROM ({sql}) AS a JOIN {reading.users} AS u ON u._user_key = a._user_key"
    found = reading.engine.arrow(f"{rows} ORDER BY user_id, as_of").to_pandas()
    assert sorted(asked) == list(zip(found["user_id"], found["as_of"], strict=True))
    return found


def plain(values: Any) -> list[Any]:
    return [None if pd.isna(value) else value for value in values]


def random_log(seed: int, *, n: int = 900, **settings: Any) -> tuple[ActivityLog, list[Row], dict[int, date]]:
    """Thirty users over sixty days, some registered before the log; floats of more digits than a millionth."""
    rng = np.random.default_rng(seed)
    registered = {user: START + int(rng.integers(-10, 40)) * DAY for user in range(30)}
    rows: list[Row] = []
    for _ in range(n):
        user = int(rng.integers(0, 28))
        day = max(registered[user], START) + int(rng.integers(0, 12) * rng.integers(1, 4)) * DAY
        if day < START + 60 * DAY:
            rows.append(
                {
                    "user_id": user,
                    "event_at": day,
                    "kind": str(rng.choice(KINDS)),
                    "amount": float(rng.lognormal(4, 3)) if rng.random() < 0.8 else None,
                    "product": rng.choice(["plain", "boosted", None]),
                    "fee": Decimal(int(rng.integers(-500, 500))) / 100 if rng.random() < 0.9 else None,
                    "tries": int(rng.integers(0, 4)),
                }
            )
    events = pa.Table.from_pylist(rows).set_column(
        5, "fee", pa.array([row["fee"] for row in rows], pa.decimal128(12, 2))
    )
    settings = {"observed_from": START, "observed_until": START + 59 * DAY, **settings}
    return ActivityLog(events, users_of(registered), **settings), rows, registered


def every_question(registered: dict[int, date], rng: np.random.Generator, share: float = 0.5) -> list[tuple[int, date]]:
    days = [START + n * DAY for n in range(-15, 60)]
    return [(user, day) for user, day in product(registered, days) if rng.random() < share]


# ----------------------------------------------------------------------------------------------------- brute force


def millionths(value: Any) -> int:
    if isinstance(value, float):
        value = Decimal(value * 1e6).quantize(Decimal(1), ROUND_HALF_UP) / 1_000_000
    return int(value * 1_000_000)


def expected(feature: Feature, rows: list[Row], user: int, day: date) -> Any:
    """A feature by its words: the user's events up to the end of the day, of these kinds, of the last so many days."""
    mine = [row for row in rows if row["user_id"] == user and row["event_at"] <= day]
    if feature.last is not None:
        mine = [row for row in mine if (day - row["event_at"]).days < feature.last]
    if feature.kinds is not None:
        mine = [row for row in mine if row["kind"] in feature.kinds]
    if feature.agg == "share":
        return sum(row[feature.column] == feature.equals for row in mine) / len(mine) if mine else feature.empty
    if feature.column is not None:
        mine = [row for row in mine if row[feature.column] is not None]
    if feature.equals is not None:
        mine = [row for row in mine if row[feature.column] == feature.equals]
    if not mine:
        return feature.empty
    if feature.agg in {"count", "any", "days"}:
        days = {row["event_at"] for row in mine}
        return {"count": len(mine), "any": 1, "days": len(days)}[feature.agg]
    values = [row[feature.column] for row in mine]
    if feature.agg in {"max", "min"}:
        return float({"max": max, "min": min}[feature.agg](values))
    total = sum(map(millionths, values)) / 1_000_000  # of whole numbers: rounded once, at the end
    return total / len(values) if feature.agg == "mean" else total


def all_features() -> list[Feature]:
    kinds, lasts = (None, "invest", ("login", "redeem")), (None, 1, 7)
    made: list[dict[str, Any]] = []
    for agg in ("count", "any", "days"):
        made += [{"agg": agg}, {"agg": agg, "empty": -1.5}, {"agg": agg, "empty": 7}]
        made += [{"agg": agg, "column": "product", "equals": value} for value in (None, "boosted", "absent")]
        made += [{"agg": agg, "column": "tries", "equals": 2}]
    for agg in ("sum", "mean", "max", "min"):
        made += [{"agg": agg, "column": column} for column in ("amount", "fee", "tries")]
        made += [{"agg": agg, "column": "amount", "empty": 0.25}]
    made += [{"agg": "share", "column": "product", "equals": "boosted", "empty": empty} for empty in (None, 0)]
    made += [{"agg": "share", "column": "tries", "equals": 3}]
    every = product(made, kinds, lasts)
    return [Feature(f"f{n}", kind=kind, last=last, **parts) for n, (parts, kind, last) in enumerate(every)]


@pytest.mark.parametrize("seed", [0, 1])
def test_every_aggregate_against_a_plain_count(seed: int) -> None:
    log, rows, registered = random_log(seed)
    asked = every_question(registered, np.random.default_rng(seed), 0.08)
    assert len(all_features()) == 360
    features = all_features()[seed::2]
    found = answers(log, features, asked)
    assert len(found) > 100
    of_user = {user: [row for row in rows if row["user_id"] == user] for user in registered}
    for feature in features:
        by_hand = [expected(feature, of_user[user], user, day) for user, day in sorted(asked)]
        assert plain(found[feature.name]) == by_hand, feature


def test_an_answer_does_not_depend_on_what_else_is_asked() -> None:
    log, _, registered = random_log(3)
    rng = np.random.default_rng(3)
    features = [*all_features()[::29], *BUILT_IN, "balance", "stage"]
    asked = every_question(registered, rng, 0.3)
    together = answers(log, features, asked, state=True)
    for feature in features:
        column = feature if isinstance(feature, str) else feature.name
        few = asked[:: rng.integers(1, 40)]
        alone = answers(log, [feature], few).set_index(["user_id", "as_of"])[column]
        there = together.set_index(["user_id", "as_of"])[column].loc[sorted(few)]
        pd.testing.assert_series_equal(alone, there, check_exact=True)


@pytest.mark.parametrize("seed", [4, 5])
@pytest.mark.parametrize("activity", [("login", "invest"), ("redeem",), None])
def test_state_against_a_list_of_active_days(seed: int, activity: tuple[str, ...] | None) -> None:
    log, rows, registered = random_log(seed, n=300, rule=ChurnRule(idle_days=9, activity=activity))
    asked = every_question(registered, np.random.default_rng(seed))
    found = answers(log, ["n_investments"], asked, state=True)
    assert found[STATE].notna().any().all()
    for (user, day), *state in zip(sorted(asked), *(plain(found[column]) for column in STATE), strict=True):
        active = {row["event_at"] for row in rows if row["user_id"] == user and row["kind"] in (activity or KINDS)}
        days = sorted(each for each in active | {registered[user]} if START <= each <= day)
        gaps = [(late - early).days for early, late in pairwise(days)]
        by_hand = [
            (day - days[-1]).days if days else None,
            len(days),
            sum(gaps) / len(gaps) if gaps else None,
            gaps[-1] if gaps else None,
            days[-1] if days else None,
        ]
        assert state == by_hand, (user, day)


def test_state_worked_by_hand() -> None:
    events = pd.DataFrame(
        [
            (1, "2024-03-05", "login"),
            (1, "2024-03-05", "invest"),
            (1, "2024-03-06", "redeem"),
            (1, "2024-03-12", "login"),
            (2, "2024-03-05", "redeem"),
        ],
        columns=["user_id", "event_at", "kind"],
    )
    # User 1 registers on 2 March; user 2 before the log, so that this day is not one of the log's.
    log = ActivityLog(
        events, users_of({1: "2024-03-02", 2: "2024-02-01"}), observed_from=START, observed_until="2024-04-01"
    )
    days = [date(2024, 3, day) for day in (1, 2, 4, 5, 6, 12, 20)]
    found = answers(log, [], [(user, day) for user in (1, 2) for day in days], state=True)
    assert [plain(row) for row in found.loc[found["user_id"] == 1, STATE].itertuples(index=False)] == [
        [None, 0, None, None, None],
        [0, 1, None, None, date(2024, 3, 2)],
        [2, 1, None, None, date(2024, 3, 2)],
        [0, 2, 3.0, 3, date(2024, 3, 5)],
        [1, 2, 3.0, 3, date(2024, 3, 5)],
        [0, 3, 5.0, 7, date(2024, 3, 12)],
        [8, 3, 5.0, 7, date(2024, 3, 12)],
    ]
    assert found.loc[found["user_id"] == 2, "active_days"].tolist() == [0] * 7
    assert found.loc[found["user_id"] == 2, "last_active"].isna().all()


def test_types_of_the_answers() -> None:
    log, _, registered = random_log(6, n=200)
    reading = log._reading
    asked = [*BUILT_IN, "balance", "stage", Feature("half", agg="count", empty=0.5)]
    questions = f"(SELECT _user_key, DATE '2024-03-20' AS as_of FROM {reading.users})"
    view = reading.engine.view(
        "typed", answers_sql(reading, log.rule, resolve(asked), log.stages, questions, state=True)
    )
    assert reading.engine.describe(view) == {
        "_user_key": "INTEGER",
        "as_of": "DATE",
        "n_investments": "INTEGER",
        "total_amount": "DOUBLE",
        "max_amount": "DOUBLE",
        "ever_boosted": "INTEGER",
        "boosted_share": "DOUBLE",
        "balance": "DOUBLE",
        "stage": "VARCHAR",
        "half": "DOUBLE",
        "idle_days": "INTEGER",
        "active_days": "INTEGER",
        "mean_interval": "DOUBLE",
        "last_interval": "INTEGER",
        "last_active": "DATE",
    }
    nothing = answers_sql(reading, log.rule, (), log.stages, questions)
    assert reading.engine.rows(f"SELECT count(*) FROM ({nothing}) AS a") == [(len(registered),)]


# ------------------------------------------------------------------------------------------------ balance and stage


def test_before_registration_counts_are_zero_and_balance_and_stage_unknown() -> None:
    events = pd.DataFrame(
        {"user_id": [1, 1], "event_at": ["2024-03-10", "2024-03-12"], "kind": ["invest", "redeem"], "amount": [9.5, 4]}
    )
    balances = pd.DataFrame({"user_id": [1], "date": ["2024-03-04"], "balance": [70.0]})
    asked = [(1, date(2024, 3, day)) for day in (5, 7, 8, 10, 12)]
    features = ["n_investments", "total_amount", "max_amount", "balance", "stage"]
    users = users_of({1: "2024-03-08"})
    log = ActivityLog(events, users, observed_from=START)
    assert [plain(row)[2:] for row in answers(log, features, asked).itertuples(index=False, name=None)] == [
        [date(2024, 3, 5), 0, 0.0, 0.0, None, None],
        [date(2024, 3, 7), 0, 0.0, 0.0, None, None],
        [date(2024, 3, 8), 0, 0.0, 0.0, 0.0, "new"],
        [date(2024, 3, 10), 1, 9.5, 9.5, 9.5, "new"],
        [date(2024, 3, 12), 1, 9.5, 9.5, 5.5, "new"],
    ]
    log = ActivityLog(events, users, observed_from=START, balances=balances)
    assert plain(answers(log, ["balance"], asked)["balance"]) == [None, None, 70.0, 70.0, 70.0]


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP"])
@pytest.mark.parametrize("seed", [7, 8])
def test_balances_against_a_plain_look(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    registered = {user: START + int(rng.integers(0, 20)) * DAY for user in range(12)}
    # Several on a day, and some from before the log: they are known in it.
    rows = [
        (int(user), np.datetime64(START) + int(day), int(hour), float(balance))
        for user, day, hour, balance in zip(
            rng.integers(0, 11, 150), rng.integers(-20, 50, 150), rng.integers(0, 3, 150), rng.normal(50, 40, 150),
            strict=True,
        )
    ]  # fmt: skip
    moments = [day.astype("datetime64[s]") + (hour * 3600 if kind == "TIMESTAMP" else 0) for _, day, hour, _ in rows]
    table = pa.table(
        {
            "user_id": [row[0] for row in rows],
            "date": pa.array(moments, pa.timestamp("s")).cast(pa.date32() if kind == "DATE" else pa.timestamp("us")),
            "balance": [row[3] for row in rows],
        }
    )
    events = pd.DataFrame({"user_id": [0], "event_at": [START], "kind": ["login"]})
    log = ActivityLog(
        events, users_of(registered), balances=table, observed_from=START, observed_until=START + 60 * DAY
    )
    asked = [(user, START + n * DAY) for user in registered for n in range(0, 60, 3)]
    found = plain(answers(log, ["balance"], asked)["balance"])
    by_hand = []
    for user, day in sorted(asked):
        known = [
            (row[1], row[2] * (kind == "TIMESTAMP"), row[3])
            for row in rows
            if row[0] == user and row[1] <= np.datetime64(day)
        ]
        by_hand.append(max(known)[2] if known and day >= registered[user] else None)
    assert found == by_hand
    assert None in found


def test_balance_and_stage_from_amounts() -> None:
    log, rows, registered = random_log(9, stages=Stages("total_amount", {"small": 0, "middle": 50, "large": 5_000}))
    asked = every_question(registered, np.random.default_rng(9), 0.2)
    found = answers(log, ["balance", "stage"], asked)
    for user, day, balance, stage in zip(
        *zip(*sorted(asked), strict=True), plain(found["balance"]), plain(found["stage"]), strict=True
    ):
        if day < registered[user]:
            assert (balance, stage) == (None, None)
            continue
        paid = expected(Feature("paid", agg="sum", column="amount", kind="invest"), rows, user, day)
        mine = [row for row in rows if row["user_id"] == user and row["event_at"] <= day and row["amount"] is not None]
        signs = {"invest": 1, "redeem": -1, "login": 0}
        assert balance == sum(signs[row["kind"]] * millionths(row["amount"]) for row in mine) / 1_000_000
        assert stage == ("large" if paid >= 5_000 else "middle" if paid >= 50 else "small")


# ------------------------------------------------------------------------------------------------------ exact sums


def sums_of(values: Any, kind: Any) -> pd.DataFrame:
    amounts = pa.array(values, kind)
    events = pa.table({"user_id": [1] * len(amounts), "event_at": [START] * len(amounts), "fee": amounts})
    log = ActivityLog(events, users_of({1: START}), rule=ChurnRule(activity=None))
    asked = [Feature(agg, agg=agg, column="fee") for agg in ("sum", "mean", "max", "min")]
    return answers(log, asked, [(1, START)])


def test_floats_are_added_exactly_to_a_millionth() -> None:
    assert sums_of([0.1] * 10, pa.float64())["sum"].tolist() == [1.0]
    assert sums_of([0.1, 0.2], pa.float64())["sum"].tolist() == [0.3]
    assert sums_of([1e12, 0.000001, -1e12], pa.float64())["sum"].tolist() == [0.000001]
    assert sums_of([0.1] * 3, pa.float32())["sum"].tolist() == [0.3]
    # What is finer than a millionth is rounded, half of one away from zero; the highest and lowest stay what they are.
    fine = sums_of([0.0000005, 0.0000004, 0.0000004], pa.float64())
    assert fine[["sum", "max", "min"]].to_numpy().tolist() == [[0.000001, 0.0000005, 0.0000004]]
    assert sums_of(["0.1", "0.2", " ", None], pa.string())["sum"].tolist() == [0.3]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([8_999_999_999_999.0, 8_999_999_999_998.5] * 600, pa.float64()),
        ([-8_999_999_999_999.25, 3.125] * 601, pa.float64()),
        ([2**53 + 1, 2**53 + 3, 5], pa.int64()),
        ([2**62 + 1] * 5, pa.int64()),
        ([-7, 3], pa.int8()),
        ([2**64 - 1, 2**64 - 3], pa.uint64()),
        ([Decimal("90071992547409.93"), Decimal("0.01")], pa.decimal128(18, 2)),
        ([Decimal("-123456789012345678.91")] * 7, pa.decimal128(20, 2)),
        ([Decimal("1234567890.12345678901234567890")] * 3, pa.decimal128(38, 20)),
        ([Decimal("0.1")] * 3, pa.decimal128(2, 1)),
    ],
)
def test_sums_are_the_number_nearest_to_the_exact_one(values: list[Any], kind: Any) -> None:
    found = sums_of(values, kind).iloc[0]
    exact = sum(map(Decimal, values))
    assert found["sum"] == float(exact)
    assert found["mean"] == float(exact) / len(values)
    assert [found["max"], found["min"]] == [float(max(values)), float(min(values))]


def test_neither_order_nor_threads_change_a_bit() -> None:
    _, rows, registered = random_log(10, n=4_000)
    asked = every_question(registered, np.random.default_rng(10), 0.2)
    features = [*BUILT_IN, "balance", Feature("mean", agg="mean", column="amount", last=9)]
    tables = []
    for seed, threads in ((0, 1), (1, 2), (2, 1), (3, 2)):
        shuffled = pa.Table.from_pylist(rows).take(np.random.default_rng(seed).permutation(len(rows)))
        with connect(threads=threads) as engine:
            log = ActivityLog(shuffled, users_of(registered), observed_from=START, engine=engine)
            tables.append(answers(log, features, asked, state=True))
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], check_exact=True)


@on_spark
def test_spark_adds_to_the_same_bits(session: Any) -> None:  # noqa: F811
    rng = np.random.default_rng(13)
    n = 120
    columns = {
        "small": pa.array(rng.lognormal(2, 3, n)),
        "large": pa.array(rng.normal(0, 3e12, n).clip(-8.9e12, 8.9e12)),
        "whole": pa.array(rng.integers(-(2**62), 2**62, n)),
        "decimal": pa.array([Decimal(int(each)).scaleb(-9) for each in rng.integers(-(2**62), 2**62, n)]),
        "text": pa.array([f"{each:.7f}" for each in rng.normal(0, 1e6, n)]),
    }
    days = pa.array([START + int(day) * DAY for day in rng.integers(0, 30, n)])
    events = pa.table({"user_id": rng.integers(0, 3, n), "event_at": days, **columns})
    features = [Feature(f"mean_{column}", agg="mean", column=column) for column in columns]
    features += [Feature(f"sum_{column}", agg="sum", column=column, last=9) for column in columns]
    asked = list(product(range(3), [START + day * DAY for day in range(-2, 30, 4)]))
    tables = []
    for engine in (connect(), connect(spark=session)):
        log = ActivityLog(
            events, users_of(dict.fromkeys(range(3), START)), rule=ChurnRule(activity=None), engine=engine
        )
        tables.append(answers(log, features, asked).drop(columns="_user_key"))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_amounts_too_large_are_rejects() -> None:
    values = [9e12, -9e12, 8.9e12, 1e300]
    events = pd.DataFrame({"user_id": 1, "event_at": START, "kind": "invest", "amount": values})
    balances = pd.DataFrame({"user_id": 1, "date": START, "balance": ["9000000000000", "1.5"]})
    log = ActivityLog(events, users_of({1: START}), balances=balances)
    rejects = log.rejects[["table", "row", "reason", "value"]].to_numpy().tolist()
    assert rejects == [
        ["events", 0, "amount_too_large", "9000000000000.0"],
        ["events", 1, "amount_too_large", "-9000000000000.0"],
        ["events", 3, "amount_too_large", "1e+300"],
        ["balances", 0, "balance_too_large", "9000000000000"],
    ]
    found = answers(log, ["n_investments", "total_amount", "balance"], [(1, START)])
    assert found.iloc[0, 3:].tolist() == [1, 8.9e12, 1.5]


def test_decimals_and_whole_numbers_are_never_too_large() -> None:
    for kind in (pa.int64(), pa.decimal128(18, 2)):
        amounts = pa.array([9 * 10**14] * 3, kind)
        events = pa.table({"user_id": [1] * 3, "event_at": [START] * 3, "kind": ["invest"] * 3, "amount": amounts})
        log = ActivityLog(events, users_of({1: START}))
        assert log.rejects.empty
        assert answers(log, ["total_amount"], [(1, START)])["total_amount"].tolist() == [2.7e15]


def test_other_columns_too_large_to_be_added_are_an_error() -> None:
    with pytest.raises(SchemaError, match=r"Feature 'sum': 2 values of 'fee' in events are 9e12 or more.*DECIMAL"):
        sums_of([1.0, 9e12, -1e13], pa.float64())
    events = pd.DataFrame({"user_id": 1, "event_at": START, "fee": [1.0, 1e20]})
    log = ActivityLog(events, users_of({1: START}), rule=ChurnRule(activity=None))
    assert answers(log, [Feature("most", agg="max", column="fee")], [(1, START)])["most"].tolist() == [1e20]


# ---------------------------------------------------------------------------------------------------- what changes


@pytest.mark.parametrize("with_balances", [False, True])
def test_features_change_on_no_other_days(with_balances: bool) -> None:
    table = {"user_id": [0, 0, 3], "date": [START + 3 * DAY, START + 30 * DAY, START + 50 * DAY], "balance": 1.0}
    balances = {"balances": pd.DataFrame(table)} if with_balances else {}
    log, _, registered = random_log(11, n=120, **balances)
    features = resolve([*BUILT_IN, "balance", "stage", *all_features()[::13]])
    days = [START + n * DAY for n in range(-12, 60)]
    found = answers(log, features, list(product(registered, days))).set_index(["user_id", "as_of"])
    before = found.groupby("user_id").shift()
    changed = (found != before) & ~(found.isna() & before.isna())
    real = {key for key in found.index[changed.any(axis=1)] if key[1] > days[0]}
    reading = log._reading
    sql = changes_sql(reading, features, log.stages)
    rows = reading.engine.rows(
        f"SELECT u.user_id, c.day FROM ({sql}) AS c JOIN {reading.users} AS u ON u._user_key = c._user_key"
    )
    assert len(rows) == len(set(rows))
    assert {key for key in real if key[1] >= START} <= set(rows)
    assert len(real) > 100


def test_days_of_change_worked_by_hand() -> None:
    events = pd.DataFrame(
        {
            "user_id": 1,
            "event_at": ["2024-03-03", "2024-03-05", "2024-03-06", "2024-03-07"],
            "kind": ["login", "invest", "redeem", "invest"],
            "amount": [1.0, 2.0, 3.0, None],
        }
    )
    log = ActivityLog(events, users_of({1: "2024-03-02"}))
    wanted: dict[Any, list[int]] = {
        "n_investments": [2, 5, 7],
        "total_amount": [2, 5],
        "balance": [2, 5, 6, 7],
        "stage": [2, 5, 7],
        Feature("logins", agg="count", kind="login", last=9): [2, 3, 12],
        Feature("all", agg="count", last=1): [2, 3, 4, 5, 6, 7, 8],
    }
    for feature, days in wanted.items():
        sql = changes_sql(log._reading, resolve([feature]), log.stages)
        rows = log.engine.rows(f"SELECT day FROM ({sql}) AS c ORDER BY day")
        assert [day.day for (day,) in rows] == days, feature
    assert len(log.engine.rows(changes_sql(log._reading, (), log.stages))) == 1


# --------------------------------------------------------------------------------------------------------- settings


def test_default_features_are_those_that_the_tables_can_answer() -> None:
    events = pd.DataFrame({"user_id": [1], "event_at": [START], "kind": ["login"], "amount": [1.0], "product": ["x"]})
    users = users_of({1: START})

    def names(columns: list[str], stages: Stages | None = None, **tables: Any) -> list[str]:
        settings = {"rule": ChurnRule(activity=None), **tables}
        log = ActivityLog(events[["user_id", "event_at", *columns]], settings.pop("users", users), **settings)
        asked = default_features(log._reading, stages)
        assert len(answers(log, asked, [(1, START)])) == 1
        return [feature if isinstance(feature, str) else feature.name for feature in asked]

    amounts = ["n_investments", "total_amount", "max_amount"]
    assert names(["kind", "amount", "product"]) == [*amounts, "ever_boosted", "boosted_share", "balance", "stage"]
    assert names(["kind", "amount"]) == [*amounts, "balance", "stage"]
    assert names(["kind"]) == ["n_investments", "stage"]
    assert names(["kind"], Stages("total_amount", {"a": 0})) == ["n_investments"]
    assert names(["product"]) == ["ever_boosted"]
    assert names([]) == []
    balances = pd.DataFrame({"user_id": [1], "date": [START], "balance": [1.0]})
    assert names([], balances=balances) == ["balance"]
    assert names(["kind", "amount"], users=users.assign(stage="x", Max_Amount=1)) == [*amounts[:2], "balance"]


def test_names_that_cannot_be() -> None:
    log, _, _ = random_log(12, n=50)
    with pytest.raises(InputError, match="'A' is there twice"):
        resolve([Feature("A", agg="count"), Feature("a", agg="days")])
    for taken in ("as_of", "_USER_KEY"):
        with pytest.raises(InputError, match=f"cannot be called '{taken}'"):
            answers(log, [Feature(taken, agg="count")], [(1, START)])
    assert "last_active" in answers(log, [Feature("last_active", agg="count")], [(1, START)])
    for taken in ("last_active", "Idle_Days"):
        with pytest.raises(InputError, match=f"cannot be called '{taken}'"):
            answers(log, [Feature(taken, agg="count")], [(1, START)], state=True)
