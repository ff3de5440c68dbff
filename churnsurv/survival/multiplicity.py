"""P-values and limits of several comparisons made at once."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError, did_you_mean

__all__ = ["ADJUST", "adjusted", "check_adjust", "holds_together"]

Floats: TypeAlias = NDArray[np.float64]

# the chance of any false finding is held, or the share of false ones among the findings
_TOGETHER, _SHARE = ("holm", "bonferroni", "hommel"), ("fdr_bh", "fdr_by")
ADJUST = (*_TOGETHER, *_SHARE, "none")


def check_adjust(adjust: str) -> str:
    """Return the name of an adjustment, or say which there are.

    Examples
    --------
    >>> check_adjust("holm")
    'holm'
    """
    if adjust not in ADJUST:
        known = ", ".join(map(repr, ADJUST))
        raise InputError(f"adjust must be one of {known}, not {adjust!r}.{did_you_mean(str(adjust), ADJUST)}")
    return adjust


def holds_together(adjust: str) -> bool:
    """Say whether the chance of any false finding is held, so that limits should hold together too."""
    return adjust in _TOGETHER


def adjusted(p_value: Floats, adjust: str) -> Floats:
    """Adjust the p-values that there are for their number; what has none stays null.

    Examples
    --------
    >>> adjusted(np.array([0.01, np.nan, 0.04]), "holm").tolist()
    [0.02, nan, 0.04]
    """
    out = p_value.copy()
    known = np.flatnonzero(~np.isnan(p_value))
    if adjust != "none" and known.size > 1:
        out[known] = _adjusted(p_value[known], adjust)
    return out


def _adjusted(p: Floats, adjust: str) -> Floats:
    """Two of them here: statsmodels collects all garbage on each call, which takes longer than many a comparison."""
    if adjust == "bonferroni":
        return np.minimum(p * p.size, 1.0)
    if adjust == "holm":
        order = np.argsort(p)
        found = np.empty_like(p)
        found[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
        return found
    from statsmodels.stats.multitest import multipletests

    return np.asarray(multipletests(p, method=adjust)[1])
