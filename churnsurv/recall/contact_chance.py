"""How likely a silent user was to be contacted again on each day: what weighs the copies of a policy.

On the day of the policy contacts are frequent, on other days they are rare and come for other reasons, so that each of
the two has a logistic regression of its own on what was known before the campaign; the other days share the slopes and
have levels of their own. Fitted by statsmodels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.errors import InputError
from churnsurv.numerics.doubly_robust import logistic_influence
from churnsurv.recall.logistic import independent, logistic_fit
from churnsurv.recall.propensity import standardised

__all__ = ["ContactChance", "contact_chance"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_LEAST = 20  # contacts, and as many that were not contacted, that a level is learnt from
_SURE = 25.0  # log odds beyond which a fitted chance is 0 or 1 for all purposes


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """One logistic regression: where its rows are, its matrix, and how its coefficients answer to weights of rows."""

    row: Ints
    day: Ints
    matrix: Floats
    parameters: Floats
    influence: Floats

    def log_odds(self, shift: Floats | None = None) -> Floats:
        parameters = self.parameters if shift is None else self.parameters + shift
        return np.asarray(np.clip(self.matrix @ parameters, -_SURE, _SURE))


@dataclass(frozen=True, slots=True, eq=False)
class ContactChance:
    """p(u) of each row on each day on which it could still be contacted.

    Attributes
    ----------
    n, horizon : int
    fits : tuple
    constant : Mapping of int to float
        Days with too few contacts for a level of their own among covariates: the share.
    """

    n: int
    horizon: int
    fits: tuple[_Fit, ...]
    constant: Mapping[int, float]

    def by_day(self, weights: Floats | None = None) -> Floats:
        """p, shape (n, horizon); with weights of rows (mean 1) as one Newton step from the fit leads to."""
        chance = np.zeros((self.n, self.horizon))
        for day, share in self.constant.items():
            chance[:, day - 1] = share
        for fit in self.fits:
            shift = None if weights is None else (weights - 1.0) @ fit.influence
            chance[fit.row, fit.day - 1] = 1.0 / (1.0 + np.exp(-fit.log_odds(shift)))
        return chance


def contact_chance(
    time: Ints, contact: Ints, covariates: Mapping[str, Floats], *, day: int, horizon: int, said: int | None = None
) -> ContactChance:
    """Fit the chances.

    Parameters
    ----------
    time : (n,) int64
        Day of the return, else the last day looked at.
    contact : (n,) int64
        Day of the second contact; 0 for none.
    covariates : Mapping of str to (n,) float64
        Known before the campaign.
    day : int
        The day of the policy.
    horizon : int
    said : int, optional
        What errors call that day.

    Raises
    ------
    InputError
        If on the day of the policy nobody, or everybody, who was silent was contacted, or the covariates foretell who.
    """
    said = day if said is None else said
    contacted = np.where((contact > 0) & (contact <= time), contact, 0)
    until = np.where(contacted > 0, contacted, np.minimum(time, horizon))
    silent = until >= day
    now = contacted == day
    _refuse_rules(int(now.sum()), int(silent.sum()), said)
    matrix = standardised(covariates, time.size)[1][:, 1:]
    rows = np.flatnonzero(silent)
    fits = [_fitted(rows, np.full(rows.size, day), _with_level(matrix[rows]), now[rows], f"on day {said}", time.size)]
    constant: dict[int, float] = {}
    others = _other_days(contacted, until, day, horizon)
    if others.row.size:
        levels, place = np.unique(others.day, return_inverse=True)
        dummies = np.zeros((others.row.size, levels.size))
        dummies[np.arange(others.row.size), place.reshape(-1)] = 1.0
        if int(others.now.sum()) >= _LEAST * max(1, matrix.shape[1]):
            both = np.hstack([dummies, matrix[others.row]])
            fits.append(_fitted(others.row, others.day, both, others.now, "on other days", time.size))
        else:
            constant = dict(zip(levels.tolist(), _shares(place.reshape(-1), others.now).tolist(), strict=True))
    return ContactChance(time.size, horizon, tuple(fits), constant)


@dataclass(frozen=True, slots=True, eq=False)
class _Others:
    row: Ints
    day: Ints
    now: NDArray[np.bool_]


def _other_days(contacted: Ints, until: Ints, day: int, horizon: int) -> _Others:
    """Rows by day on the other days that saw a contact at all."""
    days = [int(each) for each in np.unique(contacted) if each not in (0, day) and each <= horizon]
    found = [np.flatnonzero(until >= each) for each in days]
    if not found:
        none = np.zeros(0, dtype=np.int64)
        return _Others(none, none, none.astype(np.bool_))
    row = np.concatenate(found)
    on = np.repeat(days, [each.size for each in found])
    return _Others(row, on, contacted[row] == on)


def _shares(place: Ints, now: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.bincount(place, now) / np.bincount(place))


def _with_level(matrix: Floats) -> Floats:
    return np.hstack([np.ones((matrix.shape[0], 1)), matrix])


def _fitted(row: Ints, day: Ints, matrix: Floats, now: NDArray[np.bool_], when: str, n: int) -> _Fit:
    """A logistic regression, and what each row of the campaign moves its coefficients by."""
    matrix = matrix[:, independent(matrix)]  # among the silent fewer columns may vary than among all
    chance, parameters, ended = logistic_fit(matrix, now)
    if not ended or np.abs(matrix @ parameters).max() > _SURE:
        raise _foretold(when)
    influence = np.zeros((n, matrix.shape[1]))
    np.add.at(influence, row, logistic_influence(matrix, now, chance))
    return _Fit(row, day, matrix, parameters, influence)


# ---------------------------------------------------------------------------------------------------------- errors


def _refuse_rules(contacted: int, silent: int, day: int) -> None:
    if silent == 0:
        raise InputError(f"Nobody was silent and not yet contacted again on day {day}: there is no policy to compare.")
    left = silent - contacted
    if contacted == 0 or left == 0:
        who = "Nobody" if contacted == 0 else "Everybody"
        raise InputError(
            f"{who} of the {silent:,} users who were still silent on day {day} was contacted again on it. A contact "
            "that follows a rule without exception leaves nobody to compare with: take another day, or leave a random "
            "part of the silent out in the next campaign."
        )
    if min(contacted, left) < _LEAST:
        raise InputError(
            f"Of the {silent:,} users who were still silent on day {day}, {contacted:,} were contacted again on it and "
            f"{left:,} were not: fewer than {_LEAST} of one kind are too few to compare."
        )


def _foretold(when: str) -> InputError:
    return InputError(
        f"Who was contacted again {when} is foretold by the covariates: some users always were, or never. They have "
        "nobody to be compared with, and weights would hang on the form of a model. Leave out the covariate that the "
        "contacts went by only if returns have nothing to do with it; else randomise the second contact."
    )
