"""The minimum of a quadratic with absolute values, exactly: which coefficients are zero, and the others by one solve.

Minimises ``z'Qz / 2 - c'z + sum of lasso_j |z_j|``. Once it is known which coefficients are not zero, and their signs,
the rest is a linear system. Signs and zeros are found by walking: towards the solution for the present ones, up to
where the first coefficient would change its sign - it is set to zero - and then letting in those whose slope at zero
exceeds their absolute value's. The objective falls at every step, so that no set comes twice (Lee, Battle, Raina and
Ng 2007).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from churnsurv.errors import ConvergenceError

__all__ = ["minimum_with_zeros"]

Floats: TypeAlias = NDArray[np.float64]

_STEPS_PER_COLUMN = 20
_ROUNDING = 1e-14


def minimum_with_zeros(Q: Floats, c: Floats, lasso: Floats, start: Floats) -> Floats:
    """Minimise z'Qz / 2 - c'z + sum of lasso |z|.

    Parameters
    ----------
    Q : (p, p) float64
        Positive definite; where it is not quite, a little is added to its diagonal.
    c : (p,) float64
    lasso : (p,) float64
        >= 0; a column with 0 has no absolute value, and is never set to zero.
    start : (p,) float64
        Near the minimum, if anything is known of it: its zeros and signs are tried first.

    Returns
    -------
    (p,) float64
        Coefficients that are zero are exactly zero.

    Examples
    --------
    Alone, a coefficient is what its slope has over the absolute value's: (3 - 1) / 2, and none of 0.5 - 1.

    >>> minimum_with_zeros(np.diag([2.0, 2.0]), np.array([3.0, 0.5]), np.ones(2), np.zeros(2)).round(9).tolist()
    [1.0, 0.0]
    """
    added = 0.0
    while added < 1e-2:
        try:
            return _walk(Q + np.diag(added * np.diagonal(Q)) if added else Q, c, lasso, start)
        except LinAlgError:  # as many columns as rows, or columns that determine each other
            added = max(100 * added, 1e-12)
    raise ConvergenceError(
        "the curvature of the penalised likelihood vanishes. Look for covariates with extreme values, or raise the "
        "penalty."
    )


def _walk(Q: Floats, c: Floats, lasso: Floats, start: Floats) -> Floats:
    z, signs = start.copy(), np.sign(start)
    active = (z != 0) | (lasso == 0)
    one_by_one = False
    for _ in range(_STEPS_PER_COLUMN * (c.shape[0] + 5)):
        inside = np.flatnonzero(active)
        target = _solved(Q[np.ix_(inside, inside)], c[inside] - lasso[inside] * signs[inside])
        crossing = (lasso[inside] > 0) & (np.sign(target) != signs[inside])
        if crossing.any():
            share = _to_first_zero(z, inside, target, crossing, active)
            one_by_one = one_by_one or share == 0
            continue
        z[inside] = target
        slope = c - Q @ z
        excess = np.where(active, 0.0, np.abs(slope) - lasso)
        most = float(excess.max(initial=0.0))
        if most <= _ROUNDING * float(np.abs(c).max(initial=0.0)):
            return z
        entering = excess >= most * (1.0 if one_by_one else 0.5)
        active |= entering
        signs[entering] = np.sign(slope[entering])
    return z  # the caller looks at the slopes of its own likelihood


def _solved(Q: Floats, c: Floats) -> Floats:
    if c.shape[0] == 0:
        return c
    solved: Floats = cho_solve(cho_factor(Q, lower=True, check_finite=False), c, check_finite=False)
    if not np.isfinite(solved).all():
        raise LinAlgError
    return solved


def _to_first_zero(
    z: Floats, inside: NDArray[np.intp], target: Floats, crossing: NDArray[np.bool_], active: NDArray[np.bool_]
) -> float:
    """Go towards the target until the first coefficient is zero, take it out, and return the share of the way."""
    here = z[inside]
    share = np.full(here.shape[0], np.inf)
    share[crossing] = here[crossing] / np.where(here[crossing] == 0, 1.0, here[crossing] - target[crossing])
    first = float(share.min())
    z[inside] = here + first * (target - here)
    out = inside[share <= first]
    z[out] = 0.0
    active[out] = False
    return first
