"""Small tables of rows, and derivatives in the weight of each row by differences: what influences are held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    duration: np.ndarray
    churned: np.ndarray
    entry: np.ndarray | None
    weights: np.ndarray


def table(seed: int, *, n: int = 40, late: bool = False, days: int = 15) -> Rows:
    """Rows with ties of every kind; late ones enter on days 0 to 4, some on the day on which they end."""
    rng = np.random.default_rng(seed)
    duration = rng.integers(1, days, n)
    entry = np.minimum(rng.integers(0, 5, n), duration) if late else None
    if entry is not None:
        entry[:5], duration[:5] = 0, np.maximum(duration[:5], 9)
    return Rows(duration, rng.random(n) < 0.6, entry, rng.uniform(0.4, 2.5, n))


def derivatives(estimate: Callable[[np.ndarray], np.ndarray], weights: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """d estimate / d weight of each row, (n, ...)."""
    out = []
    for k in range(weights.size):
        up, down = weights.copy(), weights.copy()
        up[k] += step
        down[k] -= step
        out.append((np.asarray(estimate(up)) - np.asarray(estimate(down))) / (2 * step))
    return np.array(out)
