"""Uno's C: concordance that does not depend on who was censored when.

Harrell's C counts the pairs that censoring happened to leave comparable. Uno et al. (2011) weight each by the inverse
of the probability of that: a pair of which the first churns on day T is seen if both are still in the log by then,
which has probability K(T-)^2, K as in `churnsurv.numerics.censoring`. So C is that of pairs of users of whom one churns
by the horizon. The same as ``concordance(timewt="n/G2")`` of R's survival. That takes K as known in its standard error;
here the derivative in the weight of a row counts what the row does to K too.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.numerics.censoring import Followed
from churnsurv.numerics.concordance import Concordance, ranked_pairs
from churnsurv.numerics.risk_sets import RiskSets

__all__ = ["uno"]

Floats: TypeAlias = NDArray[np.float64]


def uno(sets: RiskSets, score: NDArray[Any], rows: Followed, *, known: bool = False) -> Concordance:
    """Compare a score with the order in which rows churn, as if nobody had been censored before the horizon.

    Parameters
    ----------
    sets : RiskSets
        Of the same rows in one stratum, with the churns up to the horizon as events.
    score : (n,) number or bool, without NaN
        Higher means sooner churn.
    rows : Followed
        With all churns, and the weights and clusters.
    known : bool
        Take K as known in the standard error.

    Returns
    -------
    Concordance
        Counts are sums of the weights of pairs.

    Raises
    ------
    InputError
        If there is no comparable pair, or the log was empty for a while before a churn.

    Examples
    --------
    >>> from churnsurv.numerics.censoring import followed
    >>> from churnsurv.numerics.risk_sets import risk_sets
    >>> day, churned = np.array([2, 3, 5, 7]), np.array([True, False, True, False])
    >>> found = uno(risk_sets(day, churned), np.array([4, 1, 2, 3]), followed(day, churned))
    >>> found.concordant, found.discordant, round(found.estimate, 4)
    (3.0, 2.25, 0.5714)
    """
    n, m = rows.n, rows.time.shape[0]
    place = np.minimum(rows.code >> 1, m)
    events = np.flatnonzero(sets.event)
    if events.size:
        rows.at(float(rows.time[place[events].max()]))  # raises where there is a gap before it
    factor = np.zeros(n)
    factor[events] = 1 / np.square(rows.K[place[events]])
    weights = np.ones(n) if rows.drawn.weights is None else rows.drawn.weights
    frequency = rows.drawn.frequency
    ranked = ranked_pairs(sets, score, as_event=weights * factor, as_at_risk=weights, frequency=frequency)
    of_event = factor * ranked.of_event
    influence = of_event + ranked.of_at_risk
    if not known:
        influence += 2 * rows.through(weights * of_event, m)
    return ranked.result(influence, rows.drawn, whole=False)
