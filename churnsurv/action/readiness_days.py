"""Days of the past that were never loaded in full: what is learnt from days, or judged by them, leaves them out."""

from __future__ import annotations

import datetime
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from churnsurv.action.readiness import NOT_READY, _require, _rows
from churnsurv.action.readiness_limits import FEWEST_WEEKS
from churnsurv.data.day_counts import day_counts

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog
    from churnsurv.data.day_counts import DayCounts

__all__ = ["thin_days"]

_ONE_DAY = datetime.timedelta(days=1)


def thin_days(
    log: ActivityLog,
    *,
    first: datetime.date,
    last: datetime.date,
    weeks: int = 8,
    thin: float = 0.7,
) -> tuple[datetime.date, ...]:
    """Return the days whose events or active users `readiness` would call too few, each against the weeks before it.

    The tables are read once, whatever the number of days. Of the first 3 weeks of the log nothing is known.

    Parameters
    ----------
    log : ActivityLog
    first, last : date
        Both included; days before the log are left out.
    weeks, thin
        As in `readiness`.

    Returns
    -------
    tuple of date
        In order.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> from datetime import date
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(800, seed=1).log
    >>> thin_days(log, first=date(2025, 5, 1), last=date(2025, 5, 15))
    ()
    """
    _require(weeks=weeks, thin=thin, rejects=0, jump=1)
    first = max(first, log.observed_from + 7 * FEWEST_WEEKS * _ONE_DAY)
    if last < first:
        return ()
    counts = day_counts(log, first=max(log.observed_from, first - 7 * weeks * _ONE_DAY), last=last)
    together = replace(counts, events={"event": counts.all_events}, balances=None, rejected={}, parts=None)
    days = [first + n * _ONE_DAY for n in range((last - first).days + 1)]
    return tuple(day for day in days if _thin(together, day, weeks, thin))


def _thin(counts: DayCounts, day: datetime.date, weeks: int, thin: float) -> bool:
    end = (day - counts.days[0]).days
    days = slice(end - 7 * min(weeks, end // 7), end + 1)
    own = replace(
        counts,
        days=counts.days[days],
        events={kind: n[days] for kind, n in counts.events.items()},
        active_users=counts.active_users[days],
        registrations=counts.registrations[days],
    )
    # events and active users come first; what else is counted makes nobody look silent
    return any(check.verdict == NOT_READY for check in islice(_rows(own, thin), 2))
