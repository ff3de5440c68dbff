"""The partial likelihood written down as it is defined, row by row and tie by tie, in any arithmetic.

Nothing here is shared with the package: no sums by day, no matrices. `weights` are R's case weights; the derivative of
the score in the weight of a row is the row's score residual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np


@dataclass(frozen=True)
class Rows:
    x: Any  # (n, p)
    duration: Any
    event: Any
    entry: Any
    stratum: Any

    @property
    def n(self) -> int:
        return len(self.duration)


def days(rows: Rows) -> list[tuple[Any, Any]]:
    return sorted(
        {
            (rows.stratum[i], rows.duration[i])
            for i in range(rows.n)
            if rows.event[i] and rows.entry[i] < rows.duration[i]
        }
    )


def log_likelihood(rows: Rows, beta: Sequence[Any], ties: str, weights: Sequence[Any] | None = None) -> Any:
    w = [mp.mpf(1)] * rows.n if weights is None else weights
    theta = [mp.exp(mp.fsum(b * mp.mpf(float(v)) for b, v in zip(beta, rows.x[i], strict=True))) for i in range(rows.n)]
    total = mp.mpf(0)
    for stratum, day in days(rows):
        inside = [i for i in range(rows.n) if rows.stratum[i] == stratum and rows.entry[i] < day <= rows.duration[i]]
        tied = [i for i in inside if rows.event[i] and rows.duration[i] == day]
        s0 = mp.fsum(w[i] * theta[i] for i in inside)
        d0 = mp.fsum(w[i] * theta[i] for i in tied)
        d = len(tied)
        mean_weight = mp.fsum(w[i] for i in tied) / d
        total += mp.fsum(w[i] * mp.log(theta[i]) for i in tied)
        for tie in range(d):
            share = mp.mpf(tie) / d if ties == "efron" else 0
            total -= mean_weight * mp.log(s0 - share * d0)
    return total


def slope(function: Any, at: Sequence[Any], which: int) -> Any:
    return mp.diff(lambda value: function([*at[:which], value, *at[which + 1 :]]), at[which])


def score(rows: Rows, beta: Sequence[Any], ties: str, weights: Sequence[Any] | None = None) -> list[Any]:
    return [slope(lambda b: log_likelihood(rows, b, ties, weights), beta, j) for j in range(len(beta))]


def information(rows: Rows, beta: Sequence[Any], ties: str, weights: Sequence[Any] | None = None) -> np.ndarray:
    p = len(beta)
    found = np.empty((p, p))
    for j in range(p):
        for k in range(p):
            order = tuple((a == j) + (a == k) for a in range(p))
            found[j, k] = -float(mp.diff(lambda *b: log_likelihood(rows, b, ties, weights), tuple(beta), order))
    return found


def score_residuals(rows: Rows, beta: Sequence[Any], ties: str, weights: Sequence[Any] | None = None) -> np.ndarray:
    """d score / d weight of each row, at these weights, else at weights of one."""
    at = [mp.mpf(1)] * rows.n if weights is None else list(weights)
    found = np.empty((rows.n, len(beta)))
    for i in range(rows.n):
        for j in range(len(beta)):
            found[i, j] = float(slope(lambda w, j=j: score(rows, beta, ties, w)[j], at, i))
    return found


def random_rows(seed: int, n: int, p: int, *, n_days: int, n_strata: int = 1, late: bool = True) -> Rows:
    rng = np.random.default_rng(seed)
    duration = rng.integers(1, n_days + 1, n)
    entry = np.where(rng.random(n) < 0.5, rng.integers(0, n_days, n), 0) if late else np.full(n, -1)
    entry = np.minimum(entry, duration)
    return Rows(
        x=np.round(rng.normal(size=(n, p)), 2),
        duration=duration,
        event=rng.random(n) < 0.7,
        entry=entry,
        stratum=rng.integers(0, n_strata, n),
    )
