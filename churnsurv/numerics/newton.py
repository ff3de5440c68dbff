"""Newton's method for a concave log-likelihood, safeguarded: it ends at the maximum or says by name why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.separation import check_rank, unbounded

__all__ = ["Derivatives", "Maximum", "maximise"]

Floats: TypeAlias = NDArray[np.float64]

_MAX_STEPS = 100
_MAX_HALVINGS = 40
# The decrement is the squared distance to the maximum in standard errors; the information is as exact as its root.
_CONVERGED = 1e-22
# Rounding may stop it earlier in ill-conditioned data; it must be far below anything that a reader could see.
_ROUNDING = 1e-10
# What summing a million terms leaves open of a log-likelihood.
_VALUE_ROUNDING = 1e-13
# A step that moves somebody's linear predictor this far while the log-likelihood hardly gains goes to infinity.
_FLAT_GAIN, _FLAT_REACH, _FLAT_STEPS = 1e-4, 0.3, 3
# A hazard ratio of e^30 between somebody and the average is no estimate.
_SEPARATED = 30.0


class State(Protocol):
    """A point: its coefficients and the value there."""

    @property
    def coefficients(self) -> Floats:
        """(p,) float64."""
        ...

    @property
    def log_likelihood(self) -> float:
        """The value; minus infinity where it cannot be computed."""
        ...


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """Score, information, and the information before the part explained by the risk sets is taken off.

    Attributes
    ----------
    score : (p,) float64
    information : (p, p) float64
    uncentred : (p,) float64
        A column whose information is nothing beside this does not vary where it counts.
    """

    score: Floats
    information: Floats
    uncentred: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Maximum(Generic[S]):
    """Where Newton's method ended.

    Attributes
    ----------
    state : the last state, next to the maximum
    coefficients : (p,) float64
        At the maximum.
    inverse_information : (p, p) float64
    first_value, first_decrement : float
        Log-likelihood and score' inverse information score at the start.
    iterations : int
    """

    state: S
    coefficients: Floats
    inverse_information: Floats
    first_value: float
    first_decrement: float
    iterations: int


def maximise(
    state_at: Callable[[Floats], S],
    derivatives: Callable[[S], Derivatives],
    *,
    reach: Callable[[Floats], float],
    names: tuple[str, ...],
) -> Maximum[S]:
    """Climb from zero by Newton steps, halved until the log-likelihood rises.

    Parameters
    ----------
    state_at : callable
        From coefficients to a state.
    derivatives : callable
        From a state to its derivatives.
    reach : callable
        From a step to the largest change of a linear predictor that it makes.
    names : tuple of str
        Names of the p columns, for the errors.

    Raises
    ------
    ConvergenceError
        If columns are aliased, coefficients are infinite, or the maximum is not reached.
    """
    state = state_at(np.zeros(len(names)))
    if not np.isfinite(state.log_likelihood):
        raise ConvergenceError(
            "the likelihood cannot be computed at coefficients zero: the offset or the weights span too wide a range, "
            "or nearly all rows enter long after the first days with events. Check these columns."
        )
    here = derivatives(state)
    check_rank(here.information, here.uncentred, names)
    first_value, first_decrement, before, flat = state.log_likelihood, np.nan, np.inf, 0
    for iteration in range(_MAX_STEPS):
        solver = _Solver.of(here.information)
        if solver is None:
            raise unbounded(_null_direction(here, state.coefficients), names)
        step = solver.solve(here.score)
        decrement = float(here.score @ step)
        first_decrement = decrement if iteration == 0 else first_decrement
        if decrement <= _CONVERGED or (decrement <= _ROUNDING and decrement > before / 4):
            # the last step costs nothing, and squares what is left of the distance
            best = state.coefficients + step
            return Maximum(state, best, solver.inverse(), first_value, first_decrement, iteration)
        flat = flat + 1 if decrement < _FLAT_GAIN and reach(step) > _FLAT_REACH else 0
        if flat == _FLAT_STEPS:
            raise unbounded(step, names)
        higher = _climb(state_at, state, step, decrement)
        if higher is None:
            raise _stuck(state, reach(state.coefficients), names)
        state, before = higher, decrement
        here = derivatives(state)
    raise ConvergenceError(
        f"no convergence after {_MAX_STEPS} Newton steps; the log-likelihood could still rise by about "
        f"{before / 2:.2g}. Look for covariates with extreme values, such as {_furthest(step, names)}, and take their "
        "log or leave them out."
    )


def _climb(state_at: Callable[[Floats], S], state: S, step: Floats, decrement: float) -> S | None:
    """Take the step, halved until it gains a fair part of what the slope promises; None if it never does."""
    rounding = _VALUE_ROUNDING * abs(state.log_likelihood)
    for halving in range(_MAX_HALVINGS):
        share = 0.5**halving
        tried = state_at(state.coefficients + share * step)
        if tried.log_likelihood >= state.log_likelihood + 1e-4 * share * decrement - rounding:
            return tried
    return None


def _stuck(state: State, reach: float, names: tuple[str, ...]) -> ConvergenceError:
    """Say why no step goes up any more: so far out that only separation leads there, or values beyond rounding."""
    if reach > _SEPARATED:
        return unbounded(state.coefficients, names)
    return ConvergenceError(
        f"no step along the gradient raises the log-likelihood above {state.log_likelihood:.10g}: rounding hides the "
        f"way. Look for covariates with extreme values, such as {_furthest(state.coefficients, names)}."
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solver:
    """Cholesky factor of the information, its diagonal scaled to one."""

    factor: tuple[Floats, bool]
    scale: Floats

    @classmethod
    def of(cls, information: Floats) -> _Solver | None:
        """Factor, or return None where the information is no longer positive definite."""
        diagonal = np.diagonal(information)
        if not (diagonal > 0).all():
            return None
        scale = 1 / np.sqrt(diagonal)
        try:
            return cls(cho_factor(information * np.outer(scale, scale), lower=True), scale)
        except LinAlgError:
            return None

    def solve(self, score: Floats) -> Floats:
        solved: Floats = self.scale * cho_solve(self.factor, self.scale * score)
        return solved

    def inverse(self) -> Floats:
        inverse: Floats = cho_solve(self.factor, np.eye(self.scale.shape[0])) * np.outer(self.scale, self.scale)
        return (inverse + inverse.T) / 2


def _null_direction(here: Derivatives, coefficients: Floats) -> Floats:
    """Return the direction in which the information has vanished, pointing uphill, or where the way here led."""
    diagonal = np.maximum(np.diagonal(here.information), 0.0)
    gone = diagonal <= 1e-14 * np.maximum(here.uncentred, np.finfo(float).tiny)
    if gone.any():
        uphill = np.where(here.score != 0, here.score, coefficients)
        return np.where(gone, np.sign(uphill), 0.0)
    scale = 1 / np.sqrt(diagonal)
    direction: Floats = scale * np.linalg.eigh(here.information * np.outer(scale, scale))[1][:, 0]
    return direction if direction @ here.score >= 0 else -direction


def _furthest(step: Floats, names: tuple[str, ...]) -> str:
    return repr(names[int(np.argmax(np.abs(step)))])
