"""Hazard ratios of churn per activity by what was known when the gap began, and shares of churn attributable to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from churnsurv.diagnosis.experience_asked import Asked, Level, varies
from churnsurv.diagnosis.experience_gaps import FEWEST, KnownGaps
from churnsurv.errors import ConvergenceError
from churnsurv.notes import note
from churnsurv.numerics.attributable import (
    Attributable,
    Clustered,
    ExposureFit,
    Occasions,
    attributable,
    clustered,
    coefficient_influence,
    fit_exposures,
)
from churnsurv.tables.said import said_list

__all__ = ["Fitted", "fit_asked", "fit_levels", "ratio_rows", "shares_of"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """One model and what it was asked.

    Attributes
    ----------
    model : str
    asked : Asked
    names : tuple of str
        Of the columns: the levels first, then numbers of active days.
    fit : ExposureFit
    """

    model: str
    asked: Asked
    names: tuple[str, ...]
    fit: ExposureFit


def fit_asked(
    model: str, known: KnownGaps, levels: Sequence[Level], left_out: Flags | None = None, *, of_most: bool = True
) -> tuple[Fitted | None, Asked]:
    """Fit those of the levels that have an estimate; what has none beside the others is taken out, and said.

    With `of_most` nothing is fitted where more than half of the gaps are left out.

    Returns
    -------
    Fitted or None
        None where no level is left.
    Asked
        With all that is absent.
    """
    asked, skipped = Asked.of(known, levels, left_out), set[str]()
    while asked.answerable:
        if of_most and asked.too_few_left(known):
            return None, asked.without(known, dict.fromkeys(range(len(asked.levels)), _LEFT_OUT))
        try:
            return fit_levels(model, known, asked, skipped), asked
        except ConvergenceError as error:
            said = str(error)
        named = [place for place in range(len(asked.levels)) if repr(_level_name(place)) in said]
        active = {name for name, _, _ in _active_columns(known, asked) if repr(name) in said} - skipped
        if not named and active:
            skipped |= active
            continue
        asked = asked.without(known, _reasons(asked, named, said))
    return None, asked


_LEFT_OUT = note("more than half of the gaps are those of levels without an estimate")


def _reasons(asked: Asked, named: Sequence[int], said: str) -> dict[int, str]:
    if not named:
        return dict.fromkeys(range(len(asked.levels)), note("its model cannot be fitted: {fault}", fault=said))
    if "collinear" not in said:
        return dict.fromkeys(named, note("beside the others its hazard ratio has no limit, or no steps reach it"))
    levels = asked.levels
    names = {i: note("{kind} ({what})", kind=levels[i].kind, what=levels[i].what) for i in named}
    found: dict[int, str] = {}
    for place in named:
        others = said_list([name for other, name in names.items() if other != place]) or note(
            "the number of active days"
        )
        found[place] = note("it cannot be told apart from {others}: each goes with the others", others=others)
    return found


def fit_levels(model: str, known: KnownGaps, asked: Asked, skipped: Collection[str] = ()) -> Fitted:
    """Fit the levels together, adjusted for cells and numbers of active days but those skipped.

    Raises
    ------
    ConvergenceError
        If there is no estimate. It names columns as `_level_name` and `_active_columns` do.
    """
    columns = [level.column for level in asked.levels]
    names = [f"{level.kind}: {level.what}" for level in asked.levels]
    # names of users may be alike, or hold anything
    internal = [_level_name(place) for place in range(len(columns))]
    for name, told, column in _active_columns(known, asked):
        if name not in skipped and varies(column, known, asked.n, asked.d):
            columns.append(column)
            names.append(told)
            internal.append(name)
    occasions = Occasions(asked.n, asked.d, known.cell, np.stack(columns, axis=1))
    return Fitted(model, asked, tuple(names), fit_exposures(occasions, internal))


def _level_name(place: int) -> str:
    return f"level {place}"


def _active_columns(known: KnownGaps, asked: Asked) -> list[tuple[str, str, Floats]]:
    """Names, names in words and columns of numbers of active days."""
    return [
        (f"active {place} {code}", f"active days, window {place}: level {code}", column)
        for place, active in enumerate(known.active.T, start=1)
        for code, column in _steps(active, asked.n, asked.d)
    ]


def _steps(level: NDArray[np.int64], n: Floats, d: Floats) -> list[tuple[int, Floats]]:
    """Columns of the levels but the lowest; one with few churned or returned gaps joins the one below."""
    code = level.copy()
    for step in range(int(level.max(initial=0)), 0, -1):
        mine = code == step
        churned = d[mine].sum()
        if churned < FEWEST or n[mine].sum() - churned < FEWEST:
            code[mine] = step - 1
    return [(int(step), (code == step).astype(np.float64)) for step in np.unique(code) if step > 0]


def ratio_rows(fitted: Fitted, known: KnownGaps, *, level: float) -> list[dict[str, Any]]:
    """Hazard ratios with limits, errors clustered by user; schema "experience" but for the adjusted p-value."""
    fit, asked = fitted.fit, fitted.asked
    k = len(asked.levels)
    found = _clustered(coefficient_influence(fit, np.eye(fit.coefficients.size)[:, :k]), fit, known)
    errors = np.sqrt(np.diag(found.covariance))
    rows = []
    for each, estimate, se, df in zip(asked.levels, fit.coefficients[:k], errors, found.df, strict=True):
        if not each.shown:
            continue
        b, error, t = estimate / each.unit, se / each.unit, float(stdtrit(df, (1 + level) / 2))
        with np.errstate(over="ignore"):  # a point may be far more than scores differ by
            ratio, lower, upper = np.exp([b, b - t * error, b + t * error]).tolist()
        rows.append(
            {
                "kind": each.kind,
                "model": fitted.model,
                "what": each.what,
                "reference": each.reference,
                "hazard_ratio": ratio,
                "lower": lower,
                "upper": upper,
                "p_value": float(2 * stdtr(df, -abs(estimate) / se)),
                "df": float(df),
                "n_exposed": int(asked.n[each.marked].sum()),
                "n_churned": int(asked.d[each.marked].sum()),
                "n_users": _n_users(known, each.marked & (asked.n > 0)),
            }
        )
    return rows


def _n_users(known: KnownGaps, marked: Flags) -> int:
    """Users with such a gap; those of a user stand together."""
    return int(np.count_nonzero(np.diff(known.user[marked[known.pattern]], prepend=-1)))


def _clustered(influence: Floats, fit: ExposureFit, known: KnownGaps) -> Clustered:
    return clustered(influence, fit.chance, known.pattern, known.churned, known.user)


def shares_of(fitted: Fitted, known: KnownGaps) -> tuple[Attributable, Clustered]:
    """Shares of churn attributable to each level and to all of them, and the errors of their log(1 - share)."""
    k = len(fitted.asked.levels)
    removed = np.zeros((k + 1, fitted.fit.coefficients.size), dtype=np.bool_)
    removed[:k, :k] = np.eye(k, dtype=np.bool_)
    removed[k, :k] = True
    found = attributable(fitted.fit, removed)
    return found, _clustered(found.influence, fitted.fit, known)
