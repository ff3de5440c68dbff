"""Means and paired differences from sums by independent blocks of users, with limits and tests.

The ratio of sums R = sum y / sum x and its standard error are those of `ratio_by_blocks`; limits are symmetric, by
Student's t with G - 1 degrees of freedom, G the blocks with x > 0. With y the difference of what two policies yield in
the same block this is the paired comparison: what the two have in common cancels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from churnsurv.numerics.ratio_by_blocks import ratio_by_blocks

__all__ = ["BlockMean", "block_mean"]


@dataclass(frozen=True, slots=True)
class BlockMean:
    """A ratio of sums; NaN where it, its spread or its test does not exist.

    Attributes
    ----------
    estimate, std_error, lower, upper : float
    p_value : float
        Two-sided, of no mean at all; 1 where all blocks are 0.
    """

    estimate: float
    std_error: float
    lower: float
    upper: float
    p_value: float


def block_mean(total: NDArray[Any], weight: NDArray[Any], *, level: float) -> BlockMean:
    """Estimate sum(total) / sum(weight) over blocks.

    Parameters
    ----------
    total, weight : (n_blocks,)
    level : float

    Examples
    --------
    >>> found = block_mean(np.array([1.0, 2.0, 3.0]), np.ones(3), level=0.95)
    >>> round(found.estimate, 6), round(found.std_error, 4), round(found.lower, 3), round(found.p_value, 4)
    (2.0, 0.5774, -0.484, 0.0742)
    """
    ratio = ratio_by_blocks(total, weight)
    mean, error, free = float(ratio.estimate), float(ratio.std_error), max(float(ratio.n_blocks) - 1.0, 1.0)
    half = float(stdtrit(free, (1 + level) / 2)) * error
    if error > 0:
        p_value = 2.0 * float(stdtr(free, -abs(mean / error)))
    else:
        p_value = 1.0 if not np.any(total) and np.any(weight) else float("nan")
    return BlockMean(mean, error, mean - half, mean + half, p_value)
