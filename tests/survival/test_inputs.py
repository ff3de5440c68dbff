"""What is taken as data, and what is said of data that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from churnsurv.errors import ChurnsurvWarning, InputError, SchemaError
from churnsurv.survival.inputs import as_frame, check_level, column_list, survival_data
from churnsurv.tables import Result


@dataclass(frozen=True)
class OwnSpells(Result):
    """As much of `Spells` as estimators look at."""

    _schema: ClassVar[str] = "spells"
    frame: pd.DataFrame
    spells: str = "first"
    known_at: Any = None

    @property
    def table(self) -> pd.DataFrame:
        return self.frame.copy()

    def _facts(self) -> dict[str, Any]:
        return {"rule": "30 days"}


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "user_id": ["u1", "u2", "u1", "u3"],
            "entry": [0, 0, 10, 0],
            "duration": [30, 45, 60, 7],
            "churned": [True, False, True, False],
            "channel": pd.Categorical(["b", "a", None, "b"], categories=["c", "b", "a"]),
            "plan": ["pro", "free", "pro", None],
        }
    )


def test_arrays_are_those_of_the_table_without_a_copy(table: pd.DataFrame) -> None:
    data = survival_data(table, by="channel")
    assert data.n == 4
    assert np.shares_memory(data.duration, table["duration"].to_numpy())
    assert np.shares_memory(data.churned, table["churned"].to_numpy())
    assert data.frame is table
    assert data.entry is None
    assert data.cluster_codes is None
    assert data.n_no_risk == 0
    assert data.source == {}


def test_groups_in_categorical_order_with_missing_last_and_unused_left_out(table: pd.DataFrame) -> None:
    data = survival_data(table, by="channel", strata=["plan"])
    assert data.group_labels == ("b", "a", "(missing)")
    assert data.group_codes.tolist() == [0, 1, 2, 0]
    assert data.by["channel"].tolist() == ["b", "a", "(missing)"]
    assert data.strata_labels == ("free", "pro", "(missing)")
    assert data.strata_codes.tolist() == [1, 0, 1, 2]


def test_without_by_there_is_one_group(table: pd.DataFrame) -> None:
    data = survival_data(table)
    assert data.group_labels == ("all",)
    assert data.group_codes is None
    assert data.by.shape == (1, 0)


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "pyarrow", "parquet", "csv", "text path"])
def test_any_table_gives_the_same_arrays(table: pd.DataFrame, tmp_path: Path, kind: str) -> None:
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv", index=False)
    given: Any = {
        "pandas": lambda: table,
        "polars": lambda: pl.from_pandas(table),
        "lazy": lambda: pl.from_pandas(table).lazy(),
        "pyarrow": lambda: pa.Table.from_pandas(table),
        "parquet": lambda: tmp_path / "t.parquet",
        "csv": lambda: tmp_path / "t.csv",
        "text path": lambda: str(tmp_path / "t.parquet"),
    }[kind]()
    data = survival_data(given, by="plan", entry="entry", cluster="user_id")
    assert data.duration.tolist() == [30, 45, 60, 7]
    assert data.churned.dtype == bool
    assert data.churned.tolist() == [True, False, True, False]
    assert data.entry.tolist() == [0, 0, 10, 0]
    assert data.group_labels == ("free", "pro", "(missing)")
    assert data.cluster_codes.tolist() == [0, 1, 0, 2]
    assert data.n_clusters == 3


def test_only_the_columns_asked_for_are_converted(table: pd.DataFrame) -> None:
    arrow = pa.Table.from_pandas(table)
    assert list(survival_data(arrow).frame) == ["duration", "churned"]
    assert list(survival_data(arrow, columns=["plan"]).frame) == ["duration", "churned", "plan"]
    assert list(survival_data(arrow, columns=None).frame) == list(table)


def test_own_spells_bring_entry_facts_and_clusters(table: pd.DataFrame) -> None:
    first = survival_data(OwnSpells(table, known_at={"plan": "origin"}))
    assert first.entry.tolist() == [0, 0, 10, 0]
    assert first.cluster_name is None
    assert first.known_at == {"spell": "origin", "plan": "origin"}
    assert first.source == {"data": {"rule": "30 days"}}
    every = survival_data(OwnSpells(table, spells="all", known_at={}))
    assert every.cluster_name == "user_id"
    assert every.n_clusters == 3
    assert survival_data(OwnSpells(table, spells="all", known_at={}), cluster=None).cluster_codes is None


def test_entry_of_a_foreign_table_is_used_only_where_named(table: pd.DataFrame) -> None:
    assert survival_data(table).entry is None
    assert survival_data(table, entry="entry").entry.tolist() == [0, 0, 10, 0]


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, 1, 0],
        [1.0, 0.0, 1.0, 0.0],
        np.array([1, 0, 1, 0], dtype=np.int8),
        pd.array([True, False, True, False], dtype="boolean"),
        pd.array([True, False, True, False], dtype="bool[pyarrow]"),
        pd.Series([True, False, True, False], dtype=object),
    ],
)
def test_events_as_numbers_or_nullable(table: pd.DataFrame, values: Any) -> None:
    table["churned"] = values
    data = survival_data(table)
    assert data.churned.dtype == bool
    assert data.churned.tolist() == [True, False, True, False]


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "float64", "Int64", "int32[pyarrow]", object])
def test_days_of_any_number_type(table: pd.DataFrame, dtype: Any) -> None:
    table["duration"] = table["duration"].astype(dtype)
    assert survival_data(table).duration.tolist() == [30, 45, 60, 7]


def test_a_day_of_entry_that_is_the_last_carries_no_risk_and_is_counted(table: pd.DataFrame) -> None:
    table["entry"] = [0, 45, 10, 7]
    assert survival_data(table, entry="entry").n_no_risk == 2


def test_churn_on_the_day_of_entry_is_said(table: pd.DataFrame) -> None:
    table["entry"] = [30, 0, 60, 0]
    with pytest.warns(ChurnsurvWarning, match=r"2 rows churned on the day of entry \(duration equals entry\)"):
        data = survival_data(table, entry="entry")
    assert data.n_no_risk == 2


def broken(column: str, values: Any) -> pd.DataFrame:
    columns = {"duration": [30, 45, 60, 7], "churned": [True, False, True, False], "entry": [0, 0, 0, 0]}
    columns["user_id"] = ["u1", "u2", "u3", "u4"]
    return pd.DataFrame({**columns, column: values})


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "duration",
            [3.0, np.nan, 5, np.nan],
            r"duration must be a finite number of days; 2 such rows, first at row 1 \(nan\)",
        ),
        (
            "duration",
            [3.0, 4, np.inf, 1],
            r"duration must be a finite .* 1 such row, first at row 2 \(inf\)",
        ),
        (
            "duration",
            [-np.inf, 4, np.inf, 1],
            r"duration must be a finite .* 2 such rows, first at row 0 \(-inf\)",
        ),
        (
            "duration",
            pd.array([3, None, 5, 6], dtype="Int64"),
            r"duration must be a finite .* first at row 1 \(nan\)",
        ),
        (
            "duration",
            [3, 4, -2, -1],
            r"duration must be >= 0; 2 such rows, first at row 2 \(-2\)\. Check that no end date",
        ),
        ("entry", [3, 4, -2, 1], r"entry must be >= 0; 1 such row, first at row 2 \(-2\)"),
        (
            "entry",
            [0, 50, 0, 8],
            r"duration must not be less than entry; 2 such rows, first at row 1 \(45 < 50\)\. Both count days",
        ),
        ("churned", [0, 1, 2, 1], r"churned must hold true/false or 0/1; 1 such row, first at row 2 \(2\)"),
        (
            "churned",
            [0, 1, np.nan, 1],
            r"churned must hold true/false or 0/1; 1 such row, first at row 2 \(nan\)",
        ),
        (
            "churned",
            pd.array([True, None, True, None], dtype="boolean"),
            r"2 such rows, first at row 1 \(nan\)",
        ),
        (
            "churned",
            [True, False, None, True],
            r"churned must hold true/false or 0/1; 1 such row, first at row 2",
        ),
        (
            "user_id",
            ["a", None, "b", None],
            r"cluster column 'user_id' must not have missing values; 2 such rows, first at row 1\. Give each",
        ),
    ],
)
def test_values_that_cannot_be_used(column: str, values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        survival_data(broken(column, values), entry="entry", cluster="user_id")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (
            "duration",
            list("abcd"),
            r"'duration' must hold numbers of days; it has the type object\. Convert it first",
        ),
        (
            "duration",
            [True] * 4,
            r"'duration' must hold numbers of days; it holds true and false\. Is it the event",
        ),
        ("duration", pd.to_timedelta([1, 2, 3, 4], unit="D"), r"it has the type timedelta64\[ns\]"),
        (
            "churned",
            ["yes", "no", "no", "yes"],
            r"'churned' must hold true/false or 0/1; it has the type object",
        ),
    ],
)
def test_types_that_cannot_be_used(column: str, values: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        survival_data(broken(column, values))


def test_a_missing_column_gets_the_nearest_name(table: pd.DataFrame) -> None:
    for given in (table, pa.Table.from_pandas(table), pl.from_pandas(table)):
        with pytest.raises(SchemaError, match=r"'chanel' is missing\. Did you mean 'channel'\?"):
            survival_data(given, by="chanel")
    with pytest.raises(SchemaError, match="'duration' is missing"):
        survival_data(table.rename(columns={"duration": "tenure"}))
    with pytest.raises(SchemaError, match="'user_id' is missing"):
        survival_data(OwnSpells(table.drop(columns="user_id"), spells="all"))


def test_an_empty_table(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="data has no rows: there is nothing to estimate"):
        survival_data(table.iloc[:0])


def test_two_columns_of_one_name(table: pd.DataFrame) -> None:
    twice = pd.concat([table, table["duration"]], axis=1)
    with pytest.raises(SchemaError, match="several columns named 'duration'"):
        survival_data(twice)


def test_no_table_at_all(tmp_path: Path, table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"data must be Spells or a table .*, not list"):
        as_frame([1, 2])
    with pytest.raises(InputError, match="there is no file"):
        as_frame(tmp_path / "none.parquet")
    (tmp_path / "t.xlsx").write_bytes(b"")
    with pytest.raises(InputError, match=r"neither a \.parquet nor a \.csv file\. Read it first"):
        as_frame(tmp_path / "t.xlsx")
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(SchemaError, match=r"t\.parquet: 'tenure' is missing"):
        survival_data(tmp_path / "t.parquet", duration="tenure")


def test_errors_name_the_table_as_the_caller_does(tmp_path: Path, table: pd.DataFrame) -> None:
    for given in (table, pa.Table.from_pandas(table), pl.from_pandas(table)):
        with pytest.raises(SchemaError, match=r"^newdata: 'tenure' is missing"):
            as_frame(given, columns=(), needed=["tenure"], what="newdata")
    with pytest.raises(SchemaError, match=r"^newdata has several columns named 'duration'"):
        as_frame(pd.concat([table, table["duration"]], axis=1), needed=["duration"], what="newdata")
    with pytest.raises(InputError, match=r"^newdata must be Spells or a table"):
        as_frame([1], what="newdata")
    with pytest.raises(InputError, match=r"^newdata: there is no file"):
        as_frame(tmp_path / "none.csv", what="newdata")


def test_column_lists_and_levels() -> None:
    assert column_list("by", ("a", "b")) == ["a", "b"]
    with pytest.raises(InputError, match="by names a column twice: a, a"):
        column_list("by", ["a", "a"])
    with pytest.raises(InputError, match="by takes the name of a column or a list of names"):
        column_list("by", [1])  # type: ignore[list-item]
    for level in (0, 1, 95):
        with pytest.raises(InputError, match=r"level must lie between 0 and 1, such as 0\.95"):
            check_level(level)
