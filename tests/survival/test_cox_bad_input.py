"""Odd tables at the door of `ch.cox`: a clear error, a warning or a note for each, and never a wrong answer in silence.

What single columns may hold is tested in test_inputs.py, formulas in test_formula.py, encodings in test_covariates.py.
"""

from __future__ import annotations

import decimal
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import churnsurv as ch
from churnsurv.errors import ChurnsurvError, ChurnsurvWarning, ConvergenceError, InputError, SchemaError

N = 200


def made() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=N), rng.choice(list("abc"), N)
    duration = np.ceil(rng.exponential(40 * np.exp(-0.5 * x))).astype(int)
    return pd.DataFrame(
        {
            "user_id": np.arange(N) // 2,
            "duration": duration,
            "churned": rng.random(N) < 0.7,
            "entry": np.minimum(duration - 1, rng.integers(0, 3, N)),
            "x": x,
            "g": g,
            "w": rng.integers(1, 4, N),
        }
    )


TABLE = made()
ESTIMATE = ch.cox("x", TABLE).table["estimate"].iloc[0]


def with_bad(column: str, rows: list[int], value: Any) -> pd.DataFrame:
    values = TABLE[column].astype(float).to_numpy(copy=True)
    values[rows] = value
    return TABLE.assign(**{column: values})


# ---- The list of the manual, one by one ----


