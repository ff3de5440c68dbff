"""Expressions mean the same in every dialect: numbers to the last bit, texts letter by letter, no precedence lost."""

from __future__ import annotations

import math
import sqlite3
import sys

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.data import expressions as ex
from churnsurv.errors import InputError

TABLE = ex.Table(("t",))


def has_sqlite() -> bool:
    """Whether SQLGlot is installed, and SQLite has exp() and the like, which is decided where it is built."""
    try:
        import sqlglot  # noqa: F401
    except ImportError:
        return False
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT EXP(1), MOD(5.5, 2), LN(2)")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


DIALECTS = ["duckdb", "sqlite"] if has_sqlite() else ["duckdb"]


@pytest.fixture(scope="module")
def engines():
    with duckdb.connect() as duck:
        lite = sqlite3.connect(":memory:")
        for connection in (duck, lite):
            connection.execute("CREATE TABLE t (x DOUBLE, y DOUBLE, missing DOUBLE, name VARCHAR, yes BOOLEAN)")
            connection.execute("INSERT INTO t VALUES (2.5, -1.5, NULL, 'it''s', TRUE)")
        yield {"duckdb": duck, "sqlite": lite}
        lite.close()


def value(engines, expression: ex.Expression, dialect: str):
    statement = ex.render(ex.Select((ex.Named("v", expression),), TABLE), dialect=dialect)
    (row,) = engines[dialect].execute(statement).fetchall()
    return row[0]


X, Y, NOTHING = ex.Column("x"), ex.Column("y"), ex.Column("missing")


@pytest.mark.parametrize("dialect", DIALECTS)
@given(number=st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
@settings(max_examples=100, deadline=None)
def test_numbers_are_read_as_the_same_double(engines, dialect, number):
    if dialect == "sqlite" and not 1e-290 < abs(number) < 1e290:
        return  # SQLite reads decimals with 19 digits; far out its last bit may differ
    found = value(engines, ex.Number(number), dialect)
    if dialect == "duckdb":
        assert found == number
    else:
        assert math.isclose(found, number, rel_tol=1e-15)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_texts_and_names_are_quoted(engines, dialect, text):
    assert value(engines, ex.Text(text), dialect) == text
    inner = ex.Select((ex.Named(f"n{text}", X),), TABLE)
    outer = ex.Select((ex.Named("v", ex.Column(f"n{text}")),), inner)
    assert engines[dialect].execute(ex.render(outer, dialect=dialect)).fetchall() == [(2.5,)]


def trees() -> st.SearchStrategy[tuple[ex.Expression, float]]:
    """Random arithmetic beside its value in Python."""
    leaves = st.one_of(
        st.just((X, 2.5)), st.just((Y, -1.5)), st.floats(-9, 9, width=16).map(lambda v: (ex.Number(v), float(v)))
    )

    def combine(parts):
        def made(operator, left, right):
            a, b = left[1], right[1]
            result = {"+": a + b, "-": a - b, "*": a * b}.get(operator)
            if operator == "/":
                result = a / b if b else math.nan
            if operator == "%":
                result = math.fmod(a, b) if b else math.nan
            return ex.Arithmetic(operator, left[0], right[0]), result

        return st.builds(made, st.sampled_from("+-*/%"), parts, parts)

    return st.recursive(leaves, combine, max_leaves=8)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(tree=trees())
@settings(max_examples=80, deadline=None)
def test_arithmetic_is_grouped_as_the_tree(engines, dialect, tree):
    expression, wanted = tree
    if math.isfinite(wanted):
        assert value(engines, expression, dialect) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (ex.Call("log", (X,)), math.log(2.5)),
        (ex.Call("log2", (X,)), math.log2(2.5)),
        (ex.Call("log10", (X,)), math.log10(2.5)),
        (ex.Call("exp", (Y,)), math.exp(-1.5)),
        (ex.Call("sqrt", (X,)), math.sqrt(2.5)),
        (ex.Call("abs", (Y,)), 1.5),
        (ex.Call("floor", (Y,)), -2.0),
        (ex.Call("round", (ex.Number(-2.4),)), -2.0),
        (ex.Call("power", (X, ex.Number(3.0))), 2.5**3),
        (ex.total([]), 0.0),
        (ex.total([X, Y, ex.Number(1.0)]), 2.0),
        (ex.finite(X), 2.5),
        (ex.finite(NOTHING), None),
        (ex.finite(ex.Call("power", (ex.Number(1e200), ex.Number(2.0)))), None),
        (ex.finite(ex.Call("log", (Y,))), None),
        (ex.finite(ex.Arithmetic("/", X, ex.Number(0.0))), None),
        (ex.Null(), None),
        (ex.Case(((ex.Comparison(">", X, Y), ex.Number(1.0)),)), 1.0),
        (ex.Case(((ex.Comparison("<=", X, Y), ex.Number(1.0)),)), None),
        (ex.Case(((ex.Comparison("<", NOTHING, Y), ex.Number(1.0)),), ex.Number(7.0)), 7.0),
        (ex.Cast("text", ex.Column("name")), "it's"),
    ],
)
def test_values(engines, dialect, expression, wanted):
    found = value(engines, expression, dialect)
    assert found == (wanted if wanted is None or isinstance(wanted, str) else pytest.approx(wanted, rel=1e-14))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        (ex.Comparison("=", ex.Column("name"), ex.Text("it's")), True),
        (ex.Comparison("<>", X, X), False),
        (ex.Comparison("=", ex.Column("yes"), ex.Truth(True)), True),
        (ex.Comparison("=", NOTHING, NOTHING), None),
        (ex.IsNull(NOTHING), True),
        (ex.Not(ex.IsNull(NOTHING)), False),
        (ex.Not(ex.Comparison("=", NOTHING, X)), None),
        (ex.Or((ex.Truth(False), ex.And((ex.Truth(True), ex.Truth(False))), ex.Truth(True))), True),
        (ex.And((ex.Or((ex.Truth(True), ex.Truth(False))), ex.Truth(False))), False),
    ],
)
def test_truth(engines, dialect, expression, wanted):
    assert value(engines, expression, dialect) == wanted


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (ex.Number(math.inf), "finite"),
        (ex.Number(math.nan), "finite"),
        (ex.Call("sin", (X,)), "'sin'"),
        (ex.Call("power", (X,)), "takes 2"),
        (ex.Arithmetic("**", X, X), "operator"),
        (ex.Comparison("==", X, X), "comparison"),
        (ex.Cast("date", X), "type"),
    ],
)
def test_what_cannot_be_written(expression, said):
    with pytest.raises(InputError, match=said):
        ex.render(ex.Select((ex.Named("v", expression),), TABLE))


def test_two_columns_of_one_name():
    with pytest.raises(InputError, match="'V'"):
        ex.render(ex.Select((ex.Named("v", X), ex.Named("V", Y)), TABLE))


def test_an_unknown_dialect_is_refused_with_the_list():
    with pytest.raises(InputError, match=r"'sqlite', not 'duckdbb'\. Did you mean 'duckdb'"):
        ex.render(ex.Select((ex.Named("v", X),), TABLE), dialect="duckdbb")


def test_without_sqlglot_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(InputError, match=r"churnsurv\[sql\]"):
        ex.render(ex.Select((ex.Named("v", X),), TABLE), dialect="sqlite")
