"""Every kind of input gives the same spells; what can't be read is an error that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnsurv.data import ActivityLog, connect
from churnsurv.errors import InputError, SchemaError
from tests.data.small import events_of, log_of, spells_of, users_of

EVENTS = pd.DataFrame(
    {
        "user_id": [1, 1, 2, 3, 1],
        "event_at": pd.to_datetime(
            ["2024-01-05 10:00", "2024-01-20", "2024-03-01 23:59", "2024-02-02", "2024-04-01"], format="ISO8601"
        ),
        "kind": ["login", "invest", "login", "login", "login"],
        "amount": [np.nan, 100.0, np.nan, 7.5, np.nan],
    }
)
USERS = pd.DataFrame(
    {
        "user_id": [1, 2, 3],
        "registered_at": pd.to_datetime(["2024-01-01", "2024-01-10", "2024-02-01"]),
        "channel": ["分銷", "organic", "分銷"],
        "age": [30, 40, 50],
    }
)
EXPECTED = spells_of(ActivityLog(EVENTS, USERS))


def test_what_is_expected_is_what_it_should_be() -> None:
    assert [row[:2] + row[4:7] for row in EXPECTED] == [
        (1, 1, 0, 49, True),
        (1, 2, 0, 0, False),
        (2, 1, 0, 30, True),
        (2, 2, 0, 30, True),
        (3, 1, 0, 31, True),
    ]


def as_pandas(folder: Path) -> tuple[Any, Any]:
    return EVENTS, USERS


def as_pandas_nullable(folder: Path) -> tuple[Any, Any]:
    return EVENTS.convert_dtypes(), USERS.astype({"channel": "category"}).convert_dtypes()


def as_pandas_strings(folder: Path) -> tuple[Any, Any]:
    return EVENTS.astype({"event_at": str}), USERS.astype({"registered_at": str})


def as_pandas_float_ids(folder: Path) -> tuple[Any, Any]:
    return EVENTS.astype({"user_id": float}), USERS


def as_polars(folder: Path) -> tuple[Any, Any]:
    return pl.from_pandas(EVENTS), pl.from_pandas(USERS).with_columns(pl.col("channel").cast(pl.Categorical))


def as_polars_lazy(folder: Path) -> tuple[Any, Any]:
    return pl.from_pandas(EVENTS).lazy(), pl.from_pandas(USERS).lazy()


def as_arrow(folder: Path) -> tuple[Any, Any]:
    return pa.Table.from_pandas(EVENTS), pa.RecordBatch.from_pandas(USERS)


def as_parquet(folder: Path) -> tuple[Any, Any]:
    EVENTS.to_parquet(folder / "events.parquet")
    USERS.to_parquet(folder / "users.parquet")
    return folder / "events.parquet", str(folder / "users.parquet")


def as_parquet_glob(folder: Path) -> tuple[Any, Any]:
    for part in range(3):
        EVENTS.iloc[part::3].to_parquet(folder / f"events-{part}.parquet")
    USERS.to_parquet(folder / "users.parquet")
    return str(folder / "events-*.parquet"), folder / "users.parquet"


def as_csv(folder: Path) -> tuple[Any, Any]:
    EVENTS.to_csv(folder / "events.csv", index=False)
    USERS.to_csv(folder / "users.csv", index=False)
    return folder / "events.csv", folder / "users.csv"


def as_csv_gz_glob(folder: Path) -> tuple[Any, Any]:
    for part in range(2):
        EVENTS.iloc[part::2].to_csv(folder / f"events-{part}.csv.gz", index=False)
    USERS.to_csv(folder / "users.csv.gz", index=False)
    return str(folder / "events-*.csv.gz"), folder / "users.csv.gz"


@pytest.mark.parametrize(
    "make",
    [
        as_pandas,
        as_pandas_nullable,
        as_pandas_strings,
        as_pandas_float_ids,
        as_polars,
        as_polars_lazy,
        as_arrow,
        as_parquet,
        as_parquet_glob,
        as_csv,
        as_csv_gz_glob,
    ],
)
def test_every_input_gives_the_same_spells(make: Any, tmp_path: Path) -> None:
    events, users = make(tmp_path)
    log = ActivityLog(events, users)
    assert spells_of(log) == EXPECTED
    table = log.churn_spells().table
    assert table["channel"].tolist() == ["分銷", "organic", "分銷"]
    assert table["channel"].cat.categories.tolist() == ["organic", "分銷"]
    assert table["age"].tolist() == [30, 40, 50]
    assert table["cohort"].tolist() == ["2024-01", "2024-01", "2024-02"]
    assert pd.api.types.is_integer_dtype(table["user_id"])


def test_relations_of_an_engine(tmp_path: Path) -> None:
    EVENTS.rename(columns={"event_at": "ts"}).to_parquet(tmp_path / "events.parquet")
    USERS.to_csv(tmp_path / "users.csv", index=False)
    with connect() as engine:
        events = engine.sql(f"SELECT user_id, ts AS event_at, kind FROM '{tmp_path / 'events.parquet'}'")
        users = engine.sql(f"SELECT * FROM '{tmp_path / 'users.csv'}'")
        log = ActivityLog(events, users, engine=engine)
        assert spells_of(log) == EXPECTED
        assert log.engine is engine


def test_a_relation_of_another_connection_is_refused() -> None:
    relation = duckdb.connect().sql("SELECT 1 AS user_id, DATE '2024-01-01' AS event_at, 'login' AS kind")
    with pytest.raises(InputError, match=r"events: the relation belongs to another connection.*engine\.sql"):
        ActivityLog(relation, USERS).churn_spells()


def test_columns_are_mapped(tmp_path: Path) -> None:
    events = EVENTS.rename(columns={"user_id": "uid", "event_at": "ts", "kind": "what"})
    users = USERS.rename(columns={"user_id": "id", "registered_at": "joined", "channel": "source"})
    columns = {
        "events": {"user_id": "uid", "event_at": "ts", "kind": "what"},
        "users": {"user_id": "id", "registered_at": "joined", "channel": "source"},
    }
    log = ActivityLog(events, users, columns=columns)
    assert spells_of(log) == EXPECTED
    assert log.churn_spells().table["channel"].tolist() == ["分銷", "organic", "分銷"]
    events.to_csv(tmp_path / "events.csv", index=False)
    assert spells_of(ActivityLog(tmp_path / "events.csv", users, columns=columns)) == EXPECTED


def test_a_mapped_column_hides_one_of_our_name() -> None:
    events = EVENTS.assign(ts=EVENTS["event_at"], event_at="nonsense")
    assert spells_of(ActivityLog(events, USERS, columns={"events": {"event_at": "ts"}})) == EXPECTED


def test_category_order_is_kept() -> None:
    users = USERS.assign(channel=pd.Categorical(USERS["channel"], categories=["wealth", "分銷", "organic"]))
    assert ActivityLog(EVENTS, users).churn_spells().table["channel"].cat.categories.tolist() == ["分銷", "organic"]
    enum = pl.from_pandas(USERS).with_columns(pl.col("channel").cast(pl.Enum(["分銷", "organic"])))
    assert ActivityLog(EVENTS, enum).churn_spells().table["channel"].cat.categories.tolist() == ["分銷", "organic"]


def test_text_of_many_values_stays_text() -> None:
    users = users_of(dict.fromkeys(range(1200), "2024-01-01")).assign(code=lambda frame: frame["user_id"].map(str))
    table = ActivityLog(events_of([(1, "2024-01-05")]), users).churn_spells().table
    assert table["code"].dtype == object


def test_a_column_called_cohort_is_left_alone() -> None:
    table = ActivityLog(EVENTS, USERS.assign(cohort=[1, 2, 3])).churn_spells().table
    assert table["cohort"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["7", "12"], [7, 12]),
        (["07", "12"], ["07", "12"]),
        (["7", "u12"], ["7", "u12"]),
        (["7", "9223372036854775808"], ["7", "9223372036854775808"]),
    ],
)
def test_csv_ids_are_numbers_only_without_loss(ids: list[str], expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,registered_at\n" + "".join(f"{each},2024-01-01\n" for each in ids))
    (tmp_path / "events.csv").write_text(f"user_id,event_at,kind\n{ids[0]},2024-01-05,login\n")
    table = ActivityLog(tmp_path / "events.csv", tmp_path / "users.csv").churn_spells().table
    assert table["user_id"].tolist() == expected
    assert table["last_activity"].dt.day.tolist() == [5, 1]


def test_one_odd_id_in_the_events_makes_all_csv_ids_text(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("user_id,registered_at\n7,2024-01-01\n")
    (tmp_path / "events.csv").write_text("user_id,event_at,kind\n7,2024-01-05,login\nghost,2024-01-05,login\n")
    log = ActivityLog(tmp_path / "events.csv", tmp_path / "users.csv")
    assert log.churn_spells().table["user_id"].tolist() == ["7"]
    assert log.rejects["reason"].tolist() == ["unknown_user"]


def test_numbers_in_one_table_and_text_in_the_other() -> None:
    text = EVENTS.astype({"user_id": str})
    assert spells_of(ActivityLog(text, USERS)) == EXPECTED
    with pytest.raises(
        SchemaError, match=r"events: 'user_id' is text with 1 values .*'u1', but a whole number in users"
    ):
        ActivityLog(text.replace({"user_id": {"3": "u1"}}), USERS).churn_spells()


def test_numbers_of_any_width_are_one_id() -> None:
    assert spells_of(ActivityLog(EVENTS.astype({"user_id": "int16"}), USERS.astype({"user_id": "uint64"}))) == EXPECTED


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda e, u: (e.drop(columns="event_at"), u), SchemaError, r"events: 'event_at' is missing\..*The table has"),
        (lambda e, u: (e.rename(columns={"event_at": "event_ta"}), u), SchemaError, r"Did you mean 'event_ta'\?"),
        (
            lambda e, u: (e.rename(columns={"kind": "kinds"}), u),
            SchemaError,
            r"'kind' is missing.*'kinds'.*activity=None",
        ),
        (
            lambda e, u: (e, u.drop(columns=["user_id", "registered_at"])),
            SchemaError,
            r"'user_id' is .*'registered_at' is",
        ),
        (lambda e, u: (e.iloc[:0], u), InputError, r"events: the table has no rows"),
        (lambda e, u: (e, u.iloc[:0]), InputError, r"users: the table has no rows"),
        (lambda e, u: (e.assign(event_at=17), u), SchemaError, r"'event_at' has type BIGINT; a date, a time or text"),
        (lambda e, u: (e, u.assign(registered_at=1.5)), SchemaError, r"users: 'registered_at' has type DOUBLE"),
        (lambda e, u: (e.assign(event_at="soon"), u), InputError, r"events: not one value of 'event_at'.*'soon'"),
        (lambda e, u: (e, u.assign(registered_at=None)), InputError, r"users: not one value of 'registered_at'"),
        (
            lambda e, u: (e.assign(amount=True), u),
            SchemaError,
            r"events: 'amount' has type BOOLEAN; numbers are needed",
        ),
        (
            lambda e, u: (e.assign(user_id=1.5), u),
            SchemaError,
            r"'user_id' has 5 values that are no whole numbers.*1\.5",
        ),
        (lambda e, u: (e.assign(user_id=True), u), SchemaError, r"'user_id' has type BOOLEAN; ids must be"),
        (lambda e, u: (e, u.assign(duration=1)), SchemaError, r"users: 'duration' would collide.*user_duration"),
        (lambda e, u: (e.assign(Kind="x"), u), SchemaError, r"two columns have the same name \('kind' and 'Kind'"),
        (lambda e, u: (e.assign(_day=1), u), SchemaError, r"'_day' is a name that churnsurv keeps"),
        (lambda e, u: (e.to_dict(), u), InputError, r"events: a dict cannot be read. Give a pandas"),
        (lambda e, _: (e, None), InputError, r"users: no table was given"),
    ],
)
def test_wrong_tables_are_refused_with_a_way_out(change: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ActivityLog(*change(EVENTS, USERS)).churn_spells()


def test_all_missing_columns_are_named_at_once() -> None:
    with pytest.raises(SchemaError, match=r"'uid' is missing \(columns maps 'user_id' to it\).*'event_at' is missing"):
        ActivityLog(EVENTS.drop(columns="event_at"), USERS, columns={"events": {"user_id": "uid"}}).churn_spells()


def test_files_that_are_not_there_or_not_tables(tmp_path: Path) -> None:
    USERS.to_parquet(tmp_path / "users.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "notes.md").write_text("x")
    cases = {
        "user.parquet": r"events: there is no file .*Did you mean .*users\.parquet",
        "nowhere/x.csv": r"there is no file .*Nor is there a folder",
        "*.csv": r"there is no file .*\*\.csv",
        "broken.parquet": r"events: the table cannot be read",
        "notes.md": r"neither Parquet .* nor CSV",
        "": r"is a folder; give a file, or a glob",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            ActivityLog(tmp_path / name, USERS).churn_spells()


def test_a_broken_file_among_good_ones_is_an_error_and_not_a_gap(tmp_path: Path) -> None:
    as_parquet_glob(tmp_path)
    whole = (tmp_path / "events-2.parquet").read_bytes()
    (tmp_path / "events-2.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot"):
        ActivityLog(str(tmp_path / "events-*.parquet"), USERS).churn_spells()


@pytest.mark.parametrize("line", ['1,2024-01-06,"log', "1,2024-01-06,login,5,6,7", "1"])
def test_a_csv_with_a_broken_line_is_an_error(line: str, tmp_path: Path) -> None:
    good = "1,2024-01-05,login,3\n" * 30
    (tmp_path / "events.csv").write_text(f"user_id,event_at,kind,amount\n{good}{line}\n")
    with pytest.raises(InputError, match=r"events: the table cannot be read"):
        ActivityLog(tmp_path / "events.csv", USERS).churn_spells()


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_csv_with_another_separator(separator: str, tmp_path: Path) -> None:
    EVENTS.to_csv(tmp_path / "events.csv", index=False, sep=separator)
    assert spells_of(ActivityLog(tmp_path / "events.csv", USERS)) == EXPECTED


@pytest.mark.parametrize(
    ("header", "said"),
    [("user_id,registered_at,channel,channel", "'channel'"), ('user_id;registered_at;"Channel";channel', "'Channel'")],
)
def test_a_csv_with_one_name_twice_is_refused(header: str, said: str, tmp_path: Path) -> None:
    """The engine alone would call the second one channel_1 and let nobody know."""
    separator = ";" if ";" in header else ","
    path = tmp_path / "users.csv"
    row = separator.join(["1", "2024-01-01", "a", "b"])
    path.write_text(f"\ufeff{header}\r\n{row}\r\n", encoding="utf-8")
    with pytest.raises(SchemaError, match=f"two columns have the same name .{said}"):
        ActivityLog(EVENTS, path).churn_spells()


def test_an_attribute_of_a_csv_with_one_odd_value_is_text(tmp_path: Path) -> None:
    rows = "".join(f"{user},2024-01-01,{user}\n" for user in range(30_000))
    (tmp_path / "users.csv").write_text(f"user_id,registered_at,age\n{rows}30000,2024-01-01,unknown\n")
    log = ActivityLog(events_of([(1, "2024-01-05")]), tmp_path / "users.csv")
    assert log.churn_spells().table["age"].iloc[-1] == "unknown"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": 30}, r"rule must be a ChurnRule"),
        ({"stages": {"new": 0}}, r"stages must be a Stages"),
        ({"engine": "duckdb"}, r"engine must come from churnsurv\.connect"),
        (
            {"timestamps": "Asia/Shangai"},
            r"timestamps: there is no time zone 'Asia/Shangai'. Did you mean 'Asia/Shanghai'",
        ),
        ({"time_zone": "Asia"}, r"time_zone: there is no time zone 'Asia'"),
        ({"time_zone": None}, r"time_zone: there is no time zone None"),
        ({"observed_from": "1.5.2024"}, r"observed_from must be a date or text such as '2024-05-01'"),
        (
            {"observed_until": pd.Timestamp("2024-05-01 10:00")},
            r"observed_until is a day; 2024-05-01T10:00:00 has a time",
        ),
        ({"observed_from": "2024-05-01", "observed_until": "2024-04-01"}, r"observed_from .* is after observed_until"),
        ({"columns": {"event": {}}}, r"there is no table 'event'. Did you mean 'events'"),
        ({"columns": {"balances": {"balance": "b"}}}, r"columns maps names of 'balances', but no such table"),
        ({"columns": {"events": ["ts"]}}, r"columns\['events'\] maps our names to theirs"),
        ({"features": ["n_investment"]}, r"no feature 'n_investment'. Did you mean 'n_investments'"),
    ],
)
def test_wrong_settings_are_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ActivityLog(EVENTS, USERS, **settings)


def test_a_window_before_the_data_is_refused() -> None:
    with pytest.raises(InputError, match=r"observed_from \(2024-01-01\) is after observed_until \(2023-05-01\)"):
        ActivityLog(EVENTS, USERS, observed_until="2023-05-01").churn_spells()


def test_nothing_is_read_before_a_question_and_the_log_is_frozen() -> None:
    log = ActivityLog("nowhere.parquet", "nowhere.parquet", observed_until="2024-05-01")
    assert repr(log) == "<ActivityLog: 30 days without login or invest; first day to 2024-05-01, days of UTC>"
    with pytest.raises(AttributeError):
        log.rule = None


def test_wrong_arguments_of_churn_spells() -> None:
    log = log_of({1: "2024-01-01"}, [(1, "2024-01-05")])
    for settings, message in (
        ({"spells": "last"}, r"spells is 'first' or 'all'"),
        ({"left_truncated": "keep"}, r"left_truncated is"),
        ({"features": "n_investments"}, r"features is a list"),
        ({"features": ["stages"]}, r"no feature 'stages'. Did you mean 'stage'"),
        ({"features": ["n_investments"]}, r"features need baseline_day.*grows with the spell"),
        ({"baseline_day": -1}, r"baseline_day must be a whole number of days, 0 or more"),
        ({"baseline_day": 2.0}, r"baseline_day must be a whole number"),
        ({"baseline_day": 3, "features": ["balance", "balance"]}, r"'balance' is there twice"),
    ):
        with pytest.raises(InputError, match=message):
            log.churn_spells(**settings)


def test_parquet_of_dates_without_time(tmp_path: Path) -> None:
    table = pa.table({"user_id": [1], "event_at": pa.array([19_723], pa.date32()), "kind": ["login"]})
    pq.write_table(table, tmp_path / "events.parquet")
    log = ActivityLog(tmp_path / "events.parquet", users_of({1: "2024-01-01"}), observed_until="2024-01-09")
    assert spells_of(log) == [(1, 1, "2024-01-01", True, 0, 8, False, "2024-01-01", "2024-01-09")]
