"""Who could return on each calendar day, and who did: counts by day, idle day and group, made inside the engine.

A user who is idle for d whole days at the end of day D - 1 is at risk on D, and has returned on D when active on it.
Whoever was active on D - 1 has d = 0; from d = `idle_days` on a user has churned. Everything that puts a user at risk
on D is known at the end of the day before.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.feature import Feature
from churnsurv.data.gap_counts import GapCounts, gap_counts
from churnsurv.data.rule import calendar_day, whole_days
from churnsurv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data.log import ActivityLog

__all__ = ["REGISTRATION_GAP", "ReturnDays", "return_days"]

Ints: TypeAlias = NDArray[np.int64]

#: The column of the groups that says whether users are idle since they registered.
REGISTRATION_GAP = "registration_gap"
_ONE_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True, eq=False)
class ReturnDays:
    """Users at risk and returned by group, calendar day and idle day; made by `return_days`. Arrays are read-only.

    Attributes
    ----------
    days : (n_days,) datetime64[D]
        Consecutive calendar days.
    at_risk : (n_groups, n_days, longest + 1) int64
        Users of the group that are idle for d whole days at the end of the day before; d along the last axis.
    returned : (n_groups, n_days, longest + 1) int64
        Those of them that are active on the day.
    by : tuple of str
        The columns of `groups`.
    idle_days : int
        Of the churn rule: users at d >= idle_days have churned.
    complete_from : date
        From this day on users of every d are known. Before it those who were last active before the log are not.
    """

    days: NDArray[np.datetime64]
    at_risk: Ints
    returned: Ints
    by: tuple[str, ...]
    idle_days: int
    complete_from: datetime.date
    _groups: pd.DataFrame

    def __post_init__(self) -> None:
        for array in (self.days, self.at_risk, self.returned):
            array.setflags(write=False)

    @property
    def longest(self) -> int:
        """The highest idle day counted."""
        return int(self.at_risk.shape[2]) - 1

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return int(self.at_risk.shape[0])

    @property
    def groups(self) -> pd.DataFrame:
        """The values of the `by` columns, one row for each group, in order; a missing value is a value of its own."""
        return self._groups.copy()

    def table(self) -> pd.DataFrame:
        """Return one row for each day, idle day and group with users at risk: the `by` columns and the counts.

        Returns
        -------
        pandas.DataFrame
            `date, idle_day, at_risk, returned` after the `by` columns, in the order of group, day and idle day.
        """
        group, day, idle = np.nonzero(self.at_risk)
        frame = self._groups.iloc[group].reset_index(drop=True)
        return frame.assign(
            date=self.days[day].astype("datetime64[s]"),
            idle_day=idle,
            at_risk=self.at_risk[group, day, idle],
            returned=self.returned[group, day, idle],
        )


def return_days(
    log: ActivityLog,
    by: str | Sequence[str] = (),
    *,
    first: datetime.date | str | None = None,
    last: datetime.date | str | None = None,
    longest: int | None = None,
    registration: bool = False,
    features: Sequence[str | Feature] = (),
) -> ReturnDays:
    """Count users at risk of return, and returns, by calendar day, idle day and group.

    The engine counts gaps by the day of their start and their length; what is fetched has no users in it.

    Parameters
    ----------
    log : ActivityLog
    by : str or sequence of str
        Columns of the users, "cohort", "stage" and other features, as of the end of the user's last active day, whose
        values are told apart.
    first, last : date or ISO text, optional
        Days counted, both included; by default all but the first of the log, on which nobody is known to be idle.
    longest : int, optional
        Highest idle day that is counted: ``idle_days - 1`` by default, which are the living; more for those who have
        churned, d - idle_days days ago.
    registration : bool
        Tell users apart who are idle since they registered, too: a last column `registration_gap`.
    features : sequence of Feature
        Features of your own that `by` names.

    Returns
    -------
    ReturnDays

    Raises
    ------
    InputError
        If a column is unknown, or the days do not lie in the log.

    Examples
    --------
    >>> import pandas as pd
    >>> from churnsurv.data import ActivityLog
    >>> users = pd.DataFrame({"user_id": ["a"], "registered_at": ["2024-01-01"], "channel": ["organic"]})
    >>> events = pd.DataFrame({"user_id": "a", "event_at": ["2024-01-03"], "kind": "login"})
    >>> log = ActivityLog(events, users, observed_until="2024-01-05")
    >>> return_days(log, "channel").table()
       channel       date  idle_day  at_risk  returned
    0  organic 2024-01-02         0        1         0
    1  organic 2024-01-03         1        1         1
    2  organic 2024-01-04         0        1         0
    3  organic 2024-01-05         1        1         0
    """
    columns = (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    if registration and REGISTRATION_GAP in columns:
        raise InputError(f"{REGISTRATION_GAP!r} is the column that registration=True makes. Rename yours.")
    longest = log.rule.idle_days - 1 if longest is None else whole_days(longest, "longest", least=0)
    since, to = _days(log, first, last)
    # A gap of more than `longest` + 1 days need not be told from a longer one. Of the rule nothing else enters.
    counted = gap_counts(
        log.with_rule(longest + 1),
        by=columns,
        features=features,
        blocks=2,
        starts="all",
        period="day",
        first_start=max(log.observed_from, since - (longest + 1) * _ONE_DAY),
        last_start=to - _ONE_DAY,
    )
    group, groups = _grouped(counted, registration=registration)
    at_risk, returned = _by_day(counted, group, len(groups), longest + 1, since, to)
    return ReturnDays(
        days=np.arange(np.datetime64(since, "D"), np.datetime64(to, "D") + 1),
        at_risk=at_risk,
        returned=returned,
        by=tuple(groups.columns),
        idle_days=log.rule.idle_days,
        complete_from=log.observed_from + (longest + 1) * _ONE_DAY,
        _groups=groups,
    )


def _days(
    log: ActivityLog, first: datetime.date | str | None, last: datetime.date | str | None
) -> tuple[datetime.date, datetime.date]:
    earliest, latest = log.observed_from + _ONE_DAY, log.observed_until
    since = earliest if first is None else calendar_day(first, "first")
    to = latest if last is None else calendar_day(last, "last")
    if not earliest <= since <= to <= latest:
        raise InputError(
            f"first and last must lie between {earliest} and {latest}, in this order; they are {since} and {to}. On "
            f"{log.observed_from}, the first day of the log, nobody is known to be idle."
        )
    return since, to


def _grouped(counted: GapCounts, *, registration: bool) -> tuple[Ints, pd.DataFrame]:
    """The group of each row, and the values of the groups in order."""
    frame = counted.groups
    if registration:
        frame = frame.assign(**{REGISTRATION_GAP: counted.registration_gap})
    if not len(frame.columns):
        return np.zeros(len(frame), dtype=np.int64), frame.iloc[:1].reset_index(drop=True)
    code = frame.groupby(list(frame.columns), sort=True, dropna=False, observed=True).ngroup()
    place = code.to_numpy().astype(np.int64)
    groups = frame.iloc[np.unique(place, return_index=True)[1]].reset_index(drop=True)
    return place, groups


def _by_day(
    counted: GapCounts, group: Ints, n_groups: int, n_idle: int, since: datetime.date, to: datetime.date
) -> tuple[Ints, Ints]:
    """Counts by group, day and idle day, from gaps by group, day of their start and length."""
    start = _start_numbers(counted)
    origin = np.datetime64(counted.first_start, "D").astype(np.int64)
    n_starts = int((np.datetime64(to, "D") - np.datetime64(counted.first_start, "D")).astype(np.int64))
    shape = (n_groups, n_starts, n_idle)
    length = np.minimum(counted.duration, n_idle)
    place = np.ravel_multi_index((group, start - origin, length - 1), shape)
    # Counts stay far below 2^53, so that sums in floating point are exact.
    ends, back = (
        np.bincount(place, weights=n, minlength=int(np.prod(shape))).astype(np.int64).reshape(shape)
        for n in (counted.n, np.where(counted.returned, counted.n, 0))
    )
    still = ends[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]
    n_days = (to - since).days + 1
    at_risk, returned = (np.zeros((n_groups, n_days, n_idle), dtype=np.int64) for _ in range(2))
    behind = (since - counted.first_start).days  # days from the first start to the first day counted
    for idle in range(n_idle):
        # On day D users are idle for d days since D - 1 - d.
        rows = np.arange(n_days) + behind - 1 - idle
        known = (rows >= 0) & (rows < n_starts)
        at_risk[:, known, idle] = still[:, rows[known], idle]
        returned[:, known, idle] = back[:, rows[known], idle]
    return at_risk, returned


def _start_numbers(counted: GapCounts) -> Ints:
    """Days on which gaps began, counted from 1970."""
    period = counted.period
    assert period is not None  # noqa: S101 - asked for by day
    numbers: Ints = period.astype("datetime64[D]").astype(np.int64)
    return numbers
