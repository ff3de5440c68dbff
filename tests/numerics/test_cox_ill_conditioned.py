"""Cox fits of ill-conditioned data against the definition in 50 digits: how many digits are left, and where none is.

Errors of estimates are counted in standard errors of the exact fit, those of the rest are relative. What is promised
stands in `KEPT`; the figures of a run are ten to a hundred times smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.cox import CoxData, derivatives, fit_cox, state_at
from churnsurv.numerics.design import Indicators, design
from churnsurv.numerics.risk_sets import risk_sets
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import TIES, data_of, simple

N = 36


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


@dataclass(frozen=True)
class At:
    """Log-likelihood, score and information at one point."""

    value: Any
    score: Any
    information: Any


class Definition:
    """The partial likelihood with its analytic derivatives, one inner risk set at a time, in mpmath's precision."""

    def __init__(self, rows: Rows, ties: str, offset: np.ndarray | None = None) -> None:
        self.n, self.p = rows.x.shape
        self.x = [[mp.mpf(float(value)) for value in row] for row in rows.x]
        self.offset = [mp.mpf(0)] * self.n if offset is None else [mp.mpf(float(value)) for value in offset]
        self.sets = []
        for day in sorted({rows.duration[i] for i in range(self.n) if rows.event[i]}):
            inside = [i for i in range(self.n) if rows.entry[i] < day <= rows.duration[i]]
            tied = [i for i in inside if rows.event[i] and rows.duration[i] == day]
            for tie in range(len(tied)):
                gone = mp.mpf(tie) / len(tied) if ties == "efron" else mp.mpf(0)
                self.sets.append((tied[tie], [(i, 1 - gone if i in tied else mp.mpf(1)) for i in inside]))

    def at(self, b: Sequence[Any]) -> At:
        eta = [mp.fdot(b, row) + offset for row, offset in zip(self.x, self.offset, strict=True)]
        theta = [mp.exp(value) for value in eta]
        total, score, information = mp.mpf(0), mp.zeros(self.p, 1), mp.zeros(self.p)
        for event, shares in self.sets:
            part = [(theta[i] * share, self.x[i]) for i, share in shares]
            s0 = mp.fsum(weight for weight, _ in part)
            mean = [mp.fsum(weight * x[j] for weight, x in part) / s0 for j in range(self.p)]
            total += eta[event] - mp.log(s0)
            for j in range(self.p):
                score[j] += self.x[event][j] - mean[j]
                for k in range(self.p):
                    information[j, k] += mp.fsum(w * (x[j] - mean[j]) * (x[k] - mean[k]) for w, x in part) / s0
        return At(total, score, information)

    def top(self, start: np.ndarray) -> tuple[list[Any], At]:
        """Newton's method from next to the maximum, to forty digits."""
        b = [mp.mpf(float(value)) for value in start]
        for _ in range(12):
            here = self.at(b)
            step = mp.lu_solve(here.information, here.score)
            b = [value + change for value, change in zip(b, step, strict=True)]
            if (here.score.T * step)[0] < mp.mpf(10) ** -80:
                return b, self.at(b)
        raise AssertionError("the start is not next to the maximum")


@dataclass(frozen=True)
class Kept:
    """Bounds: estimates in standard errors, then relative errors; score in roots of the information."""

    estimates: float
    std_errors: float
    log_likelihood: float = 1e-14
    score: float = 1e-13
    information: float = 1e-13


def check(definition: Definition, data: CoxData, kept: Kept) -> None:
    fit = fit_cox(data)
    b, top = definition.top(fit.coefficients)
    inverse = top.information**-1
    errors = [mp.sqrt(inverse[j, j]) for j in range(definition.p)]
    for j in range(definition.p):
        assert abs(mp.mpf(float(fit.coefficients[j])) - b[j]) <= kept.estimates * errors[j]
        ours = mp.sqrt(mp.mpf(float(fit.inverse_information[j, j])))
        assert abs(ours / errors[j] - 1) <= kept.std_errors
    assert abs(fit.log_likelihood - top.value) <= kept.log_likelihood * abs(top.value)
    check_anywhere(definition, data, 0.7 * fit.coefficients, kept)


