"""Registration bursts: days and weeks with more registrations than expected, whose they were, and how they churn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from churnsurv.diagnosis.burst_users import ANY, group_shares, hazard_ratios, users_frame
from churnsurv.diagnosis.calendar import match_note, matching, read_calendar
from churnsurv.diagnosis.registrations import Search, search_bursts
from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import InputError, require_columns
from churnsurv.notes import note
from churnsurv.numerics.count_tails import tail_quantile
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.survival.multiplicity import check_adjust
from churnsurv.tables import Result, schema
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["CohortBursts", "cohort_bursts"]

_UNITS: Mapping[str, tuple[str, ...]] = {"day": ("day",), "week": ("week",), "both": ("day", "week")}
_METHODS: Mapping[str, str] = {
    str(method): method
    for method in (note("holm"), note("bonferroni"), note("hommel"), note("fdr_bh"), note("fdr_by"), note("none"))
}
_FEWEST_DAYS, _FEWEST_USERS = 14, 30


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CohortBursts(Result):
    """Bursts of registrations and the churn of their users; made by `cohort_bursts`.

    Attributes
    ----------
    unit : {"day", "week", "both"}
    by : str or None
        The column whose groups are counted in each burst, and for which hazard ratios are adjusted.
    alpha : float
        A day or week belongs to a burst where its adjusted p-value is at most this.
    adjust : str
        How p-values are adjusted for the number of days and weeks.
    tolerance : int
        Days by which an event of the calendar may miss a burst.
    level : float
        Of the intervals.
    first_day, last_day : datetime.date
        The days studied: from the first registration of the log to the last.
    n_users : int
        Users registered on these days.
    n_churned : int
        First spells of them that churned.
    dispersion : float
        a in the variance m + a m^2 of the registrations of a day with mean m.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "cohort_bursts"

    unit: str
    by: str | None
    alpha: float
    adjust: str
    tolerance: int
    level: float
    first_day: date
    last_day: date
    n_users: int
    n_churned: int
    dispersion: float
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _days: pd.DataFrame
    _weeks: pd.DataFrame
    _groups: pd.DataFrame
    _hazard: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each burst, in the order of days."""
        return self._table.copy()

    @property
    def days(self) -> pd.DataFrame:
        """Every day with its registrations and what was expected; schema "registrations_by_day"."""
        return self._days.copy()

    @property
    def weeks(self) -> pd.DataFrame:
        """Every week, without its burst days; schema "registrations_by_week". Empty where no weeks were asked about."""
        return self._weeks.copy()

    @property
    def groups(self) -> pd.DataFrame:
        """How many users of each group registered in each burst; schema "burst_groups". Empty without `by`."""
        return self._groups.copy()

    @property
    def hazard(self) -> pd.DataFrame:
        """Hazard ratios of users registered in bursts against all others; schema "cox".

        First the model of `any burst`, with the groups of `by`; then the bursts of the model that tells them apart. An
        association: users of a burst may differ from others in much that is not in the model.
        """
        return self._hazard.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw registrations by day with their expectation, bursts marked; see `churnsurv.plots.bursts`."""
        from churnsurv.plots.bursts import cohort_bursts as draw

        axes: Axes = draw(self._days, ax, bursts=self._table, level=self.level)
        return axes

    def _facts(self) -> dict[str, Any]:
        names = ("unit", "by", "alpha", "adjust", "tolerance", "level", "first_day", "last_day", "n_users")
        mine = {name: getattr(self, name) for name in (*names, "n_churned", "dispersion", "notes")}
        tables = {"hazard": self._hazard, "groups": self._groups}
        return {**mine, **{name: table.to_dict("list") for name, table in tables.items()}}

    def _headline(self) -> str:
        if self._table.empty:
            return f"no burst among the registrations of {self.n_users:,} users, {self.first_day} to {self.last_day}"
        n, bursts = int(self._table["registrations"].sum()), len(self._table)
        days = int(self._days["burst"].sum())
        said = (
            f"{bursts} burst{'s' if bursts > 1 else ''} on {days} of {len(self._days):,} days hold {n:,} of "
            f"{self.n_users:,} registrations, {self._table['expected'].sum():,.0f} expected"
        )
        ratio = self._hazard[self._hazard["category"] == ANY]
        if ratio.empty:
            return said
        row = ratio.iloc[0]
        limits = f"{row['hr_lower']:.2f} to {row['hr_upper']:.2f}"
        return f"{said}; churn hazard of their users {row['hazard_ratio']:.2f} ({limits}) times that of others"


