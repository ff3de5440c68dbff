"""Coding of categories and interactions, and the record that makes the same columns again."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from churnsurv.errors import InputError
from churnsurv.survival.covariates import ModelMatrix, learn_encoding, model_matrix
from churnsurv.survival.formula import parse_formula


def frame(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "y": rng.normal(size=n) + 50,
            "a": rng.choice(list("pqr"), n),
            "b": rng.choice(["u", "v"], n),
            "c": rng.choice(["k", "l"], n),
        }
    )


def expanded(matrix: ModelMatrix) -> np.ndarray:
    """The columns in the order of the formula, in the units of the table."""
    made = matrix.design
    return (made.rows(slice(None)) * made.scale + made.centre)[:, matrix.order]


@pytest.mark.parametrize(
    "formula",
    ["a", "x + a", "a + b + a:b", "a:b", "a * x", "x:a", "x + a:b", "a + a:b", "a:b:x", "a*b*c", "a:b + b:c",
     "poly(x, 2) * a", "x * y", "a:b:c", "x + x:a:b", "a:x + b:x", "a*x + a:b:x"],
)  # fmt: skip
def test_columns_span_what_the_formula_says_and_none_is_redundant(formula: str) -> None:
    formulaic = pytest.importorskip("formulaic")
    table = frame()
    _, matrix, _ = learn_encoding(parse_formula(formula), table)
    ours = np.column_stack([np.ones(len(table)), expanded(matrix)])
    theirs = np.asarray(formulaic.model_matrix(f"1 + {formula}", table), dtype=float)
    rank = np.linalg.matrix_rank(ours)
    assert rank == ours.shape[1] == np.linalg.matrix_rank(theirs) == np.linalg.matrix_rank(np.hstack([ours, theirs]))


def test_rows_say_what_the_columns_are() -> None:
    table = frame()
    _, matrix, _ = learn_encoding(parse_formula("a*x + poly(y, 2)"), table, reference={"a": "q"})
    said = [(row.term, row.variable, row.category, row.reference, row.columns) for row in matrix.rows]
    assert said == [
        ("a: p", "a", "p", "q", ("a",)),
        ("a: r", "a", "r", "q", ("a",)),
        ("x", "x", None, None, ("x",)),
        ("poly(y, 2)[1]", "poly(y, 2)", None, None, ("y",)),
        ("poly(y, 2)[2]", "poly(y, 2)", None, None, ("y",)),
        ("a: p × x", "a:x", "p", "q", ("a", "x")),
        ("a: r × x", "a:x", "r", "q", ("a", "x")),
    ]
    columns = expanded(matrix)
    np.testing.assert_allclose(columns[:, 0], table["a"] == "p")
    np.testing.assert_allclose(columns[:, 2], table["x"], rtol=1e-14)
    np.testing.assert_allclose(columns[:, 6], (table["a"] == "r") * table["x"], rtol=1e-14)
    assert [matrix.design.names[i] for i in matrix.order] == [row.term for row in matrix.rows]


def test_each_combination_against_that_of_all_references() -> None:
    table = frame()
    _, matrix, _ = learn_encoding(parse_formula("a:b"), table, reference={"a": "q"})
    assert [(row.term, row.category, row.reference) for row in matrix.rows][:2] == [
        ("a: p × b: u", "p × u", "q × u"),
        ("a: r × b: u", "r × u", "q × u"),
    ]
    np.testing.assert_allclose(expanded(matrix)[:, 1], (table["a"] == "r") & (table["b"] == "u"))
    _, slopes, _ = learn_encoding(parse_formula("a:x"), table)
    assert [(row.term, row.reference) for row in slopes.rows] == [
        ("a: p × x", None),
        ("a: q × x", None),
        ("a: r × x", None),
    ]


@pytest.mark.parametrize(
    ("values", "reference", "expected"),
    [
        (["b", "a", "c"], None, ["a: b", "a: c"]),
        (["b", "a", "c"], "c", ["a: a", "a: b"]),
        (pd.Categorical(["b", "a", "c"], categories=["c", "x", "b", "a"]), None, ["a: b", "a: a"]),
        ([True, False, True], None, ["a: True"]),
        ([True, False, True], True, ["a: False"]),
        (["b", None, "a"], None, ["a: b", "a: (missing)"]),
        ([None, None, "a"], "(missing)", ["a: a"]),
    ],
)
def test_the_first_category_is_the_reference_unless_one_is_chosen(values, reference, expected) -> None:
    chosen = None if reference is None else {"a": reference}
    _, matrix, _ = learn_encoding(parse_formula("a"), pd.DataFrame({"a": values}), reference=chosen)
    assert [row.term for row in matrix.rows] == expected


def test_numbers_as_categories() -> None:
    table = pd.DataFrame({"plan": [3, 1, 2, 1]})
    _, matrix, _ = learn_encoding(parse_formula("C(plan)"), table, reference={"plan": 2})
    assert [row.term for row in matrix.rows] == ["C(plan): 1", "C(plan): 3"]
    _, again, _ = learn_encoding(parse_formula("C(plan)"), table, reference={"C(plan)": "2"})
    assert again.rows == matrix.rows


def test_missing_values_of_a_category_are_noted() -> None:
    _, _, notes = learn_encoding(parse_formula("a"), pd.DataFrame({"a": ["x", None, "y", None]}))
    assert notes == ("2 missing values of a form the category '(missing)'.",)


def test_a_category_that_carries_no_information_gets_no_column() -> None:
    table = pd.DataFrame({"a": ["x", "y", "z", "z", "x"]})
    informative = np.array([True, True, False, False, True])
    encoding, matrix, notes = learn_encoding(parse_formula("a"), table, informative=informative)
    assert [row.term for row in matrix.rows] == ["a: y"]
    assert encoding.factors["a"].categories == ("x", "y")
    assert notes == ("a: z (2 rows) has nobody at risk on a day with churn, so it has no coefficient.",)


@pytest.mark.parametrize(
    ("formula", "reference", "message"),
    [
        (
            "a",
            {"a": "P"},
            "'a' has no category 'P' among the rows at risk. Did you mean 'p'\\? Categories: 'p', 'q', 'r'",
        ),
        ("a", {"b": "u"}, "'b' is no category of the formula. .*Categories of the formula: 'a'"),
        ("a + b", {"channel": "u"}, "'channel' is no category of the formula"),
        ("x", {"x": 1}, r"'x' is numeric. Write C\(x\)"),
    ],
)
def test_a_reference_must_be_there(formula: str, reference: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learn_encoding(parse_formula(formula), frame(), reference=reference)


def test_a_category_with_one_value_is_refused() -> None:
    with pytest.raises(InputError, match="'a' has no variance: every row at risk is ads"):
        learn_encoding(parse_formula("a"), pd.DataFrame({"a": ["ads", "ads"]}))


def test_categories_that_read_the_same_are_refused() -> None:
    with pytest.raises(InputError, match="different categories that read the same"):
        learn_encoding(parse_formula("a"), pd.DataFrame({"a": pd.Series([1, "1", 2], dtype=object)}))


def test_too_many_columns_are_refused_before_they_are_made() -> None:
    with pytest.raises(InputError, match=r"makes 6999 columns; 5000 are the most. 'a' alone has 7000 categories"):
        learn_encoding(parse_formula("a"), pd.DataFrame({"a": [f"u{i}" for i in range(7_000)]}))


def test_new_rows_are_encoded_like_the_first_ones() -> None:
    table = frame()
    encoding, matrix, _ = learn_encoding(parse_formula("a*x + bs(y, df=4) + scale(x)"), table, reference={"a": "r"})
    new = table.iloc[30:60].reset_index(drop=True)
    again = model_matrix(encoding, new)
    np.testing.assert_allclose(expanded(again), expanded(matrix)[30:60], rtol=1e-10, atol=1e-12)
    assert again.rows == matrix.rows


def test_an_unknown_category_in_new_rows_is_named() -> None:
    encoding, _, _ = learn_encoding(parse_formula("a"), frame())
    with pytest.raises(
        InputError, match=r"'a' has the category 'P', which the model was not fitted to. Did you mean 'p'"
    ):
        model_matrix(encoding, pd.DataFrame({"a": ["q", "P"]}))


def test_the_record_holds_plain_values_only() -> None:
    table = frame().assign(plan=np.arange(120) % 3, day=pd.Categorical(np.arange(120) % 2))
    formula = parse_formula("a*x + poly(y, 2) + bs(x, df=4) + cs(y, df=3) + C(plan) + day")
    encoding, _, _ = learn_encoding(formula, table)
    text = json.dumps(asdict(encoding), allow_nan=False)
    assert json.loads(text)["factors"]["a"]["categories"] == ["p", "q", "r"]
    assert len(text) < 3_000
