"""Products with the unexpanded matrix against the expanded one."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.design import Design, Indicators, design, weighted_gram


def example(n: int = 57) -> tuple[Design, np.ndarray]:
    """A design of two numeric columns, two categories and an interaction, and the same expanded by hand."""
    rng = np.random.default_rng(3)
    x, y, z = rng.normal(size=n) * 5 + 100, rng.integers(0, 4, n), rng.normal(size=n) * 300
    a, b = rng.integers(0, 3, n).astype(np.int32), rng.integers(0, 5, n).astype(np.int32)
    parts = [
        Indicators(a, ("a1", "a2"), "a0"),
        Indicators(b, ("b1", "b2", "b3", "b4"), "b0"),
        Indicators(a, ("a1 x", "a2 x"), None, values=z),
    ]
    expanded = np.column_stack(
        [x, y, *(a == 1, a == 2), *(b == k for k in range(1, 5)), (a == 1) * z, (a == 2) * z]
    ).astype(float)
    return design([x, y], ["x", "y"], parts, n_rows=n), expanded


def test_products_are_those_of_the_expanded_matrix() -> None:
    made, expanded = example()
    scaled = (expanded - made.centre) / made.scale
    rng = np.random.default_rng(0)
    weights, beta = rng.random(made.n_rows), rng.normal(size=made.n_columns)
    codes = rng.integers(0, 6, made.n_rows).astype(np.int32)
    np.testing.assert_allclose(made.rows(slice(None)), scaled, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(made.rows(np.array([5, 2])), scaled[[5, 2]], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(made.times(beta), scaled @ beta, rtol=1e-12)
    np.testing.assert_allclose(made.transposed_times(weights), scaled.T @ weights, rtol=1e-12)
    gram, sums = made.gram(weights)
    np.testing.assert_allclose(gram, scaled.T @ (weights[:, None] * scaled), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sums, scaled.T @ weights, rtol=1e-12)
    one_hot = np.eye(6)[codes]
    np.testing.assert_allclose(
        made.sums_by(codes, 6, weights), one_hot.T @ (weights[:, None] * scaled), rtol=1e-12, atol=1e-13
    )


def test_names_follow_the_columns() -> None:
    made, _ = example()
    assert made.names == ("x", "y", "a1", "a2", "b1", "b2", "b3", "b4", "a1 x", "a2 x")


@pytest.mark.parametrize("layout", ["C", "F"])
def test_blocks_of_rows_leave_no_seams(layout: str) -> None:
    rng = np.random.default_rng(1)
    table = np.array(rng.normal(size=(20_001, 3)), order=layout)
    made = design(list(table.T), ["a", "b", "c"], n_rows=20_001)
    weights = rng.random(20_001)
    expected = (table - made.centre) / made.scale
    np.testing.assert_array_equal(made.dense, expected)
    np.testing.assert_allclose(made.centre, table.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(made.gram(weights)[0], expected.T @ (weights[:, None] * expected), rtol=1e-10, atol=1e-9)


def test_scaling_is_exact_whatever_the_units() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    big, small = (design([values * unit], ["x"], n_rows=4) for unit in (2.0**40, 2.0**-40))
    np.testing.assert_array_equal(big.dense, small.dense)
    assert np.log2(big.scale[0]) == np.round(np.log2(big.scale[0]))
    assert np.abs(big.dense).max() < 2


def test_integers_and_booleans_are_numbers() -> None:
    made = design([np.array([1, 3], dtype=np.int8), np.array([True, False])], ["i", "b"], n_rows=2)
    np.testing.assert_array_equal(made.dense * made.scale + made.centre, [[1, 1], [3, 0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(bad: float) -> None:
    with pytest.raises(InputError, match=r"covariate 'x' has 2 missing or infinite values, first at row 1 \("):
        design([np.array([1.0, bad, 3.0, bad])], ["x"], n_rows=4)


def test_a_constant_column_is_named() -> None:
    with pytest.raises(InputError, match="covariate 'x' has no variance: every row is 7"):
        design([np.full(3, 7.0)], ["x"], n_rows=3)


def test_a_gram_of_no_columns_is_empty() -> None:
    gram, sums = weighted_gram(np.empty((4, 0)), np.ones(4))
    assert gram.shape == (0, 0)
    assert sums.shape == (0,)


@pytest.mark.parametrize("p", [1, 63, 64, 70])
def test_grams_of_few_and_of_many_columns(p: int) -> None:
    rng = np.random.default_rng(p)
    dense, weights = rng.standard_normal((9_001, p)), rng.random(9_001)
    gram, sums = weighted_gram(dense, weights)
    np.testing.assert_allclose(gram, dense.T @ (weights[:, None] * dense), rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(sums, dense.T @ weights, rtol=1e-12, atol=1e-11)
    np.testing.assert_array_equal(gram, gram.T)


def test_a_matrix_of_many_rows_without_numbers_or_without_rows() -> None:
    codes = np.zeros(70_000, dtype=np.int32)
    codes[-1] = 1
    made = design([], [], [Indicators(codes, ("b",), "a")], n_rows=70_000)
    assert made.times(np.array([2.0])).sum() == 2.0
    assert made.transposed_times(np.ones(70_000)).tolist() == [1.0]
    assert weighted_gram(np.empty((0, 3)), np.empty(0))[0].tolist() == np.zeros((3, 3)).tolist()


@pytest.mark.parametrize("unit", [1.7e308, 1e300, 1e125, 1e-125, 1e-300, 1e-320])
def test_units_at_the_end_of_floating_point_are_named(unit: float) -> None:
    with pytest.raises(InputError, match=r"covariate 'x' goes from .* beyond floating point\. Give it another unit"):
        design([np.array([-1.0, 0.5, 1.0, 1.0]) * unit], ["x"], n_rows=4)


@pytest.mark.parametrize("unit", [1e100, 1e-100])
def test_large_and_small_units_keep_their_digits(unit: float) -> None:
    values = np.array([-1.0, 0.5, 1.0, 1.0])
    made = design([values * unit], ["x"], n_rows=4)
    np.testing.assert_allclose(made.dense[:, 0] * made.scale[0] + made.centre[0], values * unit, rtol=1e-15)
