"""The churn monitor: fewer returns than expected, noticed within days and not after the idle days that churn takes."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.lifecycle import has_stages
from churnsurv.data.return_days import ReturnDays, return_days
from churnsurv.data.rule import calendar_day, whole_days
from churnsurv.diagnosis.calendar import Event, read_calendar
from churnsurv.diagnosis.monitor_charts import GUARD, Asked, fit_days, make_charts
from churnsurv.diagnosis.monitor_groups import ALL, CountRows, calendar_terms, count_rows
from churnsurv.diagnosis.monitor_rows import alarm_rows, carrier_rows, day_rows, group_rows
from churnsurv.diagnosis.monitor_words import alarms_said, monitor_notes
from churnsurv.diagnosis.rows import frame_of
from churnsurv.errors import InputError, require_columns
from churnsurv.notes import note
from churnsurv.survival.frames import counted
from churnsurv.survival.inputs import check_level
from churnsurv.tables import Result
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from churnsurv.data import ActivityLog

__all__ = ["ChurnMonitor", "churn_monitor", "monitor_counts"]

#: Years simulated for each limit.
_YEARS = 500
_FEWEST_TRAIN = 56
_FEWEST_RETURNS = 5.0
#: Days that a note names.
_NAMED = 5
_ONE_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ChurnMonitor(Result):
    """Returns by day and group against what was expected, and alarms; made by `churn_monitor`.

    Attributes
    ----------
    by : str or None
        The column of the groups.
    first_day, last_day : datetime.date
        Days watched.
    train : int
        Days that each expectation was learnt from, at most.
    smallest_drop : float
        The drop of the return hazard that the charts are made for.
    false_alarms : float
        Expected a year, over all charts together, where nothing changes.
    level : float
        Of the intervals.
    notes : tuple of str
        What a reader must know.
    """

    _schema: ClassVar[str] = "churn_monitor"

    by: str | None
    first_day: datetime.date
    last_day: datetime.date
    train: int
    smallest_drop: float
    false_alarms: float
    level: float
    notes: tuple[str, ...]
    _table: pd.DataFrame
    _alarms: pd.DataFrame
    _carriers: pd.DataFrame
    _groups: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """One row for each chart and day watched: expected and observed returns, and the chart."""
        return self._table.copy()

    @property
    def alarms(self) -> pd.DataFrame:
        """One row for each alarm, in the order of days; schema "churn_monitor_alarms".

        `ratio` was chosen after looking, by the day that fits best, so that drops look larger than they are where the
        alarm is fresh; `after_ratio` is of the days after the alarm, which nobody chose.
        """
        return self._alarms.copy()

    @property
    def carriers(self) -> pd.DataFrame:
        """Which groups and stages carry each alarm; schema "churn_monitor_carriers"."""
        return self._carriers.copy()

    @property
    def groups(self) -> pd.DataFrame:
        """Each chart with its limit, and how soon it finds the smallest drop; schema "churn_monitor_groups"."""
        return self._groups.copy()

    @property
    def open_alarms(self) -> pd.DataFrame:
        """The alarms that last to the last day watched."""
        return self._alarms[self._alarms["ended_on"].isna()].reset_index(drop=True)

    def plot(self, ax: Axes | None = None, *, group: str | None = None) -> Axes:
        """Draw observed against expected returns of a group; see `churnsurv.plots.churn_monitor`.

        Parameters
        ----------
        ax : Axes, optional
        group : str, optional
            By default that of the latest alarm, or all together.
        """
        from churnsurv.plots.churn_monitor import churn_monitor as draw

        names = list(self._groups["group"])
        if group is None:
            last = self._alarms["group"].iloc[-1] if len(self._alarms) else ALL
            group = last if last in names else names[0]
        axes: Axes = draw(self._table, ax, group=group, alarms=self._alarms, level=self.level)
        return axes

    def _facts(self) -> dict[str, Any]:
        names = ("by", "first_day", "last_day", "train", "smallest_drop", "false_alarms", "level", "notes")
        tables = {"alarms": self._alarms, "carriers": self._carriers, "groups": self._groups}
        mine = {name: getattr(self, name) for name in names}
        return mine | {name: table.to_dict("list") for name, table in tables.items()}

    def _headline(self) -> str:
        days = f"{counted(len(self._table['date'].unique()), 'day')}, {self.first_day} to {self.last_day}"
        charts = counted(len(self._groups), "chart")
        if self._alarms.empty:
            return f"no alarm in {days}; {charts}, {alarms_said(self.false_alarms)} a year let pass"
        now = self.open_alarms
        said = [
            f"{row.group} since {row.begun:%Y-%m-%d}, returns {row.ratio:.2f} ({row.lower:.2f} to {row.upper:.2f}) "
            "times as expected"
            for row in now.itertuples()
        ]
        open_now = "; ".join(said) if said else "none open"
        return f"{counted(len(self._alarms), 'alarm')} in {days} ({open_now}); {charts}"


def churn_monitor(
    log: ActivityLog,
    by: str | None = "channel",
    *,
    train: int = 365,
    watch: int = 365,
    smallest_drop: float = 0.2,
    false_alarms: float = 1.0,
    holidays: Any = None,
    by_stage: bool = True,
    min_users: int = 200,
    until: datetime.date | str | None = None,
    leave_out: datetime.date | str | Sequence[datetime.date | str] | None = (),
    seed: int = 0,
    level: float = 0.95,
) -> ChurnMonitor:
    """Watch the return hazard of each group from day to day, and say when it drops.

    Formal churn comes `idle_days` late; returns that fail to come are seen on the next day. Of the users at risk on a
    day - by idle day, stage, and whether they are idle since they registered, all known at the end of the day before -
    a share is expected to return, as learnt from the days before, by weekday, holiday and trend. A risk-adjusted CUSUM
    for each group, and one for all of them together, raises an alarm where far fewer do.

    Parameters
    ----------
    log : ActivityLog
    by : str or None
        A column of the users. "channel" is left out where there is no such column; None: one chart of all users.
    train : int
        Days that an expectation is learnt from, at least 56. It is learnt anew every 28 days, from days up to 14 days
        before, those within an alarm or a rise left out; a rise that lasts is a new level after 28 days to learn from,
        a drop is the usual once it has lasted for `train` days, and the alarm over.
    watch : int
        Days to tell of: the last ones (as far as the log goes). The charts are kept from the first day of the log on
        that there is enough to learn from: what is said of a day does not change with the days that follow, nor with
        the first day told, and an alarm that is open has its date, however long ago.
    smallest_drop : float
        The drop of the return hazard that the charts are made for: 0.2 is 20 % fewer returns.
    false_alarms : float
        How many a year are taken into the bargain, over all charts together; each has the same share of them.
    holidays : table, optional
        Days that are like no other: `name`; `date`, or `start` and `end`; and perhaps `kind`. Each kind has an effect
        of its own. Days of a kind that the learnt days had none of are not judged.
    by_stage : bool
        Adjust for the stage of the lifecycle, where the tables have it, and say which stages carry an alarm.
    min_users : int
        Groups with fewer users at risk on a mean day are pooled as "(small)"; they are sized anew with the limits,
        every 24 weeks, from the days before.
    until : date or ISO text, optional
        The last day to watch: the last one that is there in full. A day that is half loaded looks like a drop;
        `churnsurv.readiness` tells it.
    leave_out : date, ISO text, or sequence of them, optional
        Days that were never loaded in full: neither learnt from nor judged.
    seed : int
        Of the simulated years that the limits come from.
    level : float
        Of the intervals.

    Returns
    -------
    ChurnMonitor
        `.table` has schema "churn_monitor".

    Raises
    ------
    InputError
        If there is no history before the first day to watch, if so few users return or so many days are left out that
        nothing could be noticed, if a value has the name of groups together ("(all)", "(small)"), or if an argument is
        not understood.

    Examples
    --------
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(600, seed=1).log
    >>> found = churn_monitor(log, by=None, train=180, watch=60, until="2025-06-28")
    >>> found.table.columns[:5].tolist(), found.groups["group"].tolist()
    (['date', 'group', 'at_risk', 'expected', 'observed'], ['(all)'])
    >>> str(found.last_day)
    '2025-06-28'
    """
    _require(train, watch, smallest_drop, false_alarms, min_users, seed)
    notes: list[str] = []
    column = _grouping(log, by, notes)
    stage = "stage" if by_stage and column != "stage" and has_stages(log) else None
    last = log.observed_until if until is None else _day(until, "until")
    first = _first_day(log, last, train, watch)
    left_out = _days(leave_out, log.observed_from, last, notes)
    columns = [each for each in (column, stage) if each]
    since = log.observed_from + log.rule.idle_days * _ONE_DAY
    counts = return_days(log, columns, first=since, last=last, registration=True)
    return monitor_counts(
        counts,
        column,
        stage,
        first=first,
        train=train,
        smallest_drop=float(smallest_drop),
        false_alarms=float(false_alarms),
        events=read_calendar(holidays),
        min_users=min_users,
        leave_out=left_out,
        seed=seed,
        level=check_level(level),
        notes=notes,
    )


def monitor_counts(
    counts: ReturnDays,
    by: str | None,
    stage: str | None,
    *,
    first: datetime.date,
    train: int,
    smallest_drop: float = 0.2,
    false_alarms: float = 1.0,
    events: Sequence[Event] = (),
    min_users: int = 200,
    leave_out: Sequence[datetime.date] = (),
    seed: int = 0,
    level: float = 0.95,
    n_years: int = _YEARS,
    notes: Sequence[str] = (),
) -> ChurnMonitor:
    """Watch counts of returns; `churn_monitor` says what the arguments mean.

    Parameters
    ----------
    counts : ReturnDays
        By `by`, `stage` and whether users are idle since they registered, from the first day to learn from on. The
        charts are kept from the first day on that has `train` + 14 days before it and enough to learn from.
    first : date
        The first day to tell of.
    events : sequence of Event
        Holidays.
    n_years : int
        Simulated for each limit.
    """
    days: NDArray[np.datetime64] = counts.days
    rows = count_rows(counts, by, stage)
    out = np.isin(days, np.array([np.datetime64(day, "D") for day in leave_out], dtype="datetime64[D]"))
    origin = int(days[0].astype(np.int64))
    begin = _begin(rows, out, train, origin)
    place = max(int((np.datetime64(first, "D") - days[0]).astype(np.int64)), begin)
    if days[place] > np.datetime64(first, "D"):
        said = note("Watched from {day} on: before it there is too little to learn from.", day=days[place])
        notes = [*notes, said]
    asked = Asked(
        train, begin, place, origin, 1 - smallest_drop, false_alarms, min_users, level, seed, n_years
    )  # fmt: skip
    charts = make_charts(rows, calendar_terms(days, events), out, asked)
    return ChurnMonitor(
        by, _date(days[place]), _date(days[-1]), train, smallest_drop, false_alarms, level,
        (*notes, *monitor_notes(charts, days, out, asked)),
        frame_of("churn_monitor", day_rows(charts, days, asked)),
        frame_of("churn_monitor_alarms", alarm_rows(charts, days, asked)),
        frame_of("churn_monitor_carriers", carrier_rows(charts, days, asked, by=by, stage=stage)),
        frame_of("churn_monitor_groups", group_rows(charts, asked)),
    )  # fmt: skip


def _begin(rows: CountRows, left_out: NDArray[np.bool_], train: int, origin: int) -> int:
    """The first day with enough to learn from, by the days before it; raises where there is none."""
    n_days, found, returns = left_out.size, 0, 0.0
    for _, block in fit_days(train + GUARD, origin, n_days):
        start = int(block[0])
        past = np.arange(start - GUARD - train, start - GUARD)
        past = past[~left_out[past]]
        found, returns = past.size, float(rows.returns[:, past].sum()) / max(past.size, 1)
        if found >= _FEWEST_TRAIN and returns >= _FEWEST_RETURNS:
            return start
    if found < _FEWEST_TRAIN:
        raise InputError(
            f"There are {found} days to learn from before the last days, without {GUARD} days that are not and without "
            f"those left out; at least {_FEWEST_TRAIN} are needed. Leave fewer days out, or take a longer log."
        )
    raise InputError(
        f"Only {returns:.1f} users a day return in the days to learn from; with fewer than {_FEWEST_RETURNS:g} a "
        "drop would take months to be noticed. Watch more users."
    )


def _date(day: np.datetime64) -> datetime.date:
    return datetime.date.fromisoformat(np.datetime_as_string(day, unit="D"))


def _require(train: int, watch: int, smallest_drop: float, false_alarms: float, min_users: int, seed: int) -> None:
    whole_days(train, "train", least=_FEWEST_TRAIN)
    whole_days(watch, "watch", least=1)
    for name, value, low, high in (
        ("smallest_drop", smallest_drop, 0.01, 0.99),
        ("false_alarms", false_alarms, 0.01, 50),
    ):
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise InputError(f"{name} must be a number from {low:g} to {high:g}; it is {value!r}.")
    for name, count, least in (("min_users", min_users, 1), ("seed", seed, 0)):
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < least:
            raise InputError(f"{name} must be a whole number of at least {least}; it is {count!r}.")


def _grouping(log: ActivityLog, by: str | None, notes: list[str]) -> str | None:
    """The column to group by; the default one only where it is there."""
    columns = log._reading.users_read.attributes
    if by == "channel" and by not in columns:
        notes.append(note("The users have no column 'channel': all of them are watched together."))
        return None
    if by is None:
        return None
    if not isinstance(by, str):
        raise InputError(f"by is one column of the users, or None; it is {by!r}.")
    if by != "stage":
        require_columns("users", [by], [*columns, "cohort"])
    return by


def _first_day(log: ActivityLog, last: datetime.date, train: int, watch: int) -> datetime.date:
    """The first day to watch; raises where there is no history before it."""
    if not log.observed_from < last <= log.observed_until:
        raise InputError(
            f"until must be a day of the log after its first one, {log.observed_from} to {log.observed_until}; it is "
            f"{last}."
        )
    earliest = log.observed_from + (log.rule.idle_days + train + GUARD) * _ONE_DAY
    if earliest > last:
        there = (last - log.observed_from).days - log.rule.idle_days - GUARD
        raise InputError(
            f"The log begins on {log.observed_from} and is watched up to {last}: no history of {train} days to learn "
            f"from before the first day watched (besides {log.rule.idle_days} idle days and {GUARD} days that are not "
            f"learnt from). There are {max(there, 0)}: lower train to that at most (56 at least), or take a longer log."
        )
    first: datetime.date = max(last - (watch - 1) * _ONE_DAY, earliest)
    return first


def _day(value: object, what: str) -> datetime.date:
    """A day, as a date, ISO text, or what numpy and pandas have for it."""
    if isinstance(value, np.datetime64) and value == value.astype("datetime64[D]"):
        value = str(value.astype("datetime64[D]"))
    if type(value).__name__ == "NaTType":
        raise InputError(f"{what} is a day that is missing (NaT). Give a date, or text such as '2024-05-01'.")
    return calendar_day(value, what)


def _days(values: Any, first: datetime.date, last: datetime.date, notes: list[str]) -> list[datetime.date]:
    """Days to leave out: none, one, or several; those outside the log are said."""
    if values is None:
        return []
    one = isinstance(values, (str, datetime.date, np.datetime64)) or not hasattr(values, "__iter__")
    days = sorted({_day(each, "leave_out") for each in ([values] if one else values)})
    outside = [day for day in days if not first <= day <= last]
    if outside:
        named = said_list([str(day) for day in outside[:_NAMED]])
        notes.append(
            note(
                "{days} to leave out, outside {first} to {last}: {names}.",
                days=counted(len(outside), "day"),
                first=first,
                last=last,
                names=note("{names}, ...", names=named) if len(outside) > _NAMED else named,
            )
        )
    return days
