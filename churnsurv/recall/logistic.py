"""A logistic regression by statsmodels, for the chance of a contact, and the columns that one can be fitted to."""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FLAT", "independent", "logistic_fit"]

Floats: TypeAlias = NDArray[np.float64]

#: What is smaller than this part of the whole is nothing.
FLAT = 1e-10


def logistic_fit(matrix: Floats, happens: NDArray[np.bool_]) -> tuple[Floats, Floats, bool]:
    """Fit the chances, (n,), and the coefficients, (p,); and say whether the fit has come to an end.

    Examples
    --------
    >>> chance, coefficients, ended = logistic_fit(np.ones((4, 1)), np.array([True, True, False, False]))
    >>> chance.round(9).tolist(), bool(abs(coefficients[0]) < 1e-9), ended
    ([0.5, 0.5, 0.5, 0.5], True, True)
    """
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    # where coefficients run away the caller sees it in what comes back
    with np.errstate(over="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        try:
            fit = sm.GLM(happens.astype(np.float64), matrix, family=sm.families.Binomial()).fit(maxiter=50)
            chance, coefficients = np.asarray(fit.fittedvalues), np.asarray(fit.params)
        except np.linalg.LinAlgError:
            return np.full(matrix.shape[0], np.nan), np.full(matrix.shape[1], np.nan), False
    return chance, coefficients, bool(fit.converged and np.isfinite(chance).all() and np.isfinite(coefficients).all())


def independent(matrix: Floats) -> list[int]:
    """Positions of the columns that do not follow from those before them.

    Examples
    --------
    >>> independent(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0]]))
    [0, 2]
    """
    kept: list[int] = []
    for place in range(matrix.shape[1]):
        column, before = matrix[:, place], matrix[:, kept]
        rest = column - before @ np.linalg.lstsq(before, column, rcond=None)[0]
        if rest @ rest > FLAT * max(float(column @ column), FLAT):
            kept.append(place)
    return kept
