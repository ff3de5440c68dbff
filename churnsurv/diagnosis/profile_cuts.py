"""What a profile looks at: its variables, the cuts through each, and how a cut is said in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import BUILT_IN, Feature, resolve
from churnsurv.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog

__all__ = ["LOGIN_INTERVAL", "Variable", "chosen_cuts", "chosen_variables", "default_cuts", "said"]

Floats: TypeAlias = NDArray[np.float64]

LOGIN_INTERVAL = "login_interval"

_DEFAULT = ("n_investments", "max_amount", "ever_boosted", "boosted_share", LOGIN_INTERVAL, "balance")
_DECILES = np.arange(1, 10) / 10
_NEAR = 0.025  # how far a rounded decile may be from its share
_MOST_DIGITS = 17


@dataclass(frozen=True, slots=True)
class Variable:
    """A number for each user.

    Attributes
    ----------
    name : str
    kind : {"count", "yes or no", "share", "amount", "interval"}
        What its cuts are by default, and what table one says of it.
    feature : str, Feature or None
        What the log is asked for; None for the login interval, which is no feature.
    """

    name: str
    kind: str
    feature: str | Feature | None


def chosen_variables(log: ActivityLog, variables: Sequence[str | Feature] | None) -> tuple[Variable, ...]:
    """Return the variables asked for, by default those of the case that the tables can answer.

    Raises
    ------
    InputError
        If a variable is unknown or no number.
    """
    if variables is None:
        from churnsurv.data.features_sql import default_features

        can = {each if isinstance(each, str) else each.name for each in default_features(log._reading)}
        variables = [name for name in _DEFAULT if name in can or name == LOGIN_INTERVAL]
    if isinstance(variables, (str, Feature)) or not isinstance(variables, Sequence) or not variables:
        raise InputError(
            f"variables is a list of names and ch.Feature, such as ['n_investments']; it is {variables!r}."
        )
    if "stage" in variables:
        raise InputError("'stage' is a group and no number. Split the profile by it: by='stage'.")
    for name in variables:
        if isinstance(name, str) and name not in {*BUILT_IN, "balance", LOGIN_INTERVAL}:
            hint = did_you_mean(name, _DEFAULT)
            raise InputError(
                f"There is no variable {name!r}.{hint} Built in: {', '.join(dict.fromkeys((*_DEFAULT, *BUILT_IN)))}; "
                "others are made with ch.Feature(name, agg=...)."
            )
    features = resolve([each for each in variables if each != LOGIN_INTERVAL])
    made = iter(features)
    chosen = [Variable(LOGIN_INTERVAL, "interval", None) if n == LOGIN_INTERVAL else _of(next(made)) for n in variables]
    names = [each.name.lower() for each in chosen]
    twice = next((each.name for each in chosen if names.count(each.name.lower()) > 1), None)
    if twice is not None:
        raise InputError(f"variables: {twice!r} is there twice. Give each variable its own name.")
    return tuple(chosen)


def _of(feature: str | Feature) -> Variable:
    if isinstance(feature, str):
        return Variable(feature, "amount", feature)
    kinds = {"count": "count", "days": "count", "any": "yes or no", "share": "share"}
    return Variable(feature.name, kinds.get(feature.agg, "amount"), feature)


def chosen_cuts(
    variables: Sequence[Variable], values: Mapping[str, Floats], cuts: Mapping[str, float | Sequence[float]] | None
) -> dict[str, Floats]:
    """Return the rising cuts of each variable: those given, else the default ones.

    Raises
    ------
    InputError
        If cuts are given for a variable that is not there, or are no finite numbers.
    """
    if cuts is not None and not isinstance(cuts, Mapping):
        raise InputError(f"cuts maps variables to numbers, such as {{'n_investments': (0, 2, 5)}}; it is {cuts!r}.")
    names = [variable.name for variable in variables]
    for name in cuts or {}:
        if name not in names:
            raise InputError(f"cuts: the profile has no variable {name!r}.{did_you_mean(str(name), names)}")
    found = {}
    for variable in variables:
        given = None if cuts is None else cuts.get(variable.name)
        if given is None:
            found[variable.name] = default_cuts(variable.kind, values[variable.name])
            continue
        numbers = [given] if isinstance(given, (int, float)) else list(given)
        if not numbers or not all(
            isinstance(each, (int, float, np.number)) and math.isfinite(each) for each in numbers
        ):
            raise InputError(f"cuts[{variable.name!r}] must be finite numbers, such as (0, 2, 5); it is {given!r}.")
        found[variable.name] = np.unique(np.asarray(numbers, dtype=np.float64))
    return found


def default_cuts(kind: str, values: Floats) -> Floats:
    """Return cuts with users on both sides, from the values of all users alone: the outcome is not looked at.

    Parameters
    ----------
    kind : str
        Of a count 0, 1, 2, 3, 5, 10, 20, 30, 50, 100 ...; of a yes or no 0; else the deciles, rounded to as few digits
        (two or more) as keep each within 2.5 % of the users.
    values : (n_users,) float64
        NaN where a user has none.

    Examples
    --------
    >>> default_cuts("count", np.array([0.0, 1, 1, 7])).tolist(), default_cuts("yes or no", np.array([0.0, 1])).tolist()
    ([0.0, 1.0, 2.0, 3.0, 5.0], [0.0])
    >>> default_cuts("amount", np.arange(1.0, 1001) * 1.234).tolist()
    [120.0, 250.0, 370.0, 490.0, 620.0, 740.0, 860.0, 990.0, 1100.0]
    """
    there = np.sort(values[~np.isnan(values)])
    if there.size == 0 or there[0] == there[-1]:
        return np.empty(0)
    if kind == "yes or no":
        cuts = np.zeros(1)
    elif kind == "count":
        tens = 10.0 ** np.arange(1, 16)
        cuts = np.concatenate([[0.0, 1.0, 2.0, 3.0, 5.0], np.ravel(np.outer(tens, [1.0, 2.0, 3.0, 5.0]))])
    else:
        cuts = _deciles(there)
    inside: Floats = cuts[(cuts >= there[0]) & (cuts < there[-1])]
    return inside


def _deciles(ordered: Floats) -> Floats:
    exact = ordered[np.ceil(_DECILES * ordered.size).astype(int) - 1]
    wanted = np.searchsorted(ordered, exact, side="right") / ordered.size
    for digits in range(2, _MOST_DIGITS):
        nearest = np.array([float(f"{each:.{digits}g}") for each in exact])
        last_digit = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(exact), 1e-300))) + 1 - digits)
        above = np.array(
            [float(f"{each:.{digits}g}") for each in np.where(nearest < exact, nearest + last_digit, nearest)]
        )
        for rounded in (nearest, above):  # many users may have the very same value: a cut just below would lose them
            if np.all(np.abs(np.searchsorted(ordered, rounded, side="right") / ordered.size - wanted) <= _NEAR):
                return np.unique(rounded)
    return np.unique(exact)


_PHRASES: Mapping[str, tuple[str, str]] = {
    "n_investments": ("at most {cut} investments", "more than {cut} investments"),
    "max_amount": ("never more than {cut} invested at once", "more than {cut} invested at once"),
    "total_amount": ("at most {cut} invested in total", "more than {cut} invested in total"),
    "ever_boosted": ("no boosted product", "a boosted product"),
    "boosted_share": ("at most {cut} of investments boosted", "more than {cut} of investments boosted"),
    LOGIN_INTERVAL: ("at most {cut} days between active days", "more than {cut} days between active days"),
    "balance": ("a balance of at most {cut}", "a balance above {cut}"),
}  # fmt: skip


def said(variable: Variable, cut: float, *, below: bool) -> str:
    """Say in words who is at or below a cut, or above it.

    Examples
    --------
    >>> n = Variable("n_investments", "count", "n_investments")
    >>> said(n, 2, below=True), said(n, 0, below=True), said(n, 0, below=False)
    ('at most 2 investments', 'no investment', 'at least 1 investment')
    >>> said(Variable("logins", "count", None), 10_000, below=False)
    'logins above 10,000'
    """
    number = f"{100 * cut:g} %" if variable.kind == "share" else f"{cut:,.10g}"
    if variable.name == "n_investments" and cut in (0, 1):
        singular = {
            0: ("no investment", "at least 1 investment"),
            1: ("at most 1 investment", "more than 1 investment"),
        }
        return singular[int(cut)][not below]
    if variable.name == "max_amount" and cut == 0:
        return "nothing invested" if below else "something invested"
    plain = ("{name} at most {cut}", "{name} above {cut}")
    if variable.kind == "yes or no":
        plain = ("not {name}", "{name}")
    phrase = _PHRASES.get(variable.name, plain)[not below]
    return phrase.format(cut=number, name=variable.name)
