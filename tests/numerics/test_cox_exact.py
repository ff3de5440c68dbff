"""Small data sets in exact rational arithmetic: every number of a Cox fit as a quotient of polynomials in r = exp(b).

The three data sets are those that the documentation of R's survival package validates itself on; the answers are worked
out here from the definition. A covariate of whole numbers makes theta = r^x a power of r, so that risk-set sums are
polynomials with fractions as coefficients. At b = 0 (r = 1), or any rational r, nothing is rounded but the last step;
the maximum is a root of a polynomial, boxed in by fractions to 36 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest

import mpmath as mp
import numpy as np
import pytest

from churnsurv.numerics.cox import CoxData, CoxState, baseline_hazard, derivatives, fit_cox, state_at
from churnsurv.numerics.residuals import (
    cluster_covariance,
    deviance_residuals,
    martingale_residuals,
    schoenfeld_residuals,
    score_residuals,
)
from tests.numerics.brute_cox import Rows
from tests.numerics.test_cox import SIX, TIES, data_of, simple

Coefficients = tuple[Fraction, ...]


@dataclass(frozen=True)
class Ratio:
    """A quotient of two polynomials in r; coefficients from the constant upwards."""

    above: Coefficients
    below: Coefficients = (Fraction(1),)

    def __add__(self, other: Ratio | int) -> Ratio:
        other = ratio(other)
        if self.below == other.below:
            return Ratio(_sum(self.above, other.above), self.below)
        crossed = _sum(_product(self.above, other.below), _product(other.above, self.below))
        return Ratio(crossed, _product(self.below, other.below))

    __radd__ = __add__

    def __mul__(self, other: Ratio | Fraction | int) -> Ratio:
        other = ratio(other)
        return Ratio(_product(self.above, other.above), _product(self.below, other.below))

    __rmul__ = __mul__

    def __sub__(self, other: Ratio | int) -> Ratio:
        return self + ratio(other) * -1

    def __rsub__(self, other: int) -> Ratio:
        return ratio(other) - self

    def __truediv__(self, other: Ratio | int) -> Ratio:
        other = ratio(other)
        return Ratio(_product(self.above, other.below), _product(self.below, other.above))

    def at(self, r: Fraction) -> Fraction:
        """Evaluate, exactly."""
        return _value(self.above, r) / _value(self.below, r)

    def slope(self) -> Ratio:
        """The derivative in b, which is r times that in r."""
        r_slope = [tuple(power * c for power, c in enumerate(part)) for part in (self.above, self.below)]
        top = _sum(_product(r_slope[0], self.below), _product(self.above, tuple(-c for c in r_slope[1])))
        return Ratio(top, _product(self.below, self.below))


def ratio(value: Ratio | Fraction | int) -> Ratio:
    return value if isinstance(value, Ratio) else Ratio((Fraction(value),))


def power_of_r(exponent: int) -> Ratio:
    return Ratio((*[Fraction(0)] * exponent, Fraction(1)))


def _sum(a: Coefficients, b: Coefficients) -> Coefficients:
    return tuple(x + y for x, y in zip_longest(a, b, fillvalue=Fraction(0)))


def _product(a: Coefficients, b: Coefficients) -> Coefficients:
    out = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return tuple(out)


def _value(polynomial: Coefficients, r: Fraction) -> Fraction:
    return sum((c * r**power for power, c in enumerate(polynomial)), Fraction(0))


@dataclass(frozen=True)
class InnerSet:
    """One of the d risk sets that a day with d events is taken apart into.

    `share` is the part of each row that is still at risk in it; each of the tied events counts with weight 1 / d here.
    """

    slot: int
    share: dict[int, Fraction]
    tied: tuple[int, ...]
    mean_weight: Fraction
    s0: Ratio
    mean: Ratio


class Exact:
    """The definition of the partial likelihood, its derivatives and residuals, for one covariate of whole numbers."""

    def __init__(self, rows: Rows, ties: str, weights: list[int] | None = None) -> None:
        self.x = [int(value) for value in rows.x[:, 0]]
        self.rows, self.n, self.ties = rows, rows.n, ties
        self.weight = [Fraction(1)] * rows.n if weights is None else [Fraction(w) for w in weights]
        self.theta = [power_of_r(value) for value in self.x]
        self.days = sorted({rows.duration[i] for i in range(rows.n) if rows.event[i]})
        self.inner = list(self._inner_sets())

    def _inner_sets(self) -> Iterator[InnerSet]:
        rows, w = self.rows, self.weight
        for slot, day in enumerate(self.days):
            inside = [i for i in range(self.n) if rows.entry[i] < day <= rows.duration[i]]
            tied = tuple(i for i in inside if rows.event[i] and rows.duration[i] == day)
            for tie in range(len(tied)):
                gone = Fraction(tie, len(tied)) if self.ties == "efron" else Fraction(0)
                share = {i: 1 - gone * (i in tied) for i in inside}
                s0 = sum((self.theta[i] * (share[i] * w[i]) for i in inside), ratio(0))
                s1 = sum((self.theta[i] * (share[i] * w[i] * self.x[i]) for i in inside), ratio(0))
                yield InnerSet(slot, share, tied, sum(w[i] for i in tied) / len(tied), s0, s1 / s0)

    def score(self) -> Ratio:
        events = sum(self.weight[i] * self.x[i] for i in range(self.n) if self.rows.event[i])
        return events - sum((s.mean * s.mean_weight for s in self.inner), ratio(0))

    def information(self) -> Ratio:
        """Minus the derivative of the score, term by term."""
        return sum((s.mean.slope() * s.mean_weight for s in self.inner), ratio(0))

    def log_likelihood(self, r: Fraction) -> float:
        events = sum(self.weight[i] * self.x[i] for i in range(self.n) if self.rows.event[i])
        with mp.workdps(50):
            total = _mpf(events) * mp.log(_mpf(r))
            for s in self.inner:
                total -= _mpf(s.mean_weight) * mp.log(_mpf(s.s0.at(r)))
            return float(total)

    def hazard(self, r: Fraction) -> list[float]:
        """Cumulative hazard at covariate zero on each day with events."""
        steps = [Fraction(0)] * len(self.days)
        for s in self.inner:
            steps[s.slot] += s.mean_weight / s.s0.at(r)
        return [float(sum(steps[: slot + 1])) for slot in range(len(steps))]

    def expected(self, r: Fraction) -> list[Fraction]:
        """The events expected of each row."""
        found = [Fraction(0)] * self.n
        for s in self.inner:
            for i, share in s.share.items():
                found[i] += s.mean_weight * share * self.theta[i].at(r) / s.s0.at(r)
        return found

    def score_residuals(self, r: Fraction) -> list[Fraction]:
        """What a row adds to the score, by unit of weight: x less the mean, over its increments of event - hazard."""
        found = [Fraction(0)] * self.n
        for s in self.inner:
            mean, s0 = s.mean.at(r), s.s0.at(r)
            for i, share in s.share.items():
                own = Fraction(i in s.tied, len(s.tied)) - s.mean_weight * share * self.theta[i].at(r) / s0
                found[i] += (self.x[i] - mean) * own
        return found

    def schoenfeld(self, r: Fraction) -> list[Fraction]:
        """x of each event, by day and row, less the mean of the inner sets of its day."""
        found = []
        for slot in range(len(self.days)):
            sets = [s for s in self.inner if s.slot == slot]
            mean = sum((s.mean.at(r) for s in sets), Fraction(0)) / len(sets)
            found += [self.x[i] - mean for i in sets[0].tied]
        return found

    def maximum(self) -> Fraction:
        """The root of the score in r > 0, which falls in r: boxed in by fractions."""
        top = self.score()
        low, high = Fraction(1, 1024), Fraction(1024)
        assert top.at(low) > 0 > top.at(high)
        for _ in range(130):
            middle = (low + high) / 2
            low, high = (middle, high) if top.at(middle) > 0 else (low, middle)
        return low


def _mpf(value: Fraction | int) -> mp.mpf:
    value = Fraction(value)
    return mp.mpf(value.numerator) / value.denominator


LATE = simple(
    [1, 0, 0, 1, 0, 1, 1, 1, 0, 0],
    [2, 3, 6, 7, 8, 9, 9, 9, 14, 17],
    [1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    entry=[1, 2, 5, 2, 1, 7, 3, 4, 8, 8],
)
NINE = simple([2, 0, 1, 1, 0, 1, 0, 1, 0], [1, 1, 2, 2, 2, 2, 3, 4, 5], [1, 0, 1, 1, 1, 0, 0, 1, 0])
NINE_WEIGHTS = [1, 2, 3, 4, 3, 2, 1, 2, 1]


def repeated(rows: Rows, times: list[int]) -> Rows:
    return Rows(*(np.repeat(getattr(rows, name), times, axis=0) for name in rows.__dataclass_fields__))


@dataclass(frozen=True)
class Case:
    """Data as the package takes it, and the exact answer of the same rows (repeated ones for frequencies)."""

    data: Callable[[str], CoxData]
    exact: Callable[[str], Exact]
    times: list[int]


CASES = {
    "six users": Case(lambda ties: data_of(SIX, ties), lambda ties: Exact(SIX, ties), [1] * 6),
    "late entry": Case(lambda ties: data_of(LATE, ties), lambda ties: Exact(LATE, ties), [1] * 10),
    "sampling weights": Case(
        lambda ties: data_of(NINE, ties, sampling=np.array(NINE_WEIGHTS, dtype=float)),
        lambda ties: Exact(NINE, ties, NINE_WEIGHTS),
        [1] * 9,
    ),
    "frequencies": Case(
        lambda ties: data_of(NINE, ties, frequency=np.array(NINE_WEIGHTS)),
        lambda ties: Exact(repeated(NINE, NINE_WEIGHTS), ties),
        NINE_WEIGHTS,
    ),
}
ALL = pytest.mark.parametrize("which", list(CASES))
BOTH = pytest.mark.parametrize("ties", TIES)


def close(ours, exact) -> None:
    np.testing.assert_allclose(ours, np.array([float(value) for value in exact]), rtol=1e-12, atol=1e-13)


def check_state(case: Case, exact: Exact, data: CoxData, state: CoxState, r: Fraction) -> None:
    """Residuals of every kind; those of repeated rows are those of the row that stands for them."""
    once = np.cumsum([0, *case.times[:-1]])
    expected = exact.expected(r)
    event = [int(e) for e in exact.rows.event]
    close(martingale_residuals(data, state), [event[i] - expected[i] for i in once])
    deviance = []
    for i in once:
        e = float(expected[i])
        gain = e - event[i] - (float(mp.log(_mpf(expected[i]))) if event[i] else 0.0)
        deviance.append(np.sign(event[i] - e) * np.sqrt(2 * max(gain, 0.0)))
    # the root of a small gain has half of its digits
    np.testing.assert_allclose(deviance_residuals(data, state), deviance, rtol=1e-10, atol=1e-7)
    scale = data.design.scale[0]
    residuals = exact.score_residuals(r)
    close(score_residuals(data, state).all()[:, 0] * scale, [residuals[i] for i in once])
    rows, found = schoenfeld_residuals(data, state)
    whole = exact.schoenfeld(r)
    first = np.cumsum([0, *(case.times[row] for row in rows[:-1])])
    close(found[:, 0] * scale, [whole[i] for i in first])


@BOTH
@ALL
@pytest.mark.parametrize("r", [Fraction(1), Fraction(2), Fraction(1, 3), Fraction(50)], ids=str)
def test_likelihood_derivatives_and_residuals_anywhere(which: str, ties: str, r: Fraction) -> None:
    case = CASES[which]
    data, exact = case.data(ties), case.exact(ties)
    scale = data.design.scale
    state = state_at(data, np.log([float(r)]) * scale)
    found = derivatives(data, state, data.design.transposed_times(data.weighted(data.sets.event.astype(float))))
    assert state.log_likelihood == pytest.approx(exact.log_likelihood(r), rel=1e-13, abs=1e-13)
    close(found.score * scale, [exact.score().at(r)])
    close(found.information[0] * scale**2, [exact.information().at(r)])
    check_state(case, exact, data, state, r)


@BOTH
@ALL
def test_the_maximum(which: str, ties: str) -> None:
    case = CASES[which]
    data, exact = case.data(ties), case.exact(ties)
    fit, r = fit_cox(data), exact.maximum()
    with mp.workdps(40):
        assert fit.coefficients[0] == pytest.approx(float(mp.log(_mpf(r))), rel=1e-12, abs=1e-13)
    information = exact.information().at(r)
    # Newton stops within 1e-11 standard errors, so that what varies with b to the first order is as exact
    assert fit.inverse_information[0, 0] == pytest.approx(float(1 / information), rel=1e-11)
    assert fit.log_likelihood == pytest.approx(exact.log_likelihood(r), rel=1e-13, abs=1e-13)
    one = Fraction(1)
    assert fit.log_likelihood_null == pytest.approx(exact.log_likelihood(one), rel=1e-13)
    at_zero = exact.score().at(one) ** 2 / exact.information().at(one)
    assert fit.score_statistic == pytest.approx(float(at_zero), rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(baseline_hazard(data, fit), exact.hazard(r), rtol=1e-11)
    check_state(case, exact, data, state_at(data, fit.coefficients * data.design.scale), r)


@BOTH
@ALL
def test_the_robust_variance(which: str, ties: str) -> None:
    """Rows 0 and 1 are one cluster, every other row is its own; of repeated rows all copies belong together."""
    case = CASES[which]
    data, exact = case.data(ties), case.exact(ties)
    fit, r = fit_cox(data), exact.maximum()
    owner = np.repeat(np.arange(len(case.times)), case.times)
    cluster = np.maximum(np.arange(len(case.times)) - 1, 0)
    totals = [Fraction(0)] * len(case.times)
    for i, u in enumerate(exact.score_residuals(r)):
        totals[cluster[owner[i]]] += exact.weight[i] * u
    robust = cluster_covariance(data, fit.state, fit.inverse_information, cluster)
    expected = sum(t * t for t in totals) / exact.information().at(r) ** 2
    assert robust[0, 0] == pytest.approx(float(expected), rel=1e-11)


@BOTH
@ALL
def test_the_residuals_add_up_to_the_score_as_polynomials(which: str, ties: str) -> None:
    """What the exact answers are worth: they sum to the score at any r, events to events expected."""
    exact = CASES[which].exact(ties)
    for r in (Fraction(1), Fraction(7, 5), Fraction(9)):
        total = sum(w * u for w, u in zip(exact.weight, exact.score_residuals(r), strict=True))
        assert total == exact.score().at(r)
        expected = sum(w * e for w, e in zip(exact.weight, exact.expected(r), strict=True))
        assert expected == sum(w for w, event in zip(exact.weight, exact.rows.event, strict=True) if event)


def test_score_equations_on_paper() -> None:
    """Six users: 2 - r/(r + 1) - 2 r/(r + 3) under Breslow's ties; under Efron's day 6 has a second set, (r + 5)/2."""
    breslow, efron = Exact(SIX, "breslow").score(), Exact(SIX, "efron").score()
    for r in (Fraction(1), Fraction(2), Fraction(11, 3)):
        assert breslow.at(r) == (6 + 3 * r - r**2) / ((r + 1) * (r + 3))
        assert efron.at(r) == (30 + 23 * r - r**3) / ((r + 1) * (r + 3) * (r + 5))
