"""Hazard ratios of churn per activity by what was known when the gap began, and shares of churn attributable to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from churnsurv.diagnosis.experience_gaps import FEWEST, KnownGaps
from churnsurv.numerics.attributable import (
    Attributable,
    ExposureFit,
    Occasions,
    attributable,
    coefficient_influence,
    fit_exposures,
    user_covariance,
)

__all__ = ["Absent", "Asked", "Fitted", "Level", "fit_levels", "ratio_rows", "shares_of"]

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Something that gaps are told apart by.

    Attributes
    ----------
    kind : str
        Kind of problem, or topic.
    what : str
        The level in words.
    reference : str
        What it is compared with.
    marked : (m,) bool
        Patterns of which it is true.
    values : (m,) float64, or None
        The number that the hazard depends on, in place of yes and no.
    shown : bool
        False for what is only adjusted for.
    """

    kind: str
    what: str
    reference: str
    marked: Flags
    values: Floats | None = None
    shown: bool = True

    @property
    def column(self) -> Floats:
        """What enters the model."""
        return self.marked.astype(np.float64) if self.values is None else self.values


@dataclass(frozen=True, slots=True)
class Absent:
    """A level that has no estimate, and why."""

    kind: str
    what: str
    why: str
    n_exposed: int
    n_churned: int

    def row(self) -> Mapping[str, Any]:
        """As a row of schema "experience_absent"."""
        return {
            "kind": self.kind,
            "what": self.what,
            "why": self.why,
            "n_exposed": self.n_exposed,
            "n_churned": self.n_churned,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The patterns that count, and the levels that have an estimate among them.

    Attributes
    ----------
    levels : tuple of Level
    absent : tuple of Absent
    n, d : (m,) float64
        Gaps and churned gaps; 0 for patterns that are left out.
    """

    levels: tuple[Level, ...]
    absent: tuple[Absent, ...]
    n: Floats
    d: Floats

    @classmethod
    def of(cls, known: KnownGaps, levels: Sequence[Level], left_out: Flags | None = None) -> Asked:
        """Leave out levels with too few gaps, and the gaps themselves: they are no reference for others."""
        n, d = (each.astype(np.float64) for each in known.counts)
        if left_out is not None:
            n, d = np.where(left_out, 0.0, n), np.where(left_out, 0.0, d)
        kept, absent = [], []
        for level in levels:
            there, churned = int(n[level.marked].sum()), int(d[level.marked].sum())
            why = _why_not(known, level, n, d)
            if why is None:
                kept.append(level)
                continue
            absent.append(Absent(level.kind, level.what, why, there, churned))
            n, d = np.where(level.marked, 0.0, n), np.where(level.marked, 0.0, d)
        return cls(tuple(kept), tuple(absent), n, d)


def _why_not(known: KnownGaps, level: Level, n: Floats, d: Floats) -> str | None:
    there, churned = n[level.marked].sum(), d[level.marked].sum()
    if there == 0:
        return "no gap began with it"
    # by what gaps like these do, not by what these did: to choose by the outcome is to bias the estimate
    expected = float(_expected(known, n, d)[level.marked].sum())
    if expected < FEWEST:
        return f"of gaps like its own fewer than {FEWEST} would end in churn"
    if there - expected < FEWEST:
        return f"of gaps like its own fewer than {FEWEST} would end in a return"
    if churned in (0, there):
        return f"{'none' if churned == 0 else 'all'} of its gaps ended in churn: the hazard ratio has no limit"
    if not _varies(level.column, known, n, d):
        return "no gap without it to compare with, all else equal"
    return None


def _expected(known: KnownGaps, n: Floats, d: Floats) -> Floats:
    """Churned gaps of each pattern at the rate of its cell, shape (m,)."""
    size = int(known.cell.max(initial=0)) + 1
    total, churned = np.bincount(known.cell, n, size), np.bincount(known.cell, d, size)
    return np.asarray(n * (churned / np.maximum(total, 1.0))[known.cell], dtype=np.float64)


def _varies(column: Floats, known: KnownGaps, n: Floats, d: Floats) -> bool:
    """Whether a column differs within cells that have both outcomes."""
    size = int(known.cell.max(initial=0)) + 1
    total, churned = np.bincount(known.cell, n, size), np.bincount(known.cell, d, size)
    usable = ((churned > 0) & (churned < total))[known.cell] & (n > 0)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, known.cell[usable], column[usable])
    np.maximum.at(high, known.cell[usable], column[usable])
    return bool((high > low).any())


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


def fit_levels(model: str, known: KnownGaps, asked: Asked) -> Fitted:
    """Fit the levels together, adjusted for cells and numbers of active days."""
    columns = [level.column for level in asked.levels]
    names = [f"{level.kind}: {level.what}" for level in asked.levels]
    for place, active in enumerate(known.active.T):
        for code, column in _steps(active, asked.n, asked.d):
            if _varies(column, known, asked.n, asked.d):
                columns.append(column)
                names.append(f"active days, window {place + 1}: level {code}")
    occasions = Occasions(asked.n, asked.d, known.cell, np.stack(columns, axis=1))
    return Fitted(model, asked, tuple(names), fit_exposures(occasions, names))


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
    weights = np.eye(fit.coefficients.size)[:, :k]
    covariance = user_covariance(coefficient_influence(fit, weights), known.pattern, known.churned, known.user)
    errors, z = np.sqrt(np.diag(covariance)), float(ndtri((1 + level) / 2))
    rows = []
    for each, b, error in zip(asked.levels, fit.coefficients[:k], errors, strict=True):
        if not each.shown:
            continue
        rows.append(
            {
                "kind": each.kind,
                "model": fitted.model,
                "what": each.what,
                "reference": each.reference,
                "hazard_ratio": float(np.exp(b)),
                "lower": float(np.exp(b - z * error)),
                "upper": float(np.exp(b + z * error)),
                "p_value": float(2 * ndtr(-abs(b) / error)),
                "n_exposed": int(asked.n[each.marked].sum()),
                "n_churned": int(asked.d[each.marked].sum()),
            }
        )
    return rows


def shares_of(fitted: Fitted, known: KnownGaps) -> tuple[Attributable, Floats]:
    """Shares of churn attributable to each level and to all of them, and the covariance of their log(1 - share)."""
    k = len(fitted.asked.levels)
    removed = np.zeros((k + 1, fitted.fit.coefficients.size), dtype=np.bool_)
    removed[:k, :k] = np.eye(k, dtype=np.bool_)
    removed[k, :k] = True
    found = attributable(fitted.fit, removed)
    return found, user_covariance(found.influence, known.pattern, known.churned, known.user)
