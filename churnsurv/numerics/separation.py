"""Estimates that don't exist, found and named: collinear columns, and coefficients that run to infinity."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf

from churnsurv.errors import ConvergenceError
from churnsurv.numerics.design import Design, Indicators, count
from churnsurv.numerics.risk_sets import RiskSets

__all__ = ["check_categories", "check_rank", "unbounded"]

Floats: TypeAlias = NDArray[np.float64]

_NO_VARIATION = 1e-12
_COLLINEAR = 1e-11
_SHOWN = 5
_TIMES = " × "  # how the names of products are joined


def check_categories(design: Design, sets: RiskSets, frequency: Floats | None = None) -> None:
    """Raise where a category has nobody at risk, or nobody with the event: its coefficient does not exist."""
    weight = np.ones(design.n_rows) if frequency is None else frequency
    at_risk, events = sets.at_risk() * weight, sets.event * weight
    unseen, infinite = [], []
    for part in design.indicators:
        exposed = count(part.codes, at_risk, part.n_columns + 1)
        unseen += [name for name, n in zip(part.names, exposed[1:], strict=True) if n == 0]
        if part.values is None:
            infinite += _without_events(part, exposed, count(part.codes, events, part.n_columns + 1))
    if unseen:
        raise ConvergenceError(
            f"nobody in {_listed(unseen)} is at risk on a day with events, so that there is nothing to estimate it "
            "from. Merge the category with another, or leave these rows out."
        )
    if infinite:
        raise ConvergenceError(
            f"no finite estimate exists: none of the rows at risk in {_listed(infinite, quote=False)} has the event, "
            "so that a coefficient is infinite. Merge the category with another, or leave these rows out and say so."
        )


def _without_events(part: Indicators, exposed: Floats, events: Floats) -> list[str]:
    names = (part.reference, *part.names)
    return [
        f"{name!r} ({n:.0f} {'row' if n == 1 else 'rows'}{'' if i else ', the reference'})"
        for i, (name, n, d) in enumerate(zip(names, exposed, events, strict=True))
        if n > 0 and d == 0 and name is not None
    ]


def check_rank(information: Floats, uncentred: Floats, names: tuple[str, ...]) -> None:
    """Raise where columns don't vary within risk sets or determine each other.

    Parameters
    ----------
    information : (p, p) float64
        At coefficients zero.
    uncentred : (p,) float64
        Its diagonal before the part explained by the risk sets is taken off: what rounding is relative to.
    names : tuple of str
    """
    diagonal = np.diagonal(information)
    still = [name for name, i, u in zip(names, diagonal, uncentred, strict=True) if not i > _NO_VARIATION * u]
    if still:
        raise ConvergenceError(
            f"{_listed(still)} {_plural(still, 'does', 'do')} not vary among the rows at risk together, on any day "
            "with events (within a stratum): nothing can be estimated. Leave it out, or take it out of the strata."
        )
    scale = 1 / np.sqrt(diagonal)
    # rounding grows where most of a column's information is taken off again
    tolerance = min(max(_COLLINEAR, 1e-13 * float((uncentred / diagonal).max())), 1e-9)
    factor, pivots, rank, _ = dpstrf(information * np.outer(scale, scale), tol=tolerance, lower=0)
    if rank == len(names):
        return
    order = pivots - 1
    dependent = solve_triangular(factor[:rank, :rank], factor[:rank, rank])
    # a combination of columns of like size: shares below one in ten thousand are rounding
    share = np.abs(dependent) > 1e-4 * np.abs(dependent).max(initial=0.0)
    together = sorted([int(order[rank]), *(int(i) for i in order[:rank][share])])
    # other columns are centred
    products = any(_TIMES in names[i] for i in together)
    hint = (
        ", or subtract a constant, as center() does, from a number far from zero beside its spread" if products else ""
    )
    raise ConvergenceError(
        f"{_listed([names[i] for i in together])} are collinear: each of them is determined by the others"
        f"{_more(len(names) - rank - 1)}. Leave one of them out{hint}."
    )


def unbounded(direction: Floats, names: tuple[str, ...]) -> ConvergenceError:
    """Return the error that names the coefficients which run to infinity along `direction`."""
    size = np.abs(direction)
    which = np.flatnonzero(size > 0.1 * size.max())
    ways = [f"{names[i]!r} to {'plus' if direction[i] > 0 else 'minus'} infinity" for i in which[:_SHOWN]]
    ways += [f"{len(which) - _SHOWN} more"] if len(which) > _SHOWN else []
    return ConvergenceError(
        f"no finite estimate exists (separation): the likelihood rises as the coefficient goes, {' and '.join(ways)}. "
        "The covariates tell exactly who of those at risk churns, or one value lies millions of times further out than "
        "the others. Look at the extremes, leave one out, or merge categories."
    )


def _more(count: int) -> str:
    return "" if count == 0 else f", and {count} more column{'s' if count > 1 else ''} are determined by others"


def _plural(names: list[str], one: str, more: str) -> str:
    return one if len(names) == 1 else more


def _listed(names: list[str], *, quote: bool = True) -> str:
    shown = [repr(name) if quote else name for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        shown.append(f"{len(names) - _SHOWN} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
