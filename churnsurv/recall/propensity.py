"""Who was contacted where nobody drew lots: the chance of each user, and how far apart the two kinds of users are.

The chance is logistic in what was known before the assignment, fitted by statsmodels. A propensity that is given is not
taken for it: fitted chances balance the covariates better, and limits become narrower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.recall.logistic import FLAT, independent, logistic_fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from churnsurv.data.assigned import CampaignRows

__all__ = ["Propensity", "propensity_of", "standardised"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

_RARE = 0.02  # chances beyond these make few users stand for many
_SURE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Propensity:
    """Chances to be in the arm rather than in the control.

    Attributes
    ----------
    chance : (n,) float64
    matrix : (n, p) float64
        See `standardised`.
    names : tuple of str
        Of the columns but the intercept.
    treated : (n,) bool
    """

    chance: Floats
    matrix: Floats
    names: tuple[str, ...]
    treated: Flags

    @property
    def weight(self) -> Floats:
        """Inverse of the chance of the group that each user is in."""
        return np.asarray(1.0 / np.where(self.treated, self.chance, 1.0 - self.chance))

    @property
    def effective(self) -> tuple[float, float]:
        """Users of the control and of the arm that as many equally weighted ones would be worth (Kish 1965)."""
        found = []
        for own in (~self.treated, self.treated):
            w = self.weight[own]
            found.append(float(w.sum() ** 2 / (w @ w)))
        return found[0], found[1]

    @property
    def rare(self) -> float:
        """Share of users whose chance is below 2 or above 98 %."""
        return float(((self.chance < _RARE) | (self.chance > 1 - _RARE)).mean())

    def balance(self) -> list[dict[str, Any]]:
        """Means of each covariate, and their difference in standard deviations before and after weighting."""
        rows = []
        for place, name in enumerate(self.names, start=1):
            column = self.matrix[:, place]
            a, b = column[self.treated], column[~self.treated]
            spread = float(np.sqrt((a.var() + b.var()) / 2))
            w = self.weight
            after = np.average(a, weights=w[self.treated]) - np.average(b, weights=w[~self.treated])
            rows.append(
                {
                    "variable": name,
                    "difference": float((a.mean() - b.mean()) / spread) if spread > 0 else 0.0,
                    "weighted_difference": float(after / spread) if spread > 0 else 0.0,
                }
            )
        return rows


def propensity_of(
    rows: CampaignRows, chosen: NDArray[np.int64], treated: Flags, covariates: Sequence[str], *, name: str
) -> Propensity:
    """Fit the chances.

    Parameters
    ----------
    rows : CampaignRows
    chosen : (n,) int64
        Rows of the arm and of the control.
    treated : (n,) bool
        Which of these are of the arm.
    covariates : sequence of str
        Names in ``rows.pre``.
    name : str
        What errors call the comparison.

    Raises
    ------
    InputError
        If some users are contacted for sure, or never.
    """
    columns = {each: rows.pre[each][chosen] for each in covariates}
    strata = rows.stratum[chosen]
    for code in np.unique(strata)[1:]:
        columns[rows.strata[code]] = (strata == code).astype(np.float64)
    names, matrix = standardised(columns, chosen.size)
    if not names:
        raise InputError(
            f'{name}: design="observational" compares users that are alike, and no covariate varies. Name what '
            "the contacts went by in covariates=."
        )
    return Propensity(_fitted(matrix, treated, name), matrix, names, treated)


def standardised(columns: Mapping[str, Floats], n: int) -> tuple[tuple[str, ...], Floats]:
    """An intercept and covariates in standard deviations, (n, 1 + p), and the names of the latter.

    Missing values stand at the mean, and a column tells of them. What does not vary, or follows from the columns before
    it, is left out.

    Examples
    --------
    >>> standardised({"x": np.array([1.0, 3.0]), "twice": np.array([2.0, 6.0])}, 2)[0]
    ('x',)
    """
    names: list[str] = []
    made = [np.ones(n)]
    for name, values in columns.items():
        missing = np.isnan(values)
        known = values[~missing]
        spread = float(known.std()) if known.size else 0.0
        if spread > FLAT * max(1.0, float(np.abs(known).max(initial=0.0))):
            names.append(name)
            made.append(np.where(missing, 0.0, (values - known.mean()) / spread))
        if 0 < missing.sum() < n:
            names.append(f"{name} missing")
            made.append(missing - missing.mean())
    matrix = np.column_stack(made)
    kept = independent(matrix)
    return tuple(names[place - 1] for place in kept if place > 0), matrix[:, kept]


def _fitted(matrix: Floats, treated: Flags, name: str) -> Floats:
    chance, _, ended = logistic_fit(matrix, treated)
    apart = (chance < _SURE) | (chance > 1 - _SURE)
    if not ended or apart.any():
        raise InputError(
            f"{name}: by the covariates {int(apart.sum()):,} of {chance.size:,} users were contacted for sure, or "
            "never. They have nobody to be compared with: leave such users out, or the covariate if returns have "
            "nothing to do with it."
        )
    return chance
