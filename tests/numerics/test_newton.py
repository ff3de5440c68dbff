"""Newton's method on functions small enough to know the answer, and on those that have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.newton import Derivatives, maximise


@dataclass(frozen=True)
class Point:
    coefficients: np.ndarray
    log_likelihood: float


def climb(value, slope, curvature, *, p: int = 1, reach=lambda step: float(np.abs(step).max())):
    return maximise(
        lambda b: Point(b, value(b)),
        lambda point: Derivatives(slope(point.coefficients), curvature(point.coefficients), np.ones(p)),
        reach=reach,
        names=tuple(f"x{i}" for i in range(p)),
    )


def test_a_parabola_takes_one_step() -> None:
    H, top = np.array([[2.0, 0.3], [0.3, 0.5]]), np.array([3.0, -4.0])
    found = climb(lambda b: -0.5 * (b - top) @ H @ (b - top), lambda b: H @ (top - b), lambda _: H, p=2)
    np.testing.assert_allclose(found.coefficients, top, rtol=1e-13)
    np.testing.assert_allclose(found.inverse_information, np.linalg.inv(H), rtol=1e-12)
    assert found.iterations == 1
    assert found.first_decrement == pytest.approx(top @ H @ top)


def test_steps_that_overshoot_are_halved() -> None:
    # -log cosh: from 2 a full Newton step would land at -11.6, and diverge from there
    def value(b):
        return -float(np.log(np.cosh(b[0] - 2)))

    found = climb(value, lambda b: -np.tanh(b - 2), lambda b: np.array([[1 / np.cosh(b[0] - 2) ** 2]]))
    assert found.coefficients[0] == pytest.approx(2, abs=1e-12)


def test_a_function_that_rises_for_ever_is_unbounded() -> None:
    with pytest.raises(ConvergenceError, match=r"separation.*'x0' to plus infinity"):
        climb(lambda b: -float(np.exp(-b[0])), lambda b: np.exp(-b), lambda b: np.array([[np.exp(-b[0])]]))


def test_a_slope_that_promises_what_no_step_keeps() -> None:
    with pytest.raises(ConvergenceError, match=r"rounding hides the way.*such as 'x0'"):
        climb(lambda b: -abs(float(b[0])), lambda _: np.ones(1), lambda _: np.eye(1))


def test_steps_without_end_are_given_up() -> None:
    with pytest.raises(ConvergenceError, match=r"no convergence after 100 Newton steps.*such as 'x0'"):
        climb(lambda b: float(b[0]), lambda _: np.ones(1), lambda _: np.eye(1))


def test_a_start_that_cannot_be_computed() -> None:
    with pytest.raises(ConvergenceError, match="cannot be computed at coefficients zero"):
        climb(lambda _: -np.inf, lambda _: np.ones(1), lambda _: np.eye(1))


@pytest.mark.parametrize(
    ("left", "named"),
    [
        (np.array([[1.0, 0.0], [0.0, 0.0]]), "'x1' to plus infinity"),
        (np.array([[1.0, 1.0], [1.0, 1.0]]), "'x0' to plus infinity and 'x1' to minus infinity"),
    ],
)
def test_an_information_that_vanishes_on_the_way_is_separation(left: np.ndarray, named: str) -> None:
    # the score at the second point is (1, 0.5)
    def curvature(b):
        return left if b.any() else np.eye(2)

    with pytest.raises(ConvergenceError, match=named):
        climb(lambda b: float(b.sum()), lambda _: np.array([1.0, 0.5]), curvature, p=2)


def test_a_way_that_ended_flat_is_named_by_where_it_led() -> None:
    """Score and information are both exactly 0 where the exponential has underflowed."""

    def slope(b: np.ndarray) -> np.ndarray:
        return np.array([1.0 if b[0] < 1 else 0.0, 0.5 - b[1]])

    def curvature(b: np.ndarray) -> np.ndarray:
        return np.diag([0.02 if b[0] < 1 else 0.0, 1.0])

    with pytest.raises(ConvergenceError, match=r"separation\).*'x0' to plus infinity"):
        climb(lambda b: min(b[0], 40.0) - 0.5 * (b[1] - 0.5) ** 2, slope, curvature, p=2)