@pytest.mark.parametrize(
    ("column", "value", "arguments", "message"),
    [
        ("x", np.nan, {}, r"'x' has 2 missing or infinite values, first at row 3 \(nan\)"),
        ("x", np.inf, {}, r"'x' has 2 missing or infinite values, first at row 3 \(inf\)"),
        ("duration", np.nan, {}, r"duration must be a finite number of days; 2 such rows, first at row 3 \(nan\)"),
        ("duration", -np.inf, {}, r"duration must be a finite number of days; 2 such rows, first at row 3 \(-inf\)"),
        ("duration", -1, {}, r"duration must be >= 0; 2 such rows, first at row 3 \(-1.0\)"),
        ("entry", 1e6, {"entry": "entry"}, r"must not be less than entry; 2 such rows, first at row 3 \(\d+ < "),
        ("w", 0, {"weights": "w", "weights_kind": "frequency"}, r"> 0; 2 such rows, first at row 3 \(0.0\)"),
        ("w", -2, {"weights": "w", "weights_kind": "sampling"}, r"> 0; 2 such rows, first at row 3 \(-2.0\)"),
        ("w", np.nan, {"weights": "w", "weights_kind": "sampling"}, r"finite and > 0; 2 such rows, first at row 3"),
        ("w", np.nan, {"offset": "w"}, r"offset 'w' must be finite; 2 such rows, first at row 3"),
        ("user_id", np.nan, {"cluster": "user_id"}, r"must not have missing values; 2 such rows, first at row 3"),
    ],
)  # fmt: skip
def test_values_are_counted_and_the_first_is_named(column: str, value: Any, arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ch.cox("x", with_bad(column, [3, 77], value), **arguments)


def test_rows_that_end_on_the_day_they_entered_are_counted() -> None:
    table = TABLE.assign(entry=np.where(np.arange(N) < 5, TABLE["duration"], 0), churned=TABLE["churned"])
    table.loc[:4, "churned"] = False
    fit = ch.cox("x", table, entry="entry")
    assert (fit.n, fit.n_no_risk) == (N - 5, 5)
    without = ch.cox("x", table.iloc[5:], entry="entry")
    np.testing.assert_allclose(fit.table["estimate"], without.table["estimate"], rtol=1e-12)


def test_a_stratum_without_churn_is_said_and_changes_nothing() -> None:
    quiet = TABLE.head(30).assign(churned=False, g="quiet")
    fit = ch.cox("x", pd.concat([TABLE, quiet], ignore_index=True), strata="g")
    assert len(fit.notes) == 1
    assert re.match(r"1 stratum has no churn .*: 'quiet'", fit.notes[0])
    without = ch.cox("x", TABLE, strata="g")
    np.testing.assert_allclose(fit.table["estimate"], without.table["estimate"], rtol=1e-12)
    np.testing.assert_allclose(fit.table["std_error"], without.table["std_error"], rtol=1e-12)


def test_more_coefficients_than_churns_are_warned_of() -> None:
    rng = np.random.default_rng(1)
    few = pd.DataFrame(rng.normal(size=(40, 7)), columns=[f"x{i}" for i in range(7)])
    few["duration"], few["churned"] = rng.permutation(40) + 1, np.isin(np.arange(40), [3, 9, 12, 30, 31])
    with pytest.warns(ChurnsurvWarning, match="7 coefficients are estimated from 5 churns"):
        ch.cox(" + ".join(few.columns[:7]), few)


def test_an_unseen_category_is_named_when_predicting() -> None:
    fit = ch.cox("g", TABLE)
    with pytest.raises(
        InputError, match=r"'g' has the category 'd', which the model was not fitted to\..* 'a', 'b', 'c'"
    ):
        fit.risk(pd.DataFrame({"g": ["a", "d"]}))


def test_aliased_columns_are_named() -> None:
    with pytest.raises(ConvergenceError, match="'x' and 'twice' are collinear: each of them is determined"):
        ch.cox("x + w + twice", TABLE.assign(twice=2 * TABLE["x"] + 3))


def test_an_infinite_coefficient_is_named_with_its_level() -> None:
    loyal = TABLE.assign(churned=TABLE["churned"] & (TABLE["g"] != "c"))
    with pytest.raises(ConvergenceError, match=r"none of the rows at risk in 'g: c' \(\d+ rows\) has the event"):
        ch.cox("x + g", loyal)
    # a product in which only one combination has no churn
    loyal = TABLE.assign(h=np.where(TABLE["x"] > 0, "high", "low"))
    loyal["churned"] &= (loyal["g"] != "c") | (loyal["h"] != "high")
    with pytest.raises(ConvergenceError, match=r"'g: c × h: high'"):
        ch.cox("g:h", loyal)


def test_what_cannot_converge_raises() -> None:
    """A number that orders the churns exactly: the coefficient runs off, and no table comes back."""
    with pytest.raises(ConvergenceError, match=r"'z' to minus infinity"):
        ch.cox("z", TABLE.assign(z=TABLE["duration"] + 0.5, churned=True))


# ---- Types of columns ----


@pytest.mark.parametrize(
    ("column", "values", "error", "message"),
    [
        ("churned", np.where(TABLE["churned"], "True", "False"), SchemaError, "'churned' must hold true/false or 0/1"),
        ("churned", np.where(TABLE["churned"], "yes", "no"), SchemaError, "'churned' must hold true/false or 0/1"),
        ("churned", TABLE["churned"] + 1, InputError, r"churned must hold true/false or 0/1; \d+ such rows"),
        ("churned", TABLE["churned"].astype(complex), SchemaError, "'churned' must hold true/false or 0/1"),
        ("duration", pd.to_timedelta(TABLE["duration"], unit="D"), SchemaError, "numbers of days; .* timedelta64"),
        ("duration", pd.Timestamp("2024-01-01"), SchemaError, "numbers of days; .* datetime64"),
        ("duration", TABLE["duration"].astype(str), SchemaError, "numbers of days; it has the type object"),
        ("duration", TABLE["duration"].astype(complex), SchemaError, "numbers of days; it has the type complex128"),
        ("duration", TABLE["duration"].astype("uint64") + np.uint64(2**63), InputError, "Are these timestamps"),
        ("duration", TABLE["duration"] + 2**60, InputError, "Are these timestamps"),
        ("duration", TABLE["duration"] * 1e300, InputError, "Are these timestamps"),
        ("x", pd.Timestamp("2024-01-01"), InputError, "'x' holds dates or times"),
        ("x", pd.to_timedelta(TABLE["duration"], unit="D"), InputError, "'x' holds dates or times"),
        ("x", TABLE["x"].astype(complex), InputError, "'x' holds complex numbers"),
        ("x", TABLE["x"].astype(str), InputError, r"'x' holds numbers written as text, such as .*or write C\(x\)"),
        ("x", ["?", *TABLE["x"].astype(str)[1:]], InputError, r"numbers written as text \(all but '\?'\)"),
        ("x", [[1], [2]] * (N // 2), SchemaError, r"'x' must hold text, numbers or dates .* such as \[1\] \(list\)"),
        ("x", [{"a": 1}, {"a": 2}] * (N // 2), SchemaError, r"such as \{'a': 1\} \(dict\)"),
        ("x", [1, "1"] * (N // 2), InputError, "'x' has different categories that read the same"),
        ("x", ["(missing)", None] * (N // 2), InputError, "'x' has different categories that read the same"),
        ("x", 1.0, InputError, "'x' has no variance: every row is 1"),
        ("x", "same", InputError, "'x' has no variance: every row at risk is same"),
        ("x", TABLE["x"] * 1e300, InputError, r"'x' goes from .* Give it another unit"),
        ("x", TABLE["x"] * 1e-300, InputError, r"'x' goes from .* Give it another unit"),
        ("x", TABLE["x"] * 1e110, InputError, "'x' is too far from one"),
        ("x", np.sign(TABLE["x"]) * 1.7e308, InputError, r"'x' goes from .* Give it another unit"),
        ("x", np.where(TABLE["x"] > 0, 5e-324, 0.0), InputError, r"'x' goes from .* Give it another unit"),
    ],
)
def test_columns_of_the_wrong_kind(column: str, values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ch.cox("x", TABLE.assign(**{column: values}))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("duration", pd.array(TABLE["duration"], dtype="Int32")),
        ("duration", TABLE["duration"].astype("float16")),
        ("duration", TABLE["duration"].astype("uint16")),
        ("duration", TABLE["duration"] * 1e-300),
        ("duration", pd.arrays.SparseArray(TABLE["duration"])),
        ("churned", pd.array(TABLE["churned"], dtype="boolean")),
        ("churned", pd.Categorical(TABLE["churned"])),
        ("churned", TABLE["churned"].astype("uint8")),
        ("x", pd.array(TABLE["x"], dtype="Float64")),
        ("x", TABLE["x"].astype("longdouble")),
        ("x", TABLE["x"].astype("float64[pyarrow]")),
        ("x", pd.Series(list(TABLE["x"]), dtype=object)),
        ("x", [decimal.Decimal(str(value)) for value in TABLE["x"]]),
        ("user_id", TABLE["user_id"].astype("uint64") + np.uint64(2**63 + 5)),
        ("user_id", pd.array([None] * N, dtype="string")),
    ],
)
def test_types_that_hold_the_same_numbers_give_the_same_answer(column: str, values: Any) -> None:
    fit = ch.cox("x", TABLE.assign(**{column: values}))
    assert fit.table["estimate"].iloc[0] == pytest.approx(ESTIMATE, rel=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "int64", "uint64"])
def test_small_and_unsigned_integers_do_not_wrap_around(dtype: str) -> None:
    days = np.minimum(TABLE["duration"], 120)
    entry = np.minimum(TABLE["entry"], days - 1)
    small = TABLE.assign(duration=days.astype(dtype), entry=entry.astype(dtype), v=(days % 100).astype(dtype))
    wide = TABLE.assign(duration=days.astype(float), entry=entry.astype(float), v=(days % 100).astype(float))
    for formula in ("x", "I(x - v)", "I(-v) + x", "I(v**3 / 1000)", "I(2**63 * x)"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChurnsurvWarning)
            ours, theirs = (ch.cox(formula, t, entry="entry").table["estimate"] for t in (small, wide))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_whole_constants_do_not_wrap_around() -> None:
    big = ch.cox("I(2**64 * x)", TABLE).table["estimate"].iloc[0]
    assert big * 2.0**64 == pytest.approx(ESTIMATE, rel=1e-12)
    assert ch.cox("I(2**63 * x)", TABLE).table["estimate"].iloc[0] * 2.0**63 == pytest.approx(ESTIMATE, rel=1e-12)
    for formula in ("I(2**1000000000 * x)", "I(9**9**9 * x)", "I(x + 3//0)", "I(1e400 * x)"):
        with pytest.raises(InputError, match=r"is not a finite number in 200 rows, first at row 0"):
            ch.cox(formula, TABLE)
    with pytest.raises(InputError, match="is too large"):
        ch.cox(f"I(x + {'9' * 400})", TABLE)


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(TABLE["g"], categories=list("zabcy")),
        TABLE["g"].astype("string"),
        TABLE["g"].astype("string[pyarrow]"),
        np.where(TABLE["g"] == "a", "", TABLE["g"]),
        [value.encode() for value in TABLE["g"]],
        pd.Series(pd.Categorical(TABLE["g"])),
    ],
    ids=["unused levels", "string", "arrow string", "empty strings", "bytes", "categories"],
)
def test_categories_of_any_type(values: Any) -> None:
    fit = ch.cox("g", TABLE.assign(g=values))
    np.testing.assert_allclose(fit.table["estimate"], ch.cox("g", TABLE).table["estimate"], rtol=1e-12)


# ---- Tables ----


def test_equal_names_matter_only_where_they_are_used() -> None:
    twice = pd.concat([TABLE, TABLE[["x", "user_id"]]], axis=1)
    with pytest.raises(SchemaError, match="several columns named 'x'"):
        ch.cox("x", twice)
    with pytest.raises(SchemaError, match="several columns named 'user_id'"):
        ch.cox("w", twice, cluster="user_id")
    assert "user_id" not in ch.cox("w", twice).residuals().columns


def test_columns_are_named_by_text() -> None:
    day = pd.Timestamp("2024-01-01")
    with pytest.raises(SchemaError, match=r"is there as Timestamp, and .*\.rename\(columns=str\)"):
        ch.cox(f"`{day}`", TABLE.rename(columns={"x": day}))
    with pytest.raises(SchemaError, match="'5' is there as int, and columns are named by text"):
        ch.cox("x", TABLE.assign(**{"5": 0}).rename(columns={"5": 5}), strata="5")
    for name in ("1", ".", "^", "**", "~"):
        with pytest.raises(InputError, match="cannot be a column here"):
            ch.cox(f"`{name}` + x", TABLE.rename(columns={"w": name}))
    with pytest.raises(InputError, match="duration takes the name of a column, not int"):
        ch.cox("x", TABLE, duration=0)  # type: ignore[arg-type]
    for argument in ("entry", "weights", "cluster", "offset"):
        with pytest.raises(InputError, match=rf"{argument} takes the name of a column, not list\. Add it to the table"):
            ch.cox(
                "x", TABLE, **{argument: [1] * N, **({"weights_kind": "frequency"} if argument == "weights" else {})}
            )


@pytest.mark.parametrize(
    "name", ["a b", "金额", "ａ", "class", "1st", "2024", "a.b", "log", "I", "C", "True", "x\ny", 'a"b', "😀", "x:y"]
)
def test_columns_of_any_name(name: str) -> None:
    fit = ch.cox(f"`{name}`", TABLE.rename(columns={"x": name}))
    assert fit.table["term"].tolist() == [name]
    assert fit.table["estimate"].iloc[0] == ESTIMATE


@pytest.mark.parametrize(
    "index", [pd.Index([1] * N), pd.RangeIndex(N, 0, -1), pd.MultiIndex.from_arrays([TABLE["g"], TABLE["w"]])]
)
def test_the_index_of_a_table_does_not_matter(index: pd.Index) -> None:
    fit = ch.cox("x + g", TABLE.set_index(index), cluster="user_id", strata="w")
    pd.testing.assert_frame_equal(fit.table, ch.cox("x + g", TABLE, cluster="user_id", strata="w").table)
    assert fit.residuals()["row"].tolist() == list(range(N))


def test_tables_of_other_libraries(tmp_path: Path) -> None:
    expected = ch.cox("x + g", TABLE).table
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    TABLE.to_csv(tmp_path / "bom.csv", index=False, encoding="utf-8-sig")
    given_polars = pl.from_pandas(TABLE)
    others = {
        "csv": tmp_path / "t.csv",
        "csv with a mark": str(tmp_path / "bom.csv"),
        "lazy": given_polars.lazy(),
        "enum": given_polars.with_columns(pl.col("g").cast(pl.Enum(["a", "b", "c"]))),
        "dictionary": pa.Table.from_pandas(TABLE.assign(g=TABLE["g"].astype("category"))),
        "batch": pa.RecordBatch.from_pandas(TABLE),
    }
    for name, other in others.items():
        np.testing.assert_allclose(
            ch.cox("x + g", other).table["estimate"], expected["estimate"], rtol=1e-12, err_msg=name
        )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, content, message in (
        ("empty.csv", b"", "cannot be read as csv .*UTF-8 text with a first line of column names"),
        ("wide.csv", "duration,churned,x\n1,1,2\n".encode("utf-16"), "cannot be read as csv"),
        ("ragged.csv", b"duration,churned,x\n1,1,1\n1,1,2,3,4\n", "cannot be read as csv"),
        ("header.csv", b"duration,churned,x\n", "data has no rows"),
        ("semicolon.csv", b"duration;churned;x\n1;1;2\n", "'duration' is missing"),
        ("not.parquet", b"nope", "cannot be read as parquet"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            ch.cox("x", tmp_path / name)
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(InputError, match=r"neither a \.parquet nor a \.csv file"):
        ch.cox("x", tmp_path / "folder.parquet")


@pytest.mark.parametrize("data", [None, {"x": [1]}, [{"x": 1}], np.ones((3, 3)), TABLE["x"], TABLE.groupby("g")])
def test_what_is_no_table(data: Any) -> None:
    with pytest.raises(InputError, match="data must be Spells or a table"):
        ch.cox("x", data)


def test_a_handful_of_rows() -> None:
    with pytest.raises(InputError, match="no variance"):
        ch.cox("x", TABLE.head(1))
    with pytest.raises(ConvergenceError, match="separation"):
        ch.cox("x", TABLE.head(2))


# ---- Weights, offsets and the other arguments ----


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        (1e300, "sampling", r"weights 'w' must lie between 1e-100 and 1e\+100; 200 such rows"),
        (1e-300, "sampling", r"weights 'w' must lie between 1e-100 and 1e\+100; 200 such rows"),
        (10**18, "frequency", r"weights 'w' stand for 2e\+20 users"),
        (2**62, "frequency", "more than can be counted"),
    ],
)
def test_weights_out_of_range(weights: Any, kind: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ch.cox("x", TABLE.assign(w=weights), weights="w", weights_kind=kind)


def test_weights_within_range_of_any_size() -> None:
    for unit in (1e-99, 1e99):
        fit = ch.cox("x", TABLE.assign(w=unit * TABLE["w"]), weights="w", weights_kind="sampling")
        plain = ch.cox("x", TABLE, weights="w", weights_kind="sampling")
        np.testing.assert_allclose(fit.table["estimate"], plain.table["estimate"], rtol=1e-10)
        np.testing.assert_allclose(fit.table["std_error"], plain.table["std_error"], rtol=1e-8)
    many = ch.cox("x", TABLE.assign(w=10**12), weights="w", weights_kind="frequency")
    assert many.n == N * 10**12


def test_an_offset_is_on_the_scale_of_logarithms() -> None:
    with pytest.raises(InputError, match=r"offset 'w' must lie between -10,000 and 10,000; 200 such rows.*logarithm"):
        ch.cox("x", TABLE.assign(w=1e300), offset="w")
    assert ch.cox("x", TABLE.assign(w=9_999.0), offset="w").table["estimate"].iloc[0] == pytest.approx(
        ESTIMATE, rel=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": "0.95"}, "level must lie between 0 and 1"),
        ({"level": float("nan")}, "level must lie between 0 and 1"),
        ({"reference": ["g"]}, r"reference says which category of a column, as in \{'channel': 'organic'\}"),
        ({"reference": {"g": ["a"]}}, "'g' has no category"),
        ({"reference": {"g": None}}, "'g' has no category None"),
        ({"strata": ["w", "w"]}, "strata names a column twice"),
    ],
)
def test_arguments_of_the_wrong_kind(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ch.cox("g", TABLE, **arguments)


# ---- Formulas ----


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('true')", "x.__class__", "eval('1')", "(lambda: x)()", "I([x])", "I(x)[0]", "Q('x')",
        "np.log(x)", "I(x if x else x)", "I(x @ x)", "I((x,))", "I(open('f'))", "C(g, levels=['a'])", "{open('f')}",
        "log(x, out=x)", "I(x := 1)", "poly(x, __import__('os'))", "bs(x, knots=open('f'))", "I(f'{x}')", "I(*x)",
    ],
)  # fmt: skip
def test_nothing_but_columns_and_the_listed_functions_can_be_named(formula: str) -> None:
    with pytest.raises(InputError):
        ch.cox(formula, TABLE)


def test_formulas_that_would_take_for_ever_are_refused_at_once() -> None:
    for formula in ("(x + g + w)**50", "*".join(f"v{i}" for i in range(30)), " + ".join(["x"] * 80).join("()") + "**4"):
        with pytest.raises(InputError, match="multiplies too many columns"):
            ch.cox(formula, TABLE)
    for formula in ("I(" + "-" * 5_000 + "x)", "I(" + "(" * 5_000 + "x" + ")" * 5_000 + ")"):
        with pytest.raises(InputError):
            ch.cox(formula, TABLE)
    assert len(ch.cox("(x + w)**2", TABLE).table) == 3


def test_a_term_can_only_be_taken_away_where_it_is() -> None:
    assert ch.cox("x * g - x:g", TABLE).table["term"].tolist() == ["x", "g: b", "g: c"]
    with pytest.raises(InputError, match=r"takes away 'G', which is not in it\. Did you mean 'g'"):
        ch.cox("x + g - G", TABLE)


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.dates(),
    st.sampled_from([1, 2, "a", "b", 0.5, pd.NA, pd.NaT, b"a", 1j, decimal.Decimal(1)]),
)  # fmt: skip
NUMBERS = st.one_of(st.integers(0, 9), st.floats(0, 9), st.floats(), st.none())


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    days=st.lists(NUMBERS, min_size=1, max_size=12),
    covariate=st.lists(CELLS, min_size=12, max_size=12),
    events=st.lists(st.sampled_from([0, 1, 1]), min_size=12, max_size=12),
    formula=st.sampled_from(["v", "C(v)", "I(v > 1)", "log1p(v)", "v + v:z", "z"]),
)
def test_any_table_gives_finite_numbers_or_one_of_our_errors(
    days: Any, covariate: Any, events: Any, formula: str
) -> None:
    n = len(days)
    table = pd.DataFrame({"duration": days, "churned": events[:n], "v": covariate[:n], "z": np.arange(n) % 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChurnsurvWarning)
        try:
            fit = ch.cox(formula, table)
        except ChurnsurvError:
            return
    shown = fit.table[["estimate", "std_error", "p_value"]]
    assert np.isfinite(shown.to_numpy(dtype=float)).all()
