"""Table one: churned against retained users, variable by variable, with standardised differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.profile_cuts import Variable
from churnsurv.numerics.two_groups import standardised_difference

__all__ = ["table_one_rows"]

Floats: TypeAlias = NDArray[np.float64]

_QUARTILES = {"lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75}


def table_one_rows(
    group: str,
    variables: Sequence[Variable],
    values: Mapping[str, Floats],
    churned: NDArray[np.bool_],
    *,
    level: float,
    limits: bool,
) -> list[dict[str, Any]]:
    """Return the rows of table one for one group of users.

    Parameters
    ----------
    group : str
    values : mapping of str to (n_users,) float64
        NaN where a user has no value.
    churned : (n_users,) bool
    limits : bool
        Whether standardised differences have limits.

    Notes
    -----
    Of a yes or no the share of yes; of numbers mean, standard deviation and quartiles (each the lowest value that has
    the share at or below it); of both the share of users without a value, where there is one.

    Examples
    --------
    >>> rows = table_one_rows("all", [Variable("logins", "count", None)], {"logins": np.array([1.0, 2, 3, 4])},
    ...     np.array([True, True, False, False]), level=0.95, limits=False)
    >>> [(row["statistic"], row["churned"], row["retained"]) for row in rows][1:3]
    [('mean', 1.5, 3.5), ('standard deviation', 0.7071067811865476, 0.7071067811865476)]
    """
    sides = (churned, ~churned)
    counts = [float(side.sum()) for side in sides]
    rows = [_row(group, "(users)", "users", counts[0], counts[1])]
    for variable in variables:
        x = values[variable.name]
        there = [x[side & ~np.isnan(x)] for side in sides]
        if all(each.size for each in there):
            yes = variable.kind == "yes or no"
            rows += _of_yes(group, variable.name, there, level) if yes else _of_numbers(group, variable, there, level)
        missing = [np.isnan(x[side]).astype(np.float64) for side in sides]
        if any(each.any() for each in missing):
            rows.append(_share(group, variable.name, "share without a value", missing, level))
    return rows if limits else [row | {"lower": np.nan, "upper": np.nan} for row in rows]


def _of_yes(group: str, name: str, there: Sequence[Floats], level: float) -> list[dict[str, Any]]:
    return [_share(group, name, "share yes", [(each > 0).astype(np.float64) for each in there], level)]


def _share(group: str, name: str, statistic: str, of: Sequence[Floats], level: float) -> dict[str, Any]:
    churned, retained = (float(each.mean()) if each.size else np.nan for each in of)
    variances = (churned * (1 - churned), retained * (1 - retained))
    d = standardised_difference((of[0].size, of[1].size), (churned, retained), variances, level=level)
    return _row(group, name, statistic, churned, retained, (d.estimate, d.lower, d.upper))


def _of_numbers(group: str, variable: Variable, there: Sequence[Floats], level: float) -> list[dict[str, Any]]:
    means = (float(there[0].mean()), float(there[1].mean()))
    variances = [float(each.var(ddof=1)) if each.size > 1 else float("nan") for each in there]
    d = standardised_difference((there[0].size, there[1].size), means, (variances[0], variances[1]), level=level)
    rows = [
        _row(group, variable.name, "mean", *means, (d.estimate, d.lower, d.upper)),
        _row(group, variable.name, "standard deviation", float(np.sqrt(variances[0])), float(np.sqrt(variances[1]))),
    ]
    for statistic, share in _QUARTILES.items():
        found = [float(np.quantile(each, share, method="inverted_cdf")) for each in there]
        rows.append(_row(group, variable.name, statistic, found[0], found[1]))
    return rows


def _row(
    group: str,
    variable: str,
    statistic: str,
    churned: float,
    retained: float,
    difference: tuple[float, float, float] = (np.nan, np.nan, np.nan),
) -> dict[str, Any]:
    return {
        "group": group,
        "variable": variable,
        "statistic": statistic,
        "churned": churned,
        "retained": retained,
        "standardised_difference": difference[0],
        "lower": difference[1],
        "upper": difference[2],
    }