def check_anywhere(
    definition: Definition, data: CoxData, point: np.ndarray, kept: Kept, unit: Sequence[Any] | None = None
) -> None:
    state = state_at(data, point * data.design.scale)
    events = data.design.transposed_times(data.weighted(data.sets.event.astype(float)))
    found = derivatives(data, state, events)
    exact = definition.at([mp.mpf(float(value)) for value in point])
    assert abs(state.log_likelihood - exact.value) <= kept.log_likelihood * abs(exact.value)
    unit = unit or [mp.sqrt(exact.information[j, j]) for j in range(definition.p)]
    scale = data.design.scale
    for j in range(definition.p):
        assert abs(mp.mpf(float(found.score[j] * scale[j])) - exact.score[j]) <= kept.score * unit[j]
        for k in range(definition.p):
            ours = mp.mpf(float(found.information[j, k] * scale[j] * scale[k]))
            assert abs(ours - exact.information[j, k]) <= kept.information * unit[j] * unit[k]


def rows_of(seed: int, p: int, *, late: bool, n_days: int = 12, n: int = N) -> Rows:
    rng = np.random.default_rng(seed)
    duration = rng.integers(1, n_days + 1, n)
    entry = np.where(rng.random(n) < 0.5, rng.integers(0, n_days, n), 0) if late else np.full(n, -1)
    return simple(rng.normal(size=(n, p)), duration, rng.random(n) < 0.7, entry=np.minimum(entry, duration - 1))


LATE = pytest.mark.parametrize("late", [False, True], ids=["all from day 0", "late entry"])
BOTH = pytest.mark.parametrize("ties", TIES)


@LATE
@BOTH
def test_columns_in_the_billions_and_the_billionths_lose_nothing(ties: str, late: bool) -> None:
    rows = rows_of(1, 3, late=late)
    rows.x[:, 0] = 3e9 + 1e9 * rows.x[:, 0]
    rows.x[:, 1] = 2e-9 + 1e-9 * rows.x[:, 1]
    check(Definition(rows, ties), data_of(rows, ties), Kept(1e-13, 1e-12))


@LATE
@BOTH
def test_columns_far_from_zero_lose_nothing(ties: str, late: bool) -> None:
    # a spread of one around a billion, and of a billionth around one: centring is exact
    rows = rows_of(2, 2, late=late)
    rows.x[:, 0] += 1e9
    rows.x[:, 1] = 1 + 1e-9 * rows.x[:, 1]
    check(Definition(rows, ties), data_of(rows, ties), Kept(1e-13, 1e-12))


@LATE
@BOTH
@pytest.mark.parametrize(("apart", "digits"), [(1e-2, 10), (1.41e-5, 5)], ids=["1 - 5e-5", "1 - 1e-10"])
def test_nearly_collinear_columns(ties: str, late: bool, apart: float, digits: int) -> None:
    """Standard errors keep 16 digits less those of 1 / (1 - correlation); estimates are better, by their own errors."""
    rows = rows_of(3, 2, late=late)
    rows.x[:, 1] = rows.x[:, 0] + apart * rows.x[:, 1]
    definition, data = Definition(rows, ties), data_of(rows, ties)
    check(definition, data, Kept(1e-9, 10.0**-digits, 1e-12, 1e-11, 1e-12))
    # what the data say is their sum, and the linear predictor: these are as good as ever
    fit = fit_cox(data)
    b, _ = definition.top(fit.coefficients)
    for row in definition.x:
        ours = mp.fdot([mp.mpf(float(value)) for value in fit.coefficients], row)
        assert abs(ours - mp.fdot(b, row)) < 1e-9


@BOTH
def test_columns_closer_than_that_are_called_collinear(ties: str) -> None:
    rows = rows_of(3, 2, late=False)
    rows.x[:, 1] = rows.x[:, 0] + 1e-6 * rows.x[:, 1]
    with pytest.raises(ConvergenceError, match="'x0' and 'x1' are collinear"):
        fit_cox(data_of(rows, ties))


