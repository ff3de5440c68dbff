"""How likely a user who has been idle for so many days churns, and on which idle day that crosses a stated risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.errors import InputError
from churnsurv.notes import note
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result
from churnsurv.tables.said import said_group, said_list
from churnsurv.warning.idle_groups import OTHER, By, Groups, by_of, groups_of
from churnsurv.warning.idle_tables import (
    Curve,
    Slope,
    crossing,
    crossings,
    curves_of,
    drift,
    idle_table,
    login_intervals,
)
from churnsurv.warning.value_by_day import value_by_day

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog, ChurnRule, Feature
    from churnsurv.warning.objectives import Value

__all__ = ["IdleRisk", "idle_risk"]

_MONTHS = {"quarter": 3, "month": 1}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class IdleRisk(Result):
    """P(churn | idle for d days) by group, with its uncertainty; made by `idle_risk`.

    Attributes
    ----------
    by : tuple of str
        What the groups are made by.
    groups : tuple of str
        Their labels.
    starts : {"mature", "all"}
        Which gaps were taken.
    probabilities : tuple of float
        Those that the crossings are told for.
    level : float
        Confidence level of all limits.
    n_gaps, n_churned, n_registration_gaps : int
        Gaps taken; those of them seen to end in churn; those that began at registration.
    n_blocks : int
        Groups of users that standard errors are computed from; one user each where there are few.
    first_start, last_start : date
        The days on which these gaps could begin.
    drift_per_year : float or None
        Change a year of P(gap > idle_days) of later gaps; None with fewer than three periods, or without.
    drift_lower, drift_upper : float or None
        Its limits.
    rule : ChurnRule
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "idle_risk"

    by: tuple[str, ...]
    groups: tuple[str, ...]
    starts: str
    probabilities: tuple[float, ...]
    level: float
    n_gaps: int
    n_churned: int
    n_registration_gaps: int
    n_blocks: int
    first_start: date
    last_start: date
    drift_per_year: float | None
    drift_lower: float | None
    drift_upper: float | None
    rule: ChurnRule
    notes: tuple[str, ...]
    _overall: str
    _table: pd.DataFrame
    _crossings: pd.DataFrame
    _intervals: pd.DataFrame
    _drift: pd.DataFrame
    _curves: tuple[Curve, ...]
    _groups: Groups

    @property
    def table(self) -> pd.DataFrame:
        """One row for each group and idle day; schema "idle_risk", and the columns of `by`."""
        return self._table.copy()

    @property
    def crossings(self) -> pd.DataFrame:
        """The idle day on which churn reaches each probability; schema "idle_risk_crossings"."""
        return self._crossings.copy()

    @property
    def intervals(self) -> pd.DataFrame:
        """Days between active days of users who came back before churn; schema "login_intervals"."""
        return self._intervals.copy()

    @property
    def drift(self) -> pd.DataFrame:
        """The risk by the period in which the gaps began; schema "idle_risk_drift"."""
        return self._drift.copy()

    def value(self, worth: Value, *, variants: bool = False) -> pd.DataFrame:
        """Say what it is worth to contact everybody who is still silent on idle day 1, 2, ...; schema "value_by_day".

        Parameters
        ----------
        worth : Value
            What a saved user brings, what a contact costs, and how many a contact saves on which idle day.
        variants : bool
            Also with the saving curves of ``worth.saving.variants()``, named in the column `saving`.

        Returns
        -------
        DataFrame
            Net benefit per 1,000 gaps of the group, V s(d) S(idle_days) - c S(d) times 1,000, one contact a gap, with
            limits that are clustered by user and hold for each day alone; and the columns of `by`. `best` marks the
            day of the highest value, no day where contacting nobody is better.

        Raises
        ------
        InputError
            If `worth` is no ``ch.Value``, or its saving does not fall over the idle days.

        Examples
        --------
        >>> import churnsurv as ch
        >>> worth = ch.Value(saved_value=40, contact_cost=1, saving=ch.Saving.plateau(top=0.15, middle=20, width=3))
        >>> by_day = idle_risk(ch.simulate_app(500, seed=1).log).value(worth)
        >>> by_day.loc[by_day["best"], ["registration_gap", "idle_day", "value"]].round(0)
            registration_gap  idle_day  value
        14             False        15  255.0
        40              True        12  799.0
        """
        return value_by_day(self._curves, self._groups, worth, variants=variants, level=self.level)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the risk over idle days with its intervals and crossings; see `churnsurv.plots.idle_risks`."""
        from churnsurv.plots.idle_risks import idle_risk as draw

        axes: Axes = draw(self.table, ax, crossings=self.crossings, level=self.level)
        return axes

    def _headline(self) -> str:
        return f"{self._overall}; {self.n_gaps:,} gaps begun {self.first_start} to {self.last_start}; {self.rule}"

    def _facts(self) -> dict[str, Any]:
        tables = {"crossings": self._crossings, "intervals": self._intervals, "drift": self._drift}
        plain = (
            *("by", "groups", "starts", "probabilities", "level", "n_gaps", "n_churned", "n_registration_gaps"),
            *("n_blocks", "first_start", "last_start", "drift_per_year", "drift_lower", "drift_upper", "notes"),
        )
        return {
            **{name: getattr(self, name) for name in plain},
            "rule": {"idle_days": self.rule.idle_days, "activity": self.rule.activity},
            **{what: {str(name): t[name].tolist() for name in t.columns} for what, t in tables.items()},
        }


def idle_risk(
    log: ActivityLog,
    by: str | Feature | Sequence[str | Feature] | Mapping[str, Sequence[float] | None] | None = None,
    *,
    starts: Literal["mature", "all"] = "mature",
    probabilities: Sequence[float] = (0.25, 0.5, 0.75),
    period: Literal["quarter", "month"] | None = "quarter",
    min_gaps: int = 200,
    level: float = 0.95,
) -> IdleRisk:
    """Say how likely churn is for users who have been idle for 0, 1, 2, ... days.

    A gap runs from an active day to the next one. With S(d) = P(gap > d), a user who has been idle for d days churns
    with probability S(idle_days) / S(d): churn is a gap longer than the idle days of the rule. Gaps that begin at
    registration are told apart, since most users who never come to life leave in them.

    Parameters
    ----------
    log : ActivityLog
    by : str, Feature, sequence of them, or mapping, optional
        Attributes of the users, or features as of the end of the gap's first day ("stage", ...), one group for each
        value; ``{"balance": (100, 1000)}`` makes groups of bands, and None instead of cuts takes values as they are.
    starts : {"mature", "all"}
        Gaps that began at least idle_days before the end of the log: all is known of them, and probabilities are
        plain shares. Or all gaps, those cut off by the end of the log included, by Kaplan and Meier's estimate.
    probabilities : sequence of float
        Risks whose idle day is asked for, between 0 and 1.
    period : {"quarter", "month"}, optional
        How finely the drift of the risk over calendar time is told.
    min_gaps : int
        Groups of fewer gaps are pooled as "other", with a note.
    level : float
        Confidence level of all limits.

    Returns
    -------
    IdleRisk
        ``.table``, schema "idle_risk"; ``.crossings``, ``.intervals`` (how long users stay away who come back) and
        ``.drift``. Standard errors are linearised over blocks of users, so that the many gaps of one user count as
        what they are (Greenwood's and the binomial formula take gaps to be independent); limits are symmetric on the
        logit scale and hold for each day alone. Limits of crossings are the days on which the interval of the
        curve holds the probability.

    Raises
    ------
    InputError
        If no gap ended in churn, the log is shorter than twice the idle days, or an argument is not understood.

    Examples
    --------
    >>> import churnsurv as ch
    >>> risk = idle_risk(ch.simulate_app(500, seed=1).log)
    >>> later = risk.table[~risk.table["registration_gap"]].set_index("idle_days")["churn"]
    >>> later.loc[[0, 10, 20]].round(2).tolist()
    [0.1, 0.22, 0.63]
    """
    level, wanted, split = check_level(level), _probabilities(probabilities), by_of(by)
    if isinstance(min_gaps, bool) or not isinstance(min_gaps, (int, np.integer)) or min_gaps < 1:
        raise InputError(f"min_gaps is a whole number of gaps, 1 or more; it is {min_gaps!r}.")
    if period is not None and period not in _MONTHS:
        raise InputError(f"period is 'quarter', 'month' or None; it is {period!r}.")
    _require_length(log)
    counts = gap_counts(
        log,
        grids=split.grids,
        by=[name for name in split.names if name not in split.grids],
        features=split.features,
        starts=starts,
        period=period,
    )
    return risk_of_counts(counts, split, log.rule, wanted=wanted, period=period, min_gaps=int(min_gaps), level=level)


def risk_of_counts(
    counts: GapCounts,
    split: By,
    rule: ChurnRule,
    *,
    wanted: tuple[float, ...],
    period: str | None,
    min_gaps: int,
    level: float,
) -> IdleRisk:
    """Estimate the idle risk from counted gaps.

    Raises
    ------
    InputError
        If there is no gap, or none that ended in churn.
    """
    n_gaps, churned = int(counts.n.sum()), int(counts.n[counts.duration > counts.idle_days].sum())
    if churned == 0:
        raise InputError(
            f"Nobody churned: none of the {n_gaps:,} gaps begun {counts.first_start} to {counts.last_start} lasted for "
            f"more than {counts.idle_days} days. Take a longer log, or a rule of fewer idle days."
        )
    groups = groups_of(counts, split.names, least=min_gaps)
    curves = curves_of(counts, groups, level=level)
    all_gaps = Groups(np.zeros_like(groups.codes), ("all",), groups.beside.iloc[:1], None)
    overall = curves_of(counts, all_gaps, level=level) if len(groups.labels) > 1 else curves
    told, slope = drift(counts, months=_MONTHS[period], level=level) if period else (_no_drift(), None)
    return IdleRisk(
        by=split.names,
        groups=groups.labels,
        starts=counts.starts,
        probabilities=wanted,
        level=level,
        n_gaps=n_gaps,
        n_churned=churned,
        n_registration_gaps=int(counts.n[counts.registration_gap].sum()),
        n_blocks=counts.n_blocks,
        first_start=counts.first_start,
        last_start=counts.last_start,
        drift_per_year=None if slope is None else slope.estimate,
        drift_lower=None if slope is None else slope.lower,
        drift_upper=None if slope is None else slope.upper,
        rule=rule,
        notes=tuple(_notes(counts, groups, curves, wanted, slope, level)),
        _overall=_overall(overall, wanted),
        _table=idle_table(curves, groups, level=level),
        _crossings=crossings(curves, groups, wanted),
        _intervals=login_intervals(curves, groups, level=level),
        _drift=told,
        _curves=curves,
        _groups=groups,
    )


def _no_drift() -> pd.DataFrame:
    import pandas as pd

    from churnsurv.tables import schema

    return pd.DataFrame(columns=list(schema("idle_risk_drift").names))


def _probabilities(probabilities: Any) -> tuple[float, ...]:
    wanted = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    if wanted.ndim != 1 or wanted.size == 0 or not ((wanted > 0) & (wanted < 1)).all():
        raise InputError(f"probabilities lie between 0 and 1, such as (0.25, 0.5); got {probabilities!r}.")
    return tuple(sorted({float(p) for p in wanted}))


def _require_length(log: ActivityLog) -> None:
    first, last, idle = log.observed_from, log.observed_until, log.rule.idle_days
    n_days = (last - first).days + 1
    if n_days < 2 * idle:
        raise InputError(
            f"The log covers {n_days} days ({first} to {last}); for the risk of idle days it must cover twice the "
            f"{idle} idle days of the rule. Take a longer log, or a rule of fewer idle days."
        )


# ---------------------------------------------------------------------------------------------------------------- words


def _overall(curves: Sequence[Curve], wanted: Sequence[float]) -> str:
    """The line on all groups together: on later gaps, or on registration gaps where there are no others."""
    shares = {curve.registration_gap: f"{100 * curve.churn.estimate[0]:.1f} %" for curve in curves}
    said = [f"{shares[False]} of gaps end in churn"] if False in shares else []
    if True in shares:
        said.append(f"{shares[True]} of those that begin at registration{'' if said else ' end in churn'}")
    curve = min(curves, key=lambda each: each.registration_gap)
    told = []
    for p in wanted:
        day, lower, upper = crossing(curve.churn.estimate, curve.lower, curve.upper, p)
        if not np.isnan(day):
            told.append(f"{100 * p:g} % on idle day {day:.1f}{_range(lower, upper)}")
    which = "risk of the former" if len(shares) == 2 else "risk"
    return f"{', '.join(said)}; the {which} reaches {', '.join(told)}" if told else ", ".join(said)


def _range(lower: float, upper: float) -> str:
    if np.isnan(lower):
        return ""
    return f" ({lower:.1f} or later)" if np.isnan(upper) else f" ({lower:.1f} to {upper:.1f})"


def _notes(
    counts: GapCounts,
    groups: Groups,
    curves: Sequence[Curve],
    wanted: Sequence[float],
    slope: Slope | None,
    level: float,
) -> list[str]:
    idle = counts.idle_days
    notes: list[str] = [
        note(
            "Gaps that began by {last}, {days} days before the end of the log: what became of them is known.",
            last=counts.last_start,
            days=idle,
        )
        if counts.starts == "mature"
        else note("All gaps that began by {last}; those that the log cuts off are censored.", last=counts.last_start)
    ]
    notes += [groups.note] if groups.note else []
    above = [_where(groups, curve) for curve in curves if curve.churn.estimate[0] > min(wanted)]
    if above:
        told = said_list(above[:6])
        if len(above) > 6:
            told = note("{some} and {n} more", some=told, n=len(above) - 6)
        notes.append(
            note(
                "The risk begins above {risk} % and has no crossing there: {groups}.",
                risk=f"{100 * min(wanted):g}",
                groups=told,
            )
        )
    if slope is not None:
        low, high = sorted((slope.lower, slope.upper))
        notes.append(
            note(
                "P(gap > {days}) of later gaps moved by {change} points a year ({low} to {high} at {level} %), "
                "{changed}.",
                days=idle,
                change=f"{100 * slope.estimate:+.2f}",
                low=f"{100 * low:+.2f}",
                high=f"{100 * high:+.2f}",
                level=f"{100 * level:g}",
                changed=note("by chance alone") if low <= 0 <= high else note("more than chance explains"),
            )
        )
    return notes


def _where(groups: Groups, curve: Curve) -> str:
    """The group of a curve, and whether its gaps begin at registration."""
    label = said_group(groups.labels[curve.group]) if len(groups.beside.columns) else note("all")
    if label == OTHER and groups.note is not None:
        label = note("other")
    return note("{group} at registration", group=label) if curve.registration_gap else label
