"""Formulas: what is read, what is refused and in which words, and what the functions compute."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError, SchemaError
from churnsurv.survival.formula import FUNCTIONS, columns_of, evaluate, parse_formula


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a + b", [("a",), ("b",)]),
        ("1 + a", [("a",)]),
        ("b:c + a", [("a",), ("b", "c")]),
        ("a * b", [("a",), ("b",), ("a", "b")]),
        ("(a + b + c)**2 - a:c", [("a",), ("b",), ("c",), ("a", "b"), ("b", "c")]),
        ("渠道 + `my column` + `a.b`", [("渠道",), ("`my column`",), ("`a.b`",)]),
        ("log1p(amount) + I(amount>3)", [("log1p(amount)",), ("I(amount > 3)",)]),
        ("bs(tenure, df=4):channel", [("bs(tenure, df=4)", "channel")]),
        ("C(plan) + C(plan)", [("C(plan)",)]),
    ],
)
def test_terms(text: str, terms: list[tuple[str, ...]]) -> None:
    assert list(parse_formula(text).terms) == terms


def test_variables_are_the_columns_each_once() -> None:
    assert parse_formula("log(a / `b c`) + a + poly(d, 2) + I(channel == 'a')").variables == (
        "a",
        "d",
        "channel",
        "b c",
    ) or set(parse_formula("log(a / `b c`) + a + poly(d, 2) + I(channel == 'a')").variables) == {
        "a",
        "b c",
        "d",
        "channel",
    }
    assert columns_of("I(a + a * `x y`)") == ("a", "x y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("churned ~ a", "has a left side.*event="),
        ("~ a", "has a left side"),
        ("", "names no covariates"),
        ("1", "names no covariates"),
        ("a - a", "names no covariates"),
        ("a - 1", "'- 1' and '0 \\+' have no meaning"),
        ("0 + a", "'- 1' and '0 \\+' have no meaning"),
        ("a | b", "For strata use strata="),
        (". + a", "Name the columns"),
        (".", "Name the columns"),
        ("n**2", r"write I\(n\*\*2\) or poly\(n, 2\)"),
        ("n^2 + b", r"write I\(n\*\*2\) or poly\(n, 2\)"),
        ("2:a", r"only inside I\(\)"),
        ("a +", "cannot be read: Operator `\\+`"),
        ("(a", "cannot be read"),
        ("a b", "cannot be read: Missing operator"),
        ("lg(a)", r"uses lg\(\), which is not a function here. Did you mean 'log'\? Functions: log, log1p"),
        ("np.log(a)", r"uses np.log\(\), which is not a function"),
        ("__import__('os')", "is not a function here"),
        ("log(a.b)", "'a.b' in 'log\\(a.b\\)' is not a column name.*backticks"),
        ("I(a[0])", "is not a column name"),
        ("I(a b)", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_formula(text)


def test_a_formula_is_text() -> None:
    with pytest.raises(InputError, match="must be text such as"):
        parse_formula(["a"])  # type: ignore[arg-type]


FRAME = pd.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.0],
        "z": [0, 1, 2, 3],
        "channel": ["ads", None, "friend", "ads"],
        "paid": [True, False, True, True],
        "my column": [1, 2, 3, 9],
        "when": pd.to_datetime(["2024-01-01"] * 4),
        "date": [datetime.date(2024, 1, 1)] * 4,
        "wait": pd.to_timedelta([1, 2, 3, 4], unit="D"),
        "gap": [1.0, np.nan, 3.0, np.nan],
        "far": [1.0, 2.0, np.inf, 3.0],
        "nullable": pd.array([1, 2, None, 4], dtype="Int64"),
        "boxed": pd.Series([1, 2.5, 3, 4], dtype=object),
        "金额": [1, 2, 4, 8],
    }
)


def numbers(expression: str) -> list[float]:
    (values,) = evaluate(expression, FRAME, {}).numeric
    return values.tolist()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x", [1, 2, 3, 4]),
        ("boxed", [1, 2.5, 3, 4]),
        ("`my column`", [1, 2, 3, 9]),
        ("log(x)", [math.log(v) for v in (1, 2, 3, 4)]),
        ("log1p(z)", [math.log1p(v) for v in range(4)]),
        ("log2(金额)", [0, 1, 2, 3]),
        ("log10(x)", [math.log10(v) for v in (1, 2, 3, 4)]),
        ("sqrt(`my column`)", [1, math.sqrt(2), math.sqrt(3), 3]),
        ("exp(z)", [math.exp(v) for v in range(4)]),
        ("abs(I(z - 2))", [2, 1, 0, 1]),
        ("I(2 * x**2 - z / 2 + -1)", [1, 6.5, 16, 29.5]),
        ("I(+x // 2 % 2)", [0, 1, 1, 0]),
        ("center(x)", [-1.5, -0.5, 0.5, 1.5]),
        ("scale(x)", (np.array([-1.5, -0.5, 0.5, 1.5]) / np.std([1, 2, 3, 4], ddof=1)).tolist()),
        ("center(log2(金额))", [-1.5, -0.5, 0.5, 1.5]),
    ],
)
def test_values(expression: str, expected: list[float]) -> None:
    np.testing.assert_allclose(numbers(expression), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("channel", ["ads", None, "friend", "ads"]),
        ("paid", [True, False, True, True]),
        ("C(z)", [0, 1, 2, 3]),
        ("I(z >= 2)", [False, False, True, True]),
        ("I(channel == 'ads')", [True, False, False, True]),
        ("I('ads' != channel)", [False, True, True, False]),
        ("I(channel == '(missing)')", [False, True, False, False]),
    ],
)
def test_categories(expression: str, expected: list[object]) -> None:
    category = evaluate(expression, FRAME, {}).category
    assert category is not None
    assert category.tolist() == expected


def test_a_category_keeps_its_missing_values() -> None:
    category = evaluate("C(nullable)", FRAME, {}).category
    assert category is not None
    assert category.isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("gap", r"'gap' has 2 missing or infinite values, first at row 1 \(nan\).*C\(gap\)"),
        ("far", r"'far' has 1 missing or infinite values, first at row 2 \(inf\)"),
        ("nullable", r"'nullable' has 1 missing .* first at row 2"),
        ("log(x + gap)", "'gap' has 2 missing"),
        ("log(z)", r"'log\(z\)' is not a finite number in 1 row, first at row 0 \(z = 0\). Use log1p"),
        ("I(x / z)", r"not a finite number in 1 row, first at row 0 \(x = 1.0, z = 0\)"),
        ("when", "'when' holds dates or times"),
        ("date", "'date' holds dates or times"),
        ("wait", "'wait' holds dates or times"),
        ("C(when)", "'when' holds dates or times"),
        ("log(channel)", "needs numbers, and 'channel' is a category"),
        ("I(paid + 1)", "needs numbers, and 'paid' is a category"),
        ("log(poly(x, 2))", r"'poly\(x, 2\)' gives several columns"),
        ("I(channel < 'b')", "can only be compared with a value by == or !="),
        ("I(channel == x)", "can only be compared with a value"),
        ("I(5)", "holds no column"),
        ("log(x, 2)", "is not allowed"),
        ("I(x if z else 1)", "is not allowed"),
        ("I(x and z)", "is not allowed"),
        ("C(log(x))", "is not allowed"),
        ("poly(x, degree=z)", "must be plain values"),
        ("bs(x, df=1)", r"'bs\(x, df=1\)': Invalid value for `df`"),
        ("bs(x, nonsense=1)", "nonsense"),
        ("bs(x, df=4, include_intercept=True)", "include_intercept has no place"),
    ],
)
def test_values_that_cannot_be_used_are_refused(expression: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(expression, FRAME, {})


def test_an_unknown_column_gets_the_nearest_name() -> None:
    with pytest.raises(SchemaError, match=r"no column 'chanel'\. Did you mean 'channel'"):
        evaluate("chanel", FRAME, {})


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="complex"):
        evaluate("c", pd.DataFrame({"c": [1j, 2.0]}), {})


@pytest.mark.parametrize(
    "expression", ["poly(x, 2)", "bs(x, df=5)", "cs(x, df=3)", "cr(x, df=3)", "scale(x)", "center(x)"]
)
def test_what_a_transform_learned_is_used_again(expression: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.sort(rng.normal(size=50))})
    state: dict[str, object] = {}
    first = evaluate(expression, frame, state)
    assert state
    again = evaluate(expression, frame.iloc[10:20], state)
    for a, b in zip(first.numeric, again.numeric, strict=True):
        np.testing.assert_allclose(a[10:20], b, rtol=1e-12)


def test_bases_have_the_size_asked_for_and_do_not_hold_a_constant() -> None:
    frame = pd.DataFrame({"x": np.linspace(0, 1, 40)})
    for expression, size in (("poly(x, 3)", 3), ("bs(x, df=5)", 5), ("cs(x, df=4)", 4), ("cr(x, df=4)", 4)):
        values = evaluate(expression, frame, {})
        assert values.labels == tuple(str(i + 1) for i in range(size))
        with_constant = np.column_stack([np.ones(40), *values.numeric])
        assert np.linalg.matrix_rank(with_constant) == size + 1


def test_the_functions_are_the_listed_ones() -> None:
    assert set(FUNCTIONS) == {
        *("log", "log1p", "log2", "log10", "sqrt", "exp", "abs"),
        *("center", "scale", "poly", "bs", "cs", "cr", "C", "I"),
    }


def test_nothing_of_the_caller_can_be_reached() -> None:
    secret = np.arange(4.0)  # noqa: F841
    with pytest.raises(SchemaError, match="no column 'secret'"):
        evaluate("secret", FRAME, {})
