"""Balance of arms: by enumerating every draw, and its size over many."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from churnsurv.errors import InputError
from churnsurv.numerics.arm_balance import arm_balance


def test_the_covariance_is_that_over_all_draws() -> None:
    """Three arms in two strata, two variables: every draw of arms of these sizes, one after the other."""
    rng = np.random.default_rng(1)
    arms = [(0, 0, 1, 2), (0, 1, 1, 2, 2)]
    X = [rng.exponential(size=(len(each), 2)) for each in arms]
    columns = [np.concatenate([part[:, j] for part in X]) for j in range(2)]
    stratum = np.repeat([0, 1], [4, 5])
    found = []
    for first in sorted(set(permutations(arms[0]))):
        for second in sorted(set(permutations(arms[1]))):
            draw = arm_balance(columns, np.array(first + second), stratum, control=0)
            found.append(draw.difference.ravel())
    drawn = np.array(found)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(draw.std_error.ravel() ** 2, drawn.var(axis=0), rtol=1e-10)
    V = np.cov(drawn.T, bias=True)
    np.testing.assert_allclose(draw.statistic, found[-1] @ np.linalg.solve(V, found[-1]), rtol=1e-9)
    assert (draw.df, draw.arms) == (4, (1, 2))
    means = [columns[0][np.array(first + second) == arm].mean() for arm in range(3)]
    np.testing.assert_allclose(draw.mean[:, 0], means, rtol=1e-13)


def test_columns_that_say_nothing_new_change_nothing() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 60))
    arm, stratum = rng.integers(0, 3, 60), np.zeros(60, dtype=np.int64)
    alone = arm_balance([x, y], arm, stratum, control=1)
    more = arm_balance([x, np.full(60, 7.0), y, 1e6 + 1e3 * (x - 2 * y)], arm, stratum, control=1)
    assert (alone.df, more.df) == (4, 4)
    np.testing.assert_allclose(more.statistic, alone.statistic, rtol=1e-6)
    assert np.isnan(more.p_value[:, 1]).all()
    nothing = arm_balance([np.full(60, 7.0)], arm, stratum, control=1)
    assert (nothing.df, nothing.joint_p_value) == (0, 1.0)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    columns = list(rng.normal(size=(3, 500)))
    arm, stratum = rng.integers(0, 2, 500), rng.integers(0, 4, 500)
    whole = arm_balance(columns, arm, stratum, control=0)
    monkeypatch.setattr("churnsurv.numerics.arm_balance._BLOCK", 37)
    np.testing.assert_allclose(arm_balance(columns, arm, stratum, control=0).statistic, whole.statistic, rtol=1e-11)


def test_a_stratum_without_one_of_the_arms_is_left_out() -> None:
    x = np.array([1.0, 2, 3, 4, 50, 60])
    arm, stratum = np.array([0, 1, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    assert arm_balance([x], arm, stratum, control=0).difference.tolist() == [[1.0]]
    with pytest.raises(InputError, match="no stratum in common"):
        arm_balance([x], np.array([0, 0, 0, 0, 1, 1]), stratum, control=0)


def test_the_joint_test_has_its_size() -> None:
    """Four arms of unequal sizes, skewed and rare variables, strata: 5 % of 600 draws, give or take three errors."""
    rng = np.random.default_rng(4)
    n = 400
    skewed = rng.exponential(size=n) ** 2
    columns = [skewed, (rng.random(n) < 0.1).astype(float), skewed + rng.normal(size=n)]
    stratum = np.repeat([0, 1], n // 2)
    arm = np.tile(np.repeat([0, 1, 2, 3], [100, 40, 40, 20]), 2)
    small = 0
    for _ in range(600):
        drawn = np.concatenate([rng.permutation(arm[: n // 2]), rng.permutation(arm[n // 2 :])])
        small += arm_balance(columns, drawn, stratum, control=0).joint_p_value < 0.05
    assert 600 * 0.023 < small < 600 * 0.077
