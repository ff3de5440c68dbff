"""What a report is made of: the results as they came, and look-ups in their tables. Nothing is estimated here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.report.catalogue import Catalogue
from churnsurv.report.numbers import exists

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENOUGH", "Curves", "Material", "Point", "Ratio", "ratios"]

DAYS = (30, 60, 90, 180)
#: Rows below which a group is not called the lowest or the highest: of many tiny groups one always is.
ENOUGH = 30


@dataclass(frozen=True, slots=True)
class Point:
    """An estimate and its interval."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A hazard ratio of the model."""

    term: str
    variable: str
    category: str | None
    reference: str | None
    point: Point
    p_value: float


class Curves:
    """Survival curves, read by group and day.

    Parameters
    ----------
    result : SurvivalCurves, or anything with its table, level, last_day and median
    """

    __slots__ = ("_by_group", "_medians", "last_day", "level", "result", "table")

    def __init__(self, result: Any) -> None:
        self.result = result
        self.table: pd.DataFrame = result.table
        self.level = float(result.level)
        self._by_group = {
            str(group): rows.sort_values("time", kind="stable")
            for group, rows in self.table.groupby("group", sort=False, observed=True)
        }
        self.last_day = {group: float(dict(result.last_day)[group]) for group in self._by_group}
        self._medians = {
            str(row["group"]): Point(row["time"], row["lower"], row["upper"])
            for row in result.median.to_dict("records")
        }

    @property
    def groups(self) -> list[str]:
        """The groups, in the order of the table."""
        return list(self._by_group)

    def median(self, group: str) -> Point:
        """Day by which half have churned; NaN where that is not reached."""
        return self._medians[group]

    def at(self, group: str, day: float) -> Point | None:
        """Survival on a day; None beyond the last day on which the group was followed, unless all had churned."""
        rows = self._by_group[group]
        if day > self.last_day[group] and float(rows["survival"].iloc[-1]) > 0:
            return None
        row = int(np.searchsorted(rows["time"].to_numpy(dtype=np.float64), day, side="right")) - 1
        if row < 0 or (day > 0 and float(rows["survival"].iloc[row]) == 1):
            return Point(1.0, np.nan, np.nan)  # nobody has churned: limits would be a statement about the formula
        return Point(*(float(rows[name].iloc[row]) for name in ("survival", "lower", "upper")))

    def n(self, group: str) -> float:
        """Rows of the group that were ever at risk."""
        rows = self._by_group[group]
        return float(rows["n_events"].sum() + rows["n_censored"].sum())

    def n_churned(self, group: str) -> float:
        """Churns of the group."""
        return float(self._by_group[group]["n_events"].sum())

    def at_risk(self, day: float) -> float:
        """Rows of all groups at risk just before a day."""
        total = 0.0
        for rows in self._by_group.values():
            place = int(np.searchsorted(rows["time"].to_numpy(dtype=np.float64), day, side="left"))
            total += float(rows["n_at_risk"].iloc[place]) if place < len(rows) else 0.0
        return total

    @property
    def ranked(self) -> list[str]:
        """The groups that may be called lowest or highest: those with enough rows, where there are two such."""
        large = [group for group in self.groups if self.n(group) >= ENOUGH]
        return large if len(large) > 1 else self.groups

    def extremes(self, day: float) -> tuple[str, Point, str, Point] | None:
        """The groups with the lowest and the highest survival on a day, among those ranked and followed so far."""
        known = {group: point for group in self.ranked if (point := self.at(group, day)) is not None}
        if len(known) < 2:
            return None
        low = min(known, key=lambda group: known[group].estimate)
        high = max(known, key=lambda group: known[group].estimate)
        return low, known[low], high, known[high]

    def shown_until(self) -> float:
        """Last day drawn: while one in a hundred (and ten) of those ever at risk are still at risk."""
        end = max(self.last_day.values())
        enough = max(10.0, 0.01 * sum(self.n(group) for group in self.groups))
        days = [day for day in np.arange(30.0, end, 30.0) if self.at_risk(day) >= enough]
        return min(end, (max(days) if days else 0.0) + 30.0)