@BOTH
def test_offsets_over_four_hundred_orders_of_e(ties: str) -> None:
    rows = rows_of(4, 2, late=False)
    rng = np.random.default_rng(5)
    offset = np.linspace(-200, 200, N)[np.argsort(np.argsort(3 * rng.normal(size=N) - rows.duration))]
    check(Definition(rows, ties, offset), data_of(rows, ties, offset=offset), Kept(1e-11, 1e-10, score=1e-12))


@BOTH
@pytest.mark.parametrize("size", [1.0, 30.0, 300.0])
def test_linear_predictors_far_apart(ties: str, size: float) -> None:
    """Far from the maximum, where exp() of the largest and of the smallest don't fit into one double.

    One row has all of its risk set there and the information is nothing: errors are counted in units of x.
    """
    rows = rows_of(6, 2, late=False)
    kept = Kept(1, 1, 1e-14, 1e-12, 1e-12)
    check_anywhere(Definition(rows, ties), data_of(rows, ties), np.array([size, -0.3 * size]), kept, unit=[1, 1])


@BOTH
@pytest.mark.parametrize(("gap", "digits"), [(5, 12), (10, 10), (15, 8), (22, 5)])
def test_risk_sets_that_cancel_under_late_entry(ties: str, gap: float, digits: int) -> None:
    """Who enters late has e^gap times the hazard of those before: the early sums are what is left of a subtraction.

    So many digits are lost as the gap has, and not one more.
    """
    rows = rows_of(7, 2, late=True, n_days=20)
    offset = np.where(rows.entry > 6, float(gap), 0.0) + 0.1 * np.random.default_rng(8).normal(size=N)
    left = 10.0**-digits
    kept = Kept(left, left, left / 10, left, left)
    check(Definition(rows, ties, offset), data_of(rows, ties, offset=offset), kept)


@BOTH
def test_risk_sets_that_cancel_altogether_give_no_answer(ties: str) -> None:
    rows = rows_of(7, 2, late=True, n_days=20)
    offset = np.where(rows.entry > 6, 40.0, 0.0)
    with pytest.raises(ConvergenceError, match="the offset or the weights span too wide a range"):
        fit_cox(data_of(rows, ties, offset=offset))


def crossed(value: np.ndarray, seed: int = 9) -> tuple[CoxData, Rows]:
    """A category with two values, each with a slope of its own; the columns of slopes are not centred."""
    rows = rows_of(seed, 1, late=False, n_days=15)
    group = np.arange(N) % 2
    columns = [group == 1, np.where(group == 0, value, 0.0), np.where(group == 1, value, 0.0)]
    parts = [
        Indicators(group.astype(np.int32), ("b",), "a"),
        Indicators((group + 1).astype(np.int32), ("g: a × v", "g: b × v"), None, value),
    ]
    data = CoxData(design([], [], parts, n_rows=N), risk_sets(rows.duration, rows.event))
    return data, simple(np.column_stack(columns).astype(float), rows.duration, rows.event)


@pytest.mark.parametrize(
    ("centre", "spread", "digits"),
    [(6.0, 1.0, 13), (1e3, 1.0, 8), (1e6, 100.0, 6), (1.7e9, 1e7, 10), (1.7e9, 1e5, 6)],
    ids=["log of an amount", "a thousand", "a million", "seconds of a year", "seconds of a day"],
)
def test_slopes_by_category_lose_twice_the_digits_of_their_distance_from_zero(centre, spread, digits) -> None:
    value = centre + spread * np.round(np.random.default_rng(10).normal(size=N), 3)
    data, rows = crossed(value)
    left = 10.0**-digits
    kept = Kept(max(1e-2 * left, 1e-13), left, 1e-11, max(left, 1e-12), max(left, 1e-12))
    check(Definition(rows, "efron"), data, kept)


def test_slopes_by_category_too_far_from_zero_say_what_to_do() -> None:
    data, _ = crossed(1.7e9 + 1e3 * np.random.default_rng(10).normal(size=N))
    with pytest.raises(ConvergenceError, match=r"'g: a × v' are collinear.* as center\(\) does, from a number"):
        fit_cox(data)