def cohort_bursts(
    log: ActivityLog,
    *,
    unit: str = "both",
    calendar: Any = None,
    tolerance: int = 3,
    by: str | None = "channel",
    min_users: int = 30,
    alpha: float = 0.05,
    adjust: str = "fdr_bh",
    ties: Literal["efron", "breslow", "grouped"] = "efron",
    level: float = 0.95,
) -> CohortBursts:
    """Find days and weeks with more registrations than weekday and season explain.

    Parameters
    ----------
    log : ActivityLog
        Registrations on days of its clock, from `observed_from` on.
    unit : {"both", "day", "week"}
        What may stand out. With both, each gets half of `alpha`, and a week is judged without its burst days. Weeks
        begin on Monday; fewer than 8 don't say how much weeks vary.
    calendar : table, optional
        Events to match with bursts: `name`; `date`, or `start` and `end` (also `first` and `last`), both included; and
        perhaps `kind`, such as campaign or holiday.
    tolerance : int
        An event matches a burst that it overlaps, or misses by at most so many days.
    by : str or None
        A column of the users: counted in each burst, and adjusted for in the hazard ratio. "channel" is left out where
        there is no such column.
    min_users : int
        Groups of `by` with fewer users are pooled as "other", bursts with fewer as "other bursts" in the hazard ratios.
    alpha : float
        Bursts have an adjusted p-value of at most this.
    adjust : {"fdr_bh", "fdr_by", "holm", "bonferroni", "hommel", "none"}
        By default the share of false ones among the bursts found is held.
    ties : {"efron", "breslow", "grouped"}
        Of the Cox models, as in `churnsurv.cox`.
    level : float
        Of the intervals.

    Returns
    -------
    CohortBursts
        `.table` has schema "cohort_bursts". The expectation is a negative binomial regression (see
        `churnsurv.diagnosis.registrations`) on the days that are no bursts. `excess_lower, excess_upper` count the
        chance variation of the registrations that would have come anyway, and the error of their estimate. A burst has
        the smallest p-value of its days and weeks.

    Raises
    ------
    InputError
        If there are fewer than 14 days or 30 registrations, the calendar cannot be read, or an argument is not
        understood.
    ConvergenceError
        If so many days stand out that nothing is left to compare with.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> days = np.repeat(np.arange(90), np.where((np.arange(90) >= 40) & (np.arange(90) < 45), 20, 5))
    >>> users = pd.DataFrame({"user_id": np.arange(days.size), "registered_at": pd.Timestamp("2024-01-01")
    ...     + pd.to_timedelta(days, unit="D")})
    >>> events = pd.DataFrame({"user_id": [0], "event_at": ["2024-06-30"], "kind": ["login"]})
    >>> spring = pd.DataFrame({"name": ["spring"], "start": ["2024-02-09"], "end": ["2024-02-14"]})
    >>> found = cohort_bursts(ActivityLog(events, users), calendar=spring)
    >>> found.table[["start", "end", "registrations", "expected", "event"]].round(6)
           start        end  registrations  expected   event
    0 2024-02-10 2024-02-14            100      25.0  spring
    """
    level = check_level(level)
    check_adjust(adjust)
    units = _checked(unit, tolerance, min_users, alpha)
    users = log.churn_spells().table
    notes: list[str] = []
    column = _grouping(users, by, notes)
    first, counts = _by_day(users, log, notes)
    search = search_bursts(counts, first, units=units, alpha=alpha, adjust=adjust, level=level)
    events = read_calendar(calendar)
    bursts = [_burst(run, search, counts, first, level) for run in _runs(search.burst)]
    for burst in bursts:
        burst |= matching(burst["start"], burst["end"], events, tolerance)
    frame = users_frame(users, bursts, column, min_users, notes)
    hazard = hazard_ratios(frame, bursts, column, min_users=min_users, ties=ties, level=level, notes=notes)
    notes[:0] = _model_notes(search, units, adjust, alpha)
    notes += match_note(events, bursts, tolerance, first, counts.size)
    return CohortBursts(
        unit, column, alpha, adjust, tolerance, level, first, first + timedelta(days=counts.size - 1),
        int(counts.sum()), int(users["churned"].sum()), search.extra, tuple(notes),
        frame_of("cohort_bursts", bursts), _days(search, counts, first), _weeks(search, counts, first, units),
        group_shares(frame, bursts, column, level), hazard,
    )  # fmt: skip