@dataclass(frozen=True, slots=True)
class Material:
    """The arguments of `build`, checked and unwrapped once."""

    words: Catalogue
    config: Mapping[str, Any]
    check: pd.DataFrame | None
    log: Mapping[str, Any]
    rejects: pd.DataFrame | None
    counts: Mapping[str, Any]
    spells: Mapping[str, Any]
    curves: Mapping[str, Curves]
    tests: Mapping[str, Any]
    cox: Any
    sweep: Any
    provenance: Mapping[str, Any]
    notes: Sequence[str]
    lifecycle: Any = None
    structure: Any = None
    profile: Any = None
    spell_profile: Any = None
    bursts: Any = None
    channels: Any = None
    reasons: Any = None
    reasons_by: Any = None
    experience: Any = None
    monitor: Any = None
    shocks: Any = None
    idle_risk: Any = None
    idle_risk_by: Any = None
    tiers: Any = None
    value_by_day: pd.DataFrame | None = None
    risk_surface: Any = None
    tier_timeline: pd.DataFrame | None = None
    backtest: Any = None
    alerts: Any = None
    lift: Any = None
    lift_groups: Any = None
    lift_monitors: Mapping[str, Any] = field(default_factory=dict)
    absent: Sequence[str] = ()

    @property
    def idle_days(self) -> int | None:
        """The churn rule's days without activity."""
        days = _get(self.rule, "idle_days")
        return None if days is None else int(days)

    @property
    def rule(self) -> Any:
        """The churn rule, a mapping or an object with `idle_days` and `activity`."""
        return self.log.get("rule", self.spells.get("rule", {}))

    @property
    def activity(self) -> list[str] | None:
        """The kinds of event that count as activity; None: every kind."""
        kinds = _get(self.rule, "activity")
        return None if kinds is None or kinds == "all" else [str(kind) for kind in kinds]

    @property
    def noun(self) -> str:
        """What a row is: users, or spells where returns are among them."""
        return self.words.text("noun.spells" if self.spells.get("spells") == "all" else "noun.users")

    @property
    def counted_noun(self) -> str:
        """What a row is, behind a number: with its measure word in languages that have them."""
        return self.words.text("noun.spells.counted" if self.spells.get("spells") == "all" else "noun.users.counted")

    @property
    def overall(self) -> Curves | None:
        """The curve of all users, where there is one."""
        return next((curves for curves in self.curves.values() if curves.groups == ["all"]), None)

    @property
    def split(self) -> Mapping[str, Curves]:
        """Curves by group."""
        return {label: curves for label, curves in self.curves.items() if curves.groups != ["all"]}

    @property
    def level(self) -> str:
        """The confidence level, such as "95%"."""
        levels = [curves.level for curves in self.curves.values()]
        levels += [float(_get(result, "level")) for result in (self.cox, self.sweep) if _get(result, "level")]
        return f"{100 * (levels[0] if levels else 0.95):g}%"

    @property
    def horizon(self) -> int:
        """The day on which shares are compared."""
        told = _get(self.sweep, "horizon") or _get(self.config.get("report", {}), "horizon")
        return int(told or 90)

    @property
    def days(self) -> list[int]:
        """The days of the tables of curves."""
        return sorted({*DAYS, self.horizon})


def _get(holder: Any, key: str) -> Any:
    """A field of a mapping or of an object; None where it has none."""
    return holder.get(key) if isinstance(holder, Mapping) else getattr(holder, key, None)


def ratios(table: pd.DataFrame) -> list[Ratio]:
    """Return the rows of a table of schema "cox" that have an estimate."""
    return [
        Ratio(
            term=str(row["term"]),
            variable=str(row["variable"]),
            category=str(row["category"]) if exists(row["category"]) else None,
            reference=str(row["reference"]) if exists(row["reference"]) else None,
            point=Point(*(float(row[name]) for name in ("hazard_ratio", "hr_lower", "hr_upper"))),
            p_value=float(row["p_value"]),
        )
        for row in table.to_dict("records")
        if exists(row["hazard_ratio"])
    ]
