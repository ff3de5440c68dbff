"""The effect of a dated piece of news, outage, campaign or holiday on the return hazard."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from churnsurv.data.return_days import ReturnDays, return_days
from churnsurv.data.rule import calendar_day, whole_days
from churnsurv.diagnosis.calendar import read_calendar
from churnsurv.diagnosis.naming import quoted
from churnsurv.diagnosis.rows import frame_of
from churnsurv.diagnosis.shock_cells import ALL, TOUCHED, ShockGroup, shock_groups, together
from churnsurv.diagnosis.shock_events import FEWEST_BEFORE, Plan, number, plans_of, shocks_of, span_of
from churnsurv.diagnosis.shock_fit import Calendar, unfit
from churnsurv.diagnosis.shock_placebo import N_PLACEBO, placebo_dates
from churnsurv.diagnosis.shock_rows import (
    ALL_DAYS,
    day_rows,
    duration_rows,
    effect_rows,
    lost_rows,
    placebo_rows,
    untouched_rows,
)
from churnsurv.diagnosis.shock_study import Studied, against_untouched, studied
from churnsurv.diagnosis.shock_words import empty_notes, lasting_notes, shock_notes
from churnsurv.errors import InputError, did_you_mean, require_columns
from churnsurv.notes import note
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.survival.multiplicity import check_adjust
from churnsurv.tables import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["ShockEffect", "shock_effect"]

_TABLES = ("lost", "duration", "daily", "placebo", "untouched")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShockEffect(Result):
    """What dated shocks did to the return hazard; made by `shock_effect`.

    Attributes
    ----------
    by : str or None
        The column of the groups.
    untouched_groups : tuple of str
        Groups said to be untouched.
    before, after : int
        Days compared with, and days judged.
    reaches : {"all", "active"}
        Whom the shocks can touch.
    churned : int
        Days since churn up to which churned users are looked at.
    adjust : str
    level : float
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "shock_effect"

    by: str | None
    untouched_groups: tuple[str, ...]
    before: int
    after: int
    reaches: str
    churned: int
    adjust: str
    level: float
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _lost: pd.DataFrame
    _duration: pd.DataFrame
    _daily: pd.DataFrame
    _placebo: pd.DataFrame
    _untouched: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each shock, group, kind of users and window."""
        return self._table.copy()

    @property
    def lost(self) -> pd.DataFrame:
        """Returns missed, users lost that would not have been, and users brought back; schema "shock_lost"."""
        return self._lost.copy()

    @property
    def duration(self) -> pd.DataFrame:
        """How many days each effect lasted, where one was found; schema "shock_duration"."""
        return self._duration.copy()

    @property
    def daily(self) -> pd.DataFrame:
        """Each day compared with or judged; schema "shock_days"."""
        return self._daily.copy()

    @property
    def placebo(self) -> pd.DataFrame:
        """The same analysis on days before each shock, in steps of a week; schema "shock_placebo"."""
        return self._placebo.copy()

    @property
    def untouched(self) -> pd.DataFrame:
        """Groups said to be untouched, and the others against them; schema "shock_untouched"."""
        return self._untouched.copy()

    def plot(self, ax: Axes | None = None, *, name: str | None = None, group: str | None = None) -> Axes:
        """Draw the effect around the date; see `churnsurv.plots.shock_effect`.

        Parameters
        ----------
        ax : Axes, optional
        name, group : str, optional
            Of the shock and the group; by default the first of the table.
        """
        from churnsurv.plots.shock_effect import shock_effect as draw

        first = self._table.iloc[0]
        name = str(first["name"]) if name is None else name
        group = str(first["group"]) if group is None else group
        axes: Axes = draw(
            self._daily, ax, name=name, group=group, windows=self._table, placebo=self._placebo, level=self.level
        )
        return axes

    def _facts(self) -> dict[str, Any]:
        names = ("by", "untouched_groups", "before", "after", "reaches", "churned", "adjust", "level", "notes")
        tables = {name: getattr(self, f"_{name}").to_dict("list") for name in _TABLES}
        return {name: getattr(self, name) for name in names} | tables

    def _headline(self) -> str:
        living = self._table[self._table["users"] == "living"]
        shocks = living["name"].nunique()
        row = living.iloc[0]
        lost = self._lost.iloc[0]
        more = f" (and {shocks - 1} more)" if shocks > 1 else ""
        change = "lost" if lost["lost"] >= 0 else "kept"
        n, low, high = lost["lost"], lost["lower"], lost["upper"]
        if n < 0:
            n, low, high = -n, -high, -low
        return (
            f"{row['name']}{more}: return hazard of {row['group']} {row['hazard_ratio']:.2f} ({row['lower']:.2f} to "
            f"{row['upper']:.2f}) times that expected on {row['window']}; {counted(round(n), 'user')} {change} "
            f"({low:,.0f} to {high:,.0f}) by {lost['until']:%Y-%m-%d}"
        )


def shock_effect(
    log: ActivityLog,
    when: Any,
    *,
    by: str | None = None,
    untouched: Sequence[str] = (),
    before: int = 56,
    after: int = 28,
    windows: Sequence[int] = (4, 8, 15, 29),
    reaches: str = "all",
    churned: int = 90,
    holidays: Any = None,
    trend: bool = True,
    leave_out: Sequence[datetime.date | str] = (),
    placebo: bool = True,
    min_users: int = 100,
    adjust: str = "holm",
    level: float = 0.95,
) -> ShockEffect:
    """Estimate what a dated shock, good or bad, did to the hazard of return, and how many users it cost or kept.

    Of the users at risk on a day - by idle day and whether they are idle since they registered, known at the end of the
    day before - a share is expected to return, as learnt on the days before the shock by weekday, holiday and trend
    (complementary log-log). The effect is the ratio of the hazard of return to that, by window since the date.

    Parameters
    ----------
    log : ActivityLog
    when : date, ISO text or table
        A date; or a calendar: `name`; `date`, or `start` and `end` (also `first` and `last`), both included; and
        perhaps `kind`. Each shock is judged up to the day before the next.
    by : str or None
        A column of the users whose groups are looked at beside all users.
    untouched : sequence of str
        Groups of `by` that the shock cannot have touched: they serve as a check, and the others are compared with them.
    before : int
        Days to compare with, at least 28. Days on which another shock of the calendar may show are passed over.
    after : int
        Days judged, at least 1, from the date on; since the last day of a shock that lasts for several.
    windows : sequence of int
        Days since the date on which new windows begin: the default makes days 0-3, 4-7, 8-14, 15-28
        and what is left.
    reaches : {"all", "active"}
        "all": everybody can be touched, such as by news. "active": only those who are active on the date or later, such
        as by an outage; of the others, idle since before, no return is judged, and `churned` has no meaning.
    churned : int
        Churned users are looked at for so many days since their churn: does it bring them back? 0: not at all.
    holidays : table, optional
        Days that are like no other, as in `churnsurv.churn_monitor`: each kind has an effect of its own.
    trend : bool
        Whether a straight trend of the days before goes on.
    leave_out : sequence of date or ISO text
        Days that were never loaded in full: neither compared with nor judged.
    placebo : bool
        Repeat the analysis on up to 39 dates before, in steps of a week.
    min_users : int
        Groups with fewer living users on a mean day, of those compared with or judged, are pooled as "(small)".
    adjust : {"holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none"}
        How p-values are adjusted for the number of windows, groups and shocks.
    level : float
        Of the intervals.

    Returns
    -------
    ShockEffect
        `.table` has schema "shock_effect".

    Raises
    ------
    FollowUpError
        If the date is the last day of the log or lies outside it, or the log begins too late before it.
    InputError
        If too few users return to say what to expect, or an argument is not understood.

    Examples
    --------
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(600, seed=1).log
    >>> found = shock_effect(log, "2025-03-03", placebo=False, churned=0)
    >>> found.table["window"].tolist()
    ['day 0-3', 'day 4-7', 'day 8-14', 'day 15-27', 'all days']
    >>> str(found.lost["until"].dt.date[0])
    '2025-04-29'
    """
    level = check_level(level)
    check_adjust(adjust)
    cuts = _checked(before, after, windows, churned, min_users)
    if reaches not in ("all", "active"):
        raise InputError(
            f"reaches is 'all' or 'active'; it is {reaches!r}.{did_you_mean(str(reaches), ('all', 'active'))}"
        )
    if reaches == "active":
        churned = 0
    events, aside, notes = shocks_of(when, log)
    _require_column(log, by, untouched)
    _require_listed(leave_out, "leave_out", "days, such as ['2024-05-01']")
    plans = plans_of(events, log, before=before, after=after, cuts=cuts, notes=notes, aside=aside)
    out = frozenset(number(calendar_day(day, "leave_out")) for day in leave_out)
    calendar = Calendar(read_calendar(holidays), trend, out, reaches == "active")
    earliest = number(log.observed_from) + log.rule.idle_days
    counts = _counted(log, by, plans, before, churned, placebo=placebo)
    usual = np.unique(np.concatenate([days for plan in plans for days in (plan.reference, plan.judged)]))
    groups = shock_groups(counts, by, days=usual, min_users=min_users, untouched=untouched)
    series = _series(groups)
    first_day = int(counts.days[0].astype(np.int64))
    studies: list[Studied] = []
    rows: list[dict[str, Any]] = []
    for plan in plans:
        others = [span_of(event, after) for event in (*events, *aside) if event is not plan.event]
        stand_ins = placebo_dates(plan, others, first=earliest, before=before, cuts=cuts) if placebo else []
        found = list(_studies(plan, series, stand_ins, calendar, first_day, log.rule.idle_days, notes))
        against = list(against_untouched(found, calendar, first_day, log.rule.idle_days))
        rows += untouched_rows(found, against, level=level)
        studies += found
    if not studies:
        raise InputError(f"No shock can be judged. {' '.join(notes)}")
    effects = effect_rows(studies, level=level, adjust=adjust)
    lengths = duration_rows(studies, effects, level=level)
    notes += shock_notes(studies, groups, calendar, level=level, placebo=placebo)
    notes += empty_notes(effects, ALL_DAYS)
    notes += lasting_notes(lengths, studies, after)
    if by == "stage":
        notes.append(note("Users lost takes it that users who return stay in their stage."))
    calm = tuple(group.name for group in groups if group.calm)
    return ShockEffect(
        by, calm, before, after, reaches, churned, adjust, level, tuple(notes),
        frame_of("shock_effect", effects),
        frame_of("shock_lost", lost_rows(studies, calendar, idle_days=log.rule.idle_days, level=level)),
        frame_of("shock_duration", lengths),
        frame_of("shock_days", day_rows(studies, calendar, level=level)),
        frame_of("shock_placebo", placebo_rows(studies)),
        frame_of("shock_untouched", rows),
    )  # fmt: skip


def _checked(before: int, after: int, windows: Sequence[int], churned: int, min_users: int) -> tuple[int, ...]:
    whole_days(before, "before", least=28)
    whole_days(after, "after", least=1)
    whole_days(churned, "churned", least=0)
    if isinstance(min_users, bool) or not isinstance(min_users, (int, np.integer)) or min_users < 1:
        raise InputError(f"min_users must be a whole number of at least 1; it is {min_users!r}.")
    _require_listed(windows, "windows", "days, such as (4, 8, 15, 29)")
    cuts = tuple(whole_days(each, "windows", least=1) for each in windows)
    if list(cuts) != sorted(set(cuts)):
        raise InputError(
            f"windows must be days in ascending order, such as (4, 8, 15, 29); they are {tuple(windows)!r}."
        )
    return cuts


def _require_listed(values: object, name: str, what: str) -> None:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{name} is a sequence of {what}; it is {values!r}.")


def _require_column(log: ActivityLog, by: str | None, untouched: Sequence[str]) -> None:
    _require_listed(untouched, "untouched", "groups, such as ('organic',)")
    if by is None:
        if untouched:
            raise InputError("untouched names groups of `by`: say which column they are in, such as by='channel'.")
        return
    if not isinstance(by, str):
        raise InputError(f"by is one column of the users, or None; it is {by!r}.")
    if by != "stage":
        require_columns("users", [by], [*log._reading.users_read.attributes, "cohort"])


def _counted(
    log: ActivityLog, by: str | None, plans: Sequence[Plan], before: int, churned: int, *, placebo: bool
) -> ReturnDays:
    """Counts of all days that any shock or placebo needs."""
    back = [plan.date - 7 * (-(-plan.ends // 7) + N_PLACEBO) - 2 * before for plan in plans] if placebo else []
    first = max(min([int(plan.reference[0]) for plan in plans] + back), number(log.observed_from) + 1)
    last = max(int(plan.judged[-1]) for plan in plans)
    one = datetime.date(1970, 1, 1)
    return return_days(
        log,
        () if by is None else by,
        first=one + datetime.timedelta(days=first),
        last=one + datetime.timedelta(days=last),
        longest=log.rule.idle_days - 1 + churned,
        registration=True,
    )


def _series(groups: Sequence[ShockGroup]) -> list[ShockGroup]:
    """All touched groups together first, where there are several; then each of them, then the untouched."""
    if len(groups) == 1:
        return [replace(groups[0], name=ALL)]
    touched = [group for group in groups if not group.calm]
    whole = [together(ALL if len(touched) == len(groups) else TOUCHED, touched)] if len(touched) > 1 else []
    return [*whole, *touched, *(group for group in groups if group.calm)]


def _studies(
    plan: Plan,
    series: Sequence[ShockGroup],
    stand_ins: Sequence[Plan],
    calendar: Calendar,
    first_day: int,
    idle_days: int,
    notes: list[str],
) -> Iterator[Studied]:
    if not calendar.judged(plan).any():
        notes.append(note("{name}: none of the days after the date counts: left out.", name=quoted(plan.event.name)))
        return
    if calendar.counted(plan.reference).size < FEWEST_BEFORE:
        notes.append(
            note(
                "{name}: fewer than {least} days before the date count: left out.",
                name=quoted(plan.event.name),
                least=FEWEST_BEFORE,
            )
        )
        return
    for group in series:
        found = studied(plan, group, stand_ins, calendar, first_day, idle_days)
        if found is None:
            reason = unfit(group, plan, calendar, first_day, slice(0, idle_days))
            notes.append(note("{name}: {reason}: left out.", name=quoted(plan.event.name), reason=reason))
        else:
            yield found