def _checked(unit: str, tolerance: int, min_users: int, alpha: float) -> tuple[str, ...]:
    if unit not in _UNITS:
        raise InputError(f"unit is 'day', 'week' or 'both'; it is {unit!r}.")
    for name, value, least in (("tolerance", tolerance, 0), ("min_users", min_users, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}; it is {value!r}.")
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        raise InputError(f"alpha must lie between 0 and 1, such as 0.05; it is {alpha!r}.")
    return _UNITS[unit]


def _grouping(users: pd.DataFrame, by: str | None, notes: list[str]) -> str | None:
    """The column to group by; the default one only where it is there."""
    if by == "channel" and by not in users.columns:
        notes.append(note("The users have no column 'channel': hazard ratios are not adjusted for it."))
        return None
    if by is None:
        return None
    if not isinstance(by, str):
        raise InputError(f"by is one column of the users, or None; it is {by!r}.")
    taken = {*schema("spells").names, "registered_at", "burst"}
    require_columns("users", [by], [name for name in users.columns if name not in taken])
    return by


def _by_day(users: pd.DataFrame, log: ActivityLog, notes: list[str]) -> tuple[date, NDArray[np.int64]]:
    """Registrations of each day from the first one to the last."""
    if len(users) < _FEWEST_USERS:
        raise InputError(
            f"{counted(len(users), 'user')} registered from {log.observed_from} to {log.observed_until}; at least "
            f"{_FEWEST_USERS} are needed to tell a burst from chance."
        )
    ordinal = users["origin"].to_numpy().astype("datetime64[D]").astype(np.int64)
    counts = np.bincount(ordinal - ordinal.min())
    first = date(1970, 1, 1) + timedelta(days=int(ordinal.min()))
    last = first + timedelta(days=counts.size - 1)
    if counts.size < _FEWEST_DAYS:
        raise InputError(
            f"Registrations run from {first} to {last}, {counts.size} days; at least {_FEWEST_DAYS} are needed to tell "
            "a burst from chance, and 28 to know what a weekday is like."
        )
    early = log.counts["users"] - len(users)
    if early:
        notes.append(
            note(
                "{users} registered before the first day of the log, {first}: left out.",
                users=counted(early, "user"),
                first=log.observed_from,
            )
        )
    quiet = (log.observed_until - last).days + (first - log.observed_from).days
    if quiet > 7:
        notes.append(
            note(
                "Nobody registered before {first} or after {last}: {days} days of the log at its ends are left out.",
                first=first,
                last=last,
                days=quiet,
            )
        )
    return first, counts.astype(np.int64)


def _runs(burst: NDArray[np.bool_]) -> list[slice]:
    """Runs of consecutive burst days."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], burst, [False]])))
    return [slice(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _burst(run: slice, search: Search, counts: NDArray[np.int64], first: date, level: float) -> dict[str, Any]:
    """One row of the table: what came, what was expected, and how sure that is."""
    rows = np.zeros(counts.size, dtype=bool)
    rows[run] = True
    mean, extra = (np.array([value]) for value in search.spread(rows))
    n = int(counts[run].sum())
    low, high = (float(tail_quantile(p, mean, extra)[0]) for p in ((1 - level) / 2, (1 + level) / 2))
    weeks = np.unique(search.design.week[run])
    weeks = weeks[search.week_burst[weeks]]
    days = np.flatnonzero(rows & search.day_burst)
    p_value = [*search.day_p[days], *search.week_p[weeks]]
    adjusted = [*search.day_adjusted[days], *search.week_adjusted[weeks]]
    return {
        "start": first + timedelta(days=run.start),
        "end": first + timedelta(days=run.stop - 1),
        "unit": "week" if weeks.size else "day",
        "registrations": n,
        "expected": float(mean[0]),
        "excess": n - float(mean[0]),
        "excess_lower": n - high,
        "excess_upper": n - low,
        "ratio": n / float(mean[0]),
        "p_value": float(min(p_value)),
        "adjusted_p_value": float(min(adjusted)),
    }


def _days(search: Search, counts: NDArray[np.int64], first: date) -> pd.DataFrame:
    import pandas as pd

    day = np.datetime64(first, "s") + np.arange(counts.size) * np.timedelta64(86_400, "s")
    return pd.DataFrame(
        {
            "date": day, "registrations": counts, "expected": search.expected, "lower": search.lower,
            "upper": search.upper, "p_value": search.day_p, "adjusted_p_value": search.day_adjusted,
            "burst": search.burst, "reference": search.reference,
        }
    )  # fmt: skip


def _weeks(search: Search, counts: NDArray[np.int64], first: date, units: Iterable[str]) -> pd.DataFrame:
    """Each week over the days that were judged with it: all but its burst days."""
    if "week" not in units or np.isnan(search.week_p).all():
        return frame_of("registrations_by_week", [])
    rows = []
    for week in range(search.design.n_weeks):
        inside = np.flatnonzero(search.design.week == week)
        judged = inside[~search.day_burst[inside]]
        rows.append({
            "start": first + timedelta(days=int(inside[0])), "end": first + timedelta(days=int(inside[-1])),
            "n_days": judged.size, "registrations": int(counts[judged].sum()),
            "expected": float(search.expected[judged].sum()), "p_value": search.week_p[week],
            "adjusted_p_value": search.week_adjusted[week], "burst": bool(search.week_burst[week]),
        })  # fmt: skip
    return frame_of("registrations_by_week", rows)


def _model_notes(search: Search, units: tuple[str, ...], adjust: str, alpha: float) -> Iterator[str]:
    yield note(
        "Expected registrations: a negative binomial regression on {terms}, of the {days} days without bursts; "
        "variance m + {extra} m² of a day with mean m. P-values are its upper tail, the estimates' own error counted "
        "in.",
        terms=said_list(search.design.said),
        days=f"{int(search.reference.sum()):,}",
        extra=f"{search.extra:.3g}",
    )
    if "the day of the week" not in search.design.said:
        yield note(
            "Weekdays are not told apart: that takes 28 days and 100 registrations. What they do counts as chance "
            "variation, so that only large bursts are found."
        )
    if "week" in units and np.isnan(search.week_p).all():
        yield note("Weeks were not judged: fewer than 8 of them don't say how much weeks vary.")
    shared = len(units) == 2 and not np.isnan(search.week_p).all()
    yield note(
        "P-values are adjusted by {method}; bursts have at most {alpha}; days and weeks have half of it each."
        if shared
        else "P-values are adjusted by {method}; bursts have at most {alpha}.",
        method=note("'{name}'", name=_METHODS[adjust]),
        alpha=f"{alpha:g}",
    )
    if search.low.any():
        yield note(
            "Far fewer registrations than expected on {days}, which are no reference either.",
            days=counted(int(search.low.sum()), "day"),
        )
    if not search.settled:
        yield note("The search went round in a circle; days that were a burst in any part of it are no reference.")
