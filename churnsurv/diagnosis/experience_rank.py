"""What to fix first: reach, effect and attributable share of each kind of problem, and how sure the order is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from churnsurv.survival.multiplicity import adjusted

__all__ = ["ALL", "MONTH", "Shares", "chance_of_first", "difference_rows", "ranking_rows", "with_adjusted"]

Floats: TypeAlias = NDArray[np.float64]

ALL = "(all)"
MONTH = 30.4375
_DRAWS = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """Attributable shares of some kinds, and of all of them together as the last.

    Attributes
    ----------
    kinds : tuple of str
    share : (k + 1,) float64
    covariance : (k + 1, k + 1) float64
        Of log(1 - share).
    df : (k + 1,) float64
        Degrees of freedom of each.
    churns_a_month : float
        Churns of the gaps that the shares are of.
    """

    kinds: tuple[str, ...]
    share: Floats
    covariance: Floats
    df: Floats
    churns_a_month: float

    def limits(self, level: float) -> tuple[Floats, Floats]:
        """Limits of the shares, symmetric on the scale of log(1 - share)."""
        t, error = stdtrit(self.df, (1 + level) / 2), np.sqrt(np.diag(self.covariance))
        rest = 1 - self.share
        with np.errstate(over="ignore"):  # next to nothing is known of what one or two users hold
            return 1 - rest * np.exp(t * error), 1 - rest * np.exp(-t * error)


def chance_of_first(shares: Shares) -> Floats:
    """How probable it is that each kind has the largest share, if estimates are normal around the truth; (k,).

    Examples
    --------
    >>> shares = Shares(("a", "b"), np.array([0.1, 0.1, 0.2]), np.eye(3) / 100, np.full(3, 9.0), 1.0)
    >>> chance_of_first(shares).round(1).tolist()
    [0.5, 0.5]
    """
    k = len(shares.kinds)
    order = np.array(sorted(range(k), key=shares.kinds.__getitem__), dtype=np.intp)  # the same draws in any order
    values, vectors = np.linalg.eigh(shares.covariance[np.ix_(order, order)])
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.log1p(-shares.share[order]) + np.random.default_rng(0).standard_normal((_DRAWS, k)) @ root.T
    found = np.empty(k)
    found[order] = np.bincount(drawn.argmin(axis=1), minlength=k) / _DRAWS
    return found


def ranking_rows(
    shares: Shares,
    ratios: Mapping[str, Mapping[str, Any]],
    reach: Mapping[str, tuple[float, float]],
    *,
    level: float,
) -> list[dict[str, Any]]:
    """Kinds in the order of their shares, and all together; schema "experience_ranking".

    Parameters
    ----------
    shares : Shares
    ratios : mapping
        The row of the table of each kind.
    reach : mapping of str to (float, float)
        Share of users and of gaps with it.
    level : float
    """
    lower, upper = shares.limits(level)
    first = chance_of_first(shares)
    order = [*np.argsort(-shares.share[:-1], kind="stable").tolist(), len(shares.kinds)]
    rows = []
    for rank, place in enumerate(order, start=1):
        all_kinds = place == len(shares.kinds)
        kind = ALL if all_kinds else shares.kinds[place]
        share = [float(each[place]) for each in (shares.share, lower, upper)]
        row = {
            "kind": kind,
            "reach_users": reach[kind][0],
            "reach_gaps": reach[kind][1],
            "share": share[0],
            "share_lower": share[1],
            "share_upper": share[2],
            **dict(
                zip(("lost", "lost_lower", "lost_upper"), (each * shares.churns_a_month for each in share), strict=True)
            ),
        }
        if not all_kinds:
            names = {"hazard_ratio": "hazard_ratio", "hr_lower": "lower", "hr_upper": "upper"}
            row |= {ours: ratios[kind][theirs] for ours, theirs in names.items()}
            row |= {"rank": rank, "top": float(first[place])}
        rows.append(row)
    return rows


def difference_rows(shares: Shares, *, level: float, adjust: str) -> list[dict[str, Any]]:
    """Differences of the shares of all pairs of kinds; schema "experience_differences"."""
    order = np.argsort(-shares.share[:-1], kind="stable").tolist()
    rows: list[dict[str, Any]] = []
    for i, j in combinations(order, 2):
        gradient = np.zeros(shares.share.size)
        gradient[i], gradient[j] = -(1 - shares.share[i]), 1 - shares.share[j]
        difference = float(shares.share[i] - shares.share[j])
        error = float(np.sqrt(gradient @ shares.covariance @ gradient))
        df = float(min(shares.df[i], shares.df[j]))
        t = float(stdtrit(df, (1 + level) / 2))
        rows.append(
            {
                "kind": shares.kinds[i],
                "other": shares.kinds[j],
                "difference": difference,
                "lower": difference - t * error,
                "upper": difference + t * error,
                "p_value": float(2 * stdtr(df, -abs(difference) / error)) if error > 0 else 1.0,
            }
        )
    return with_adjusted(rows, adjust)


def with_adjusted(rows: Sequence[dict[str, Any]], adjust: str) -> list[dict[str, Any]]:
    """Add p-values adjusted for the number of rows."""
    p = adjusted(np.array([row["p_value"] for row in rows], dtype=np.float64), adjust)
    return [row | {"adjusted_p_value": float(each)} for row, each in zip(rows, p, strict=True)]
