"""Choosing a penalty by what it says of rows that were left out.

For fold k with coefficients b fitted to the other rows, the deviance is

    -2 [log-likelihood of all rows(b) - log-likelihood of the rows without fold k(b)] / events of fold k

(Verweij and van Houwelingen 1993): the left-out rows are compared with everybody at risk, not only with each other,
which on a small fold would be nobody. W and s_j of each fit are those of its own rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import ConvergenceError, InputError
from churnsurv.numerics.collapse import collapse
from churnsurv.numerics.cox import CoxData, state_at
from churnsurv.numerics.design import count
from churnsurv.numerics.penalised import check_unpenalised_categories
from churnsurv.numerics.penalty_path import path_points, problem_of, without_penalised
from churnsurv.numerics.penalty_units import penalty_units
from churnsurv.numerics.risk_sets import risk_sets

__all__ = ["CrossValidation", "balanced_folds", "cross_validate", "rows_of"]

Floats: TypeAlias = NDArray[np.float64]

# In standard errors of the coefficients: the deviance moves by less than this, divided by the events of a fold.
_TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """Deviance of the folds at each penalty.

    Attributes
    ----------
    deviance : (n_folds, n_penalties) float64
        By event of the fold.
    events : (n_folds,) float64
        Weight of the events of each fold.
    """

    deviance: Floats
    events: Floats

    @property
    def mean(self) -> Floats:
        """Mean over folds, weighted by their events, shape (n_penalties,)."""
        return np.asarray(self.events @ self.deviance / self.events.sum())

    @property
    def std_error(self) -> Floats:
        """Standard error of the mean, folds taken as independent, shape (n_penalties,)."""
        spread = self.events @ (self.deviance - self.mean) ** 2 / self.events.sum()
        return np.asarray(np.sqrt(spread / (self.events.shape[0] - 1)))

    def best(self) -> int:
        """Position of the lowest mean."""
        return int(np.argmin(self.mean))

    def sparse(self) -> int:
        """First position, that of the largest penalty, whose mean is within one standard error of the lowest."""
        best = self.best()
        return int(np.argmax(self.mean <= self.mean[best] + self.std_error[best]))


def balanced_folds(events: NDArray[Any], n_folds: int, seed: int) -> NDArray[np.intp]:
    """Deal users (or rows) to folds at random, so that events and users are spread evenly.

    Parameters
    ----------
    events : (n,)
        Number of events of each.
    n_folds : int
    seed : int

    Returns
    -------
    (n,) integer
        0 ... n_folds - 1.

    Examples
    --------
    >>> np.bincount(balanced_folds(np.array([1, 0, 0, 1, 0, 0]), 2, seed=0), weights=[1, 0, 0, 1, 0, 0]).tolist()
    [1.0, 1.0]
    """
    order = np.random.default_rng(seed).permutation(events.shape[0])
    order = order[np.argsort(-events[order].astype(np.float64), kind="stable")]
    round_, place = np.divmod(np.arange(events.shape[0]), n_folds)
    folds = np.empty(events.shape[0], dtype=np.intp)
    # back and forth, so that no fold always has the first of a round
    folds[order] = np.where(round_ % 2 == 0, place, n_folds - 1 - place)
    return folds


def rows_of(data: CoxData, which: NDArray[np.bool_]) -> CoxData:
    """Return the likelihood of some of the rows; of those that are at risk on no day with events, none are kept.

    The numeric columns keep the centre and scale that they have.
    """
    sets, design = data.sets, data.design
    rows = np.flatnonzero(which & sets.at_risk())
    slot = sets.place[rows].astype(np.int64) // 2
    stratum = sets.stratum[slot]
    first = sets.strata[stratum]
    entry = None
    if sets.start is not None:
        # at risk from the slot after `start`, or from the first one of its segment
        segment = np.repeat(sets.segments[:-1], np.diff(sets.segments))
        entry = np.where(sets.start[rows] < sets.n_slots, sets.start[rows] + 1, segment[slot]) - first
    frequency, offset, sampling = (
        None if values is None else values[rows] for values in (data.frequency, data.offset, data.sampling)
    )
    indicators = tuple(
        replace(part, codes=part.codes[rows], values=None if part.values is None else part.values[rows])
        for part in design.indicators
    )
    return replace(
        data,
        design=replace(design, dense=design.dense[rows], indicators=indicators),
        sets=risk_sets(
            slot - first + 1,
            sets.event[rows],
            entry=entry,
            stratum=stratum,
            n_strata=sets.strata.shape[0] - 1,
            frequency=None if frequency is None else frequency.astype(np.int64),
        ),
        frequency=frequency,
        offset=offset,
        sampling=sampling,
    )


def cross_validate(
    data: CoxData,
    folds: NDArray[np.integer[Any]],
    penalties: Floats,
    l1_ratio: float,
    penalised: NDArray[np.bool_],
    *,
    coefficients: Floats,
    counted: NDArray[np.bool_] | None = None,
    tick: Callable[[], object] = lambda: None,
) -> CrossValidation:
    """Fit each penalty without each fold in turn.

    Parameters
    ----------
    data : CoxData
        All rows, not collapsed.
    folds : (n,) integer
        0 ... n_folds - 1; every fold has events.
    penalties : (n_penalties,) float64
        Falling.
    l1_ratio : float
    penalised : (p,) bool
    coefficients : (n_penalties + 1, p) float64
        Of the fit to all rows, in the units of the covariates: without penalised columns, then at each penalty. The
        fits to fewer rows begin near them.
    counted : (n,) bool, optional
        Rows that count in W and s_j; None: all.
    tick : callable
        Called after each fit.

    Raises
    ------
    InputError
        If a fold has no events, or its deviance cannot be computed.
    ConvergenceError
        If there is no fit without some fold; it is said which.
    """
    n_folds = int(folds.max()) + 1
    events = count(folds, data.weighted(data.sets.event.astype(np.float64)), n_folds)
    if not (events > 0).all():
        raise InputError(
            f"{int(np.count_nonzero(events == 0))} of {n_folds} folds have no churn: take fewer folds than there are "
            "rows or clusters with churn."
        )
    whole = collapse(data)
    deviance = np.empty((n_folds, penalties.shape[0]))
    for k in range(n_folds):
        try:
            gains = _gains(data, whole, folds != k, penalties, l1_ratio, penalised, coefficients, counted, tick)
        except ConvergenceError as error:
            raise ConvergenceError(
                f"cross-validation, without fold {k + 1} of {n_folds}: {error} Fewer folds leave more rows in each fit."
            ) from error
        deviance[k] = -2 * gains / events[k]
    if not np.isfinite(deviance).all():
        raise InputError(
            "the deviance of left-out rows cannot be computed: their covariates are too far from those of the others. "
            "Look for extreme values, and take their log."
        )
    return CrossValidation(deviance, events)


def _gains(
    data: CoxData,
    whole: CoxData,
    kept: NDArray[np.bool_],
    penalties: Floats,
    l1_ratio: float,
    penalised: NDArray[np.bool_],
    coefficients: Floats,
    counted: NDArray[np.bool_] | None,
    tick: Callable[[], object],
) -> Floats:
    """Log-likelihood of all rows less that of the rows kept, at the fits to these, shape (n_penalties,)."""
    part = collapse(rows_of(data, kept))
    if part.sets.n_slots == 0:
        raise ConvergenceError("there is no event among the other rows.")
    check_unpenalised_categories(part, penalised)
    problem = problem_of(part, penalised, penalty_units(data, kept if counted is None else kept & counted))
    null = without_penalised(problem)
    guesses = (problem.beta_of(row) for row in coefficients)
    gains = np.empty(penalties.shape[0])
    points = path_points(problem, null, penalties.tolist(), l1_ratio, guesses=guesses, tolerance=_TOLERANCE)
    for i, found in enumerate(points):
        point = found.point
        gains[i] = state_at(whole, point.beta * problem.per_beta).log_likelihood - point.state.log_likelihood
        tick()
    return gains
