"""Shares and incidences by reason: plain, weighted for who answers, and bounds that assume nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.rows import frame_of
from churnsurv.numerics.competing import CauseRows
from churnsurv.numerics.nonresponse import Responses, weighted_shares
from churnsurv.numerics.reason_bounds import share_bounds
from churnsurv.numerics.weighted_incidence import WeightedIncidence, weighted_incidence
from churnsurv.survival.factors import joined

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.survival.factors import Factor

__all__ = ["Explained", "explained", "incidence_rows", "share_rows"]

Ints: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Churns with their reasons.

    Attributes
    ----------
    churns : DataFrame
        One row a churn, in the order of `place`.
    reason : (n,) int64
        Position in `labels`; 0 too where `known` is false.
    known : (n,) bool
    labels : tuple of str
    cluster : (n,) int64, or None
        Users, where they have several churns.
    by : Factor
        The groups of the churns.
    """

    churns: pd.DataFrame
    reason: Ints
    known: Flags
    labels: tuple[str, ...]
    cluster: Ints | None
    by: Factor

    @property
    def groups(self) -> list[tuple[str, Flags]]:
        """Each group and which churns are of it."""
        if self.by.codes is None:
            return [(self.by.labels[0], np.ones(self.known.size, dtype=np.bool_))]
        return [(label, self.by.codes == i) for i, label in enumerate(self.by.labels)]


def explained(spells: pd.DataFrame, by: Sequence[str], labels: Sequence[str], *, clustered: bool) -> Explained:
    """Take the churns out of spells that have a column `reason` (null: not known)."""
    churns = spells[spells["churned"]].reset_index(drop=True)
    place = {label: i for i, label in enumerate(labels)}
    reason = churns["reason"].map(place)
    cluster: Ints | None = None
    if clustered:
        cluster = np.asarray(churns.groupby("user_id", sort=False).ngroup(), dtype=np.int64)
    return Explained(
        churns,
        np.asarray(reason.fillna(0), dtype=np.int64),
        reason.notna().to_numpy(dtype=np.bool_),
        tuple(labels),
        cluster,
        joined(churns, list(by)),
    )


def share_rows(found: Explained, units: Responses, *, level: float) -> pd.DataFrame:
    """Shares of reasons by group; schema "churn_reasons" and the columns of `by`."""
    rows: list[dict[str, Any]] = []
    n_kinds = len(found.labels)
    plain_units = units.without_model()
    for g, (group, members) in enumerate(found.groups):
        plain = weighted_shares(plain_units, found.reason, n_kinds, members=members)
        weighted = weighted_shares(units, found.reason, n_kinds, members=members)
        cluster = None if found.cluster is None else found.cluster[members]
        bounds = share_bounds(found.reason[members], found.known[members], n_kinds, level=level, cluster=cluster)
        (lower, upper), (weighted_lower, weighted_upper) = plain.limits(level), weighted.limits(level)
        beside = _values(found.by, g)
        rows += [
            {
                "group": group,
                "reason": reason,
                "n": int(plain.n[k]),
                "share": plain.share[k],
                "lower": lower[k],
                "upper": upper[k],
                "weighted_share": weighted.share[k],
                "weighted_lower": weighted_lower[k],
                "weighted_upper": weighted_upper[k],
                "bound_lower": bounds.lowest[k],
                "bound_upper": bounds.highest[k],
                "bound_limit_lower": bounds.lower[k],
                "bound_limit_upper": bounds.upper[k],
                **beside,
            }
            for k, reason in enumerate(found.labels)
        ]
    return _beside(frame_of("churn_reasons", rows), rows, found.by)


def incidence_rows(
    spells: pd.DataFrame, found: Explained, units: Responses, *, by: Sequence[str], horizon: int | None, level: float
) -> pd.DataFrame:
    """Incidences with unknown reasons shared out by weights; schema "weighted_incidence" and the columns of `by`."""
    by_spell, by_churn = joined(spells, list(by)), joined(found.churns, list(by))
    last = np.inf if horizon is None else horizon
    duration = found.churns["duration"].to_numpy()
    parts: list[dict[str, Any]] = []
    for g, group in enumerate(by_spell.labels):
        mine = np.ones(len(spells), np.bool_) if by_spell.codes is None else by_spell.codes == g
        rows = _rows(spells[mine], last, clustered=found.cluster is not None)
        members = duration <= last
        if by_churn.codes is not None or group not in by_churn.labels:
            own = by_churn.labels.index(group) if group in by_churn.labels else -1
            members &= (np.zeros(duration.size, np.int64) if by_churn.codes is None else by_churn.codes) == own
        if rows.duration.size == 0:
            continue
        if members.any():
            curves = weighted_incidence(
                rows, units, time=duration, reason=found.reason, members=members, n_kinds=len(found.labels)
            )
            lower, upper = curves.limits(level)
        else:
            curves = _nobody(rows, len(found.labels))
            lower = upper = np.full(curves.incidence.shape, np.nan)
        beside = _values(by_spell, g)
        parts += _curve_rows(group, found.labels, curves, lower, upper, beside)
    return _beside(frame_of("weighted_incidence", parts), parts, by_spell)


def _nobody(rows: CauseRows, n_kinds: int) -> WeightedIncidence:
    """Curves of a group that nobody has left: 0, without limits, to its last day."""
    time = np.array([rows.duration.max()])
    nothing = np.zeros((n_kinds, 1))
    return WeightedIncidence(time, nothing, nothing, np.full((n_kinds, 1), np.inf))


def _rows(spells: pd.DataFrame, last: float, *, clustered: bool) -> CauseRows:
    """Spells as rows of one outcome, followed to the horizon."""
    entry = spells["entry"].to_numpy()
    held = entry < last
    spells, entry = spells[held], entry[held]
    duration = spells["duration"].to_numpy()
    outcome = (spells["churned"].to_numpy() & (duration <= last)).astype(np.int64)
    users = spells.groupby("user_id", sort=False).ngroup().to_numpy(dtype=np.int64) if clustered else None
    short = np.minimum(duration, last).astype(np.int64)
    return CauseRows(short, outcome, entry if (entry > 0).any() else None, cluster=users)


def _curve_rows(
    group: str, labels: Sequence[str], curves: Any, lower: Any, upper: Any, beside: dict[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    for k, reason in enumerate(labels):
        common = {"group": group, "cause": reason, **beside}
        if curves.time.size == 0 or curves.time[0] > 0:
            rows.append({**common, "time": 0, "incidence": 0.0, "std_error": 0.0, "lower": 0.0, "upper": 0.0})
        columns = zip(curves.time.tolist(), curves.incidence[k], curves.std_error[k], lower[k], upper[k], strict=True)
        names = ("time", "incidence", "std_error", "lower", "upper")
        rows += [{**common, **dict(zip(names, values, strict=True))} for values in columns]
    return rows


def _beside(frame: pd.DataFrame, rows: Sequence[dict[str, Any]], by: Factor) -> pd.DataFrame:
    """Put the columns of `by` beside those of the schema."""
    for name in _values(by, 0):
        frame[name] = [row[name] for row in rows]
    return frame


def _values(by: Factor, g: int) -> dict[str, Any]:
    """Values of the columns that make a group."""
    table: pd.DataFrame = by.values  # noqa: PD011 - a field of that name, not the array of a frame
    # a sole column of the name "group" says what the column of that name says already
    return {str(name): table[name].iloc[g] for name in table.columns if name != "group"}
