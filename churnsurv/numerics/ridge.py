"""Linear regression that is shrunk as much as its own prediction error says: a plain learner that needs no settings.

Columns are centred and scaled. With singular values d_j, left vectors u_j and y centred, the fit under penalty p is

    sum_j u_j u_j'y d_j^2 / (d_j^2 + p),     df(p) = 1 + sum_j d_j^2 / (d_j^2 + p),

and p minimises RSS(p) / (1 - df(p) / n)^2 (generalised cross-validation: Golub, Heath and Wahba 1979).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError

__all__ = ["RidgeRegression"]

Floats: TypeAlias = NDArray[np.float64]

_PENALTIES = np.logspace(-4, 4, 49)  # per row, on columns of variance one
_NO_RANK = 1e-10


class RidgeRegression:
    """Ridge regression by generalised cross-validation, with the two methods that learners have.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> RidgeRegression().fit(X, 1 + 2 * X[:, 0]).predict(np.array([[4.0]])).round(2).tolist()
    [9.0]
    """

    def __init__(self) -> None:
        self.intercept_ = 0.0
        self.coef_: Floats = np.zeros(0)
        self.penalty_ = np.nan

    def fit(self, X: Floats, y: Floats) -> RidgeRegression:
        """Choose the penalty and fit.

        Parameters
        ----------
        X : (n, p) float64
            Finite.
        y : (n,) float64
        """
        X, y = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if X.ndim != 2 or X.shape[0] != y.shape[0] or X.shape[0] == 0:
            raise InputError(f"X has the shape {X.shape} and y {y.shape}: they need the same rows, one or more.")
        if not (np.isfinite(X).all() and np.isfinite(y).all()):
            raise InputError("ridge regression takes no missing or infinite numbers: fill them in.")
        n, centre, middle = X.shape[0], X.mean(axis=0), float(y.mean())
        scale = X.std(axis=0)
        scale = np.where(scale > _NO_RANK * np.abs(X).max(axis=0, initial=0.0), scale, np.inf)
        Z, r = (X - centre) / scale, y - middle
        # the Gram matrix has all that is asked for, and is small
        values, vectors = np.linalg.eigh(Z.T @ Z / n)
        kept = values > _NO_RANK * max(float(values.max(initial=0.0)), 1e-300)
        d2, vectors = values[kept], vectors[:, kept]
        along = vectors.T @ (Z.T @ r / n)
        shrink = d2 / (d2 + _PENALTIES[:, None])
        rss = r @ r / n - np.sum((along**2 / d2) * (2 * shrink - shrink**2), axis=1)
        df = 1 + shrink.sum(axis=1)
        loss = np.where(df < n, np.maximum(rss, 0.0) / np.maximum(1 - df / n, 1 / n) ** 2, np.inf)
        best = loss.shape[0] - 1 - int(np.argmin(loss[::-1]))  # of equal ones the most shrunk
        self.penalty_ = float(_PENALTIES[best])
        self.coef_ = vectors @ (along / (d2 + self.penalty_)) / scale
        self.intercept_ = middle - float(centre @ self.coef_)
        return self

    def predict(self, X: Floats) -> Floats:
        """Return the fitted mean of each row, (n,)."""
        return np.asarray(np.asarray(X, dtype=np.float64) @ self.coef_ + self.intercept_)
