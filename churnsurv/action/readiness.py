"""Whether the data of a day are there in full: a day that is half there looks like silence, which is warned about."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from churnsurv.action.readiness_alerts import alert_checks
from churnsurv.action.readiness_limits import FEWEST_WEEKS, Limits, limits_of, one_level
from churnsurv.action.readiness_words import Checked, about_hours, about_rows, about_share, between, spelt
from churnsurv.data.day_counts import day_counts
from churnsurv.data.rule import calendar_day
from churnsurv.errors import DataNotReadyError, InputError
from churnsurv.tables import Result, schema

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.action.readiness_limits import Counts
    from churnsurv.data import ActivityLog
    from churnsurv.data.day_counts import DayCounts
    from churnsurv.warning.alerts import Alerts

__all__ = ["Readiness", "readiness"]

#: How many standard deviations ordinary days may differ; there are some ten checks a day.
_Z = 3.0
#: The ends of days are looked at hour by hour, so that the worst of them is further out by chance.
_Z_HOURS = 3.5
_KINDS = 12
#: What is missing where there is none of it for the first time in weeks, however little there usually is.
_NEVER_EMPTY = ("events", "active users")
_PER_HOUR = 4
FINE, LOOK, NOT_READY = "fine", "look", "not ready"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Readiness(Result):
    """Whether a day is there in full; made by `readiness`.

    Attributes
    ----------
    as_of : date
    checks : tuple of Checked
        What was looked at, in order.
    """

    _schema: ClassVar[str] = "readiness"

    as_of: datetime.date
    checks: tuple[Checked, ...]

    @property
    def ready(self) -> bool:
        """True where no check says "not ready"."""
        return all(check.verdict != NOT_READY for check in self.checks)

    @property
    def table(self) -> pd.DataFrame:
        """A fresh table; schema "readiness"."""
        import pandas as pd

        rows = {name: [getattr(check, name) for check in self.checks] for name in schema(self._schema).names}
        frame = pd.DataFrame(rows)
        frame["n"] = frame["n"].astype("int64")
        return frame.astype(dict.fromkeys(("expected", "lower", "upper"), "float64"))

    def raise_unless_ready(self) -> None:
        """Raise where the day is not there in full.

        Raises
        ------
        DataNotReadyError
            That says what is missing, and what to do.
        """
        if self.ready:
            return
        found = "\n".join(f"  {check.check}: {check.words}" for check in self.checks if check.verdict == NOT_READY)
        raise DataNotReadyError(
            f"{self.as_of} is not ready:\n{found}\nNothing was written and nothing is to be sent. Load the day in full "
            "and run again; if the day was really like this, widen the limits under [score.ready]."
        )

    def with_alerts(
        self,
        alerts: Alerts,
        previous: Sequence[Alerts] | None = None,
        *,
        drawn: Alerts | None = None,
        jump: float = 2.0,
    ) -> Readiness:
        """The same checks and those of the alerts of the day, which are computed only where the data are there.

        Parameters
        ----------
        alerts, previous, jump
            As in `readiness`.
        drawn : Alerts, optional
            Those of the day of the users whom `previous` is about, where these are some drawn from many.
        """
        found = alert_checks(alerts, previous or (), day=self.as_of, jump=jump, z=_Z, drawn=drawn)
        return Readiness(self.as_of, (*self.checks, *found))

    def to_text(self) -> str:
        """The checks as lines, what is not fine first."""
        order = {NOT_READY: 0, LOOK: 1, FINE: 2}
        ranked = sorted(self.checks, key=lambda check: order[check.verdict])
        return "\n".join([self._headline(), *(f"{each.verdict:<9}  {each.check}: {each.words}" for each in ranked)])

    def _headline(self) -> str:
        wrong = [check.check for check in self.checks if check.verdict == NOT_READY]
        odd = [check.check for check in self.checks if check.verdict == LOOK]
        said = f"not ready ({', '.join(wrong)})" if wrong else "ready"
        look = f"; to look at: {', '.join(odd)}" if odd else ""
        return f"{self.as_of}: {said}{look}"

    def _facts(self) -> dict[str, Any]:
        return {"as_of": self.as_of, "ready": self.ready}

    def __str__(self) -> str:
        return self.to_text()


def readiness(
    log: ActivityLog,
    *,
    as_of: datetime.date | str,
    alerts: Alerts | None = None,
    previous: Sequence[Alerts] | None = None,
    weeks: int = 8,
    thin: float = 0.7,
    rejects: float = 0.05,
    jump: float = 2.0,
) -> Readiness:
    """Check that the data of a day are there in full, before anybody acts on them.

    Events, each kind of them, active users, registrations and balances are compared with the same weekday of the weeks
    before; so are the events of the last hours, and the share of rejected rows. A count is *not ready* where it is
    below its limit, which ordinary days of this log keep (see `readiness_limits`), and below `thin` of what is
    expected; outside its limits otherwise, it is to *look* at. Nothing after `as_of` is looked at.

    Parameters
    ----------
    log : ActivityLog
    as_of : date or ISO text
    alerts : Alerts, optional
        Those of the day: users in tiers are compared with the day before, which the alerts know.
    previous : sequence of Alerts, optional
        Those of days before, as `churnsurv.alerts` replays them: the number of new alerts is compared with theirs.
    weeks : int
        Weeks before the day that are looked at; from 3 on.
    thin : float
        Share of what is expected below which a count may stop the run.
    rejects : float
        By how much the share of rejected rows may rise above the usual one.
    jump : float
        By how much the alerts may multiply.

    Returns
    -------
    Readiness

    Raises
    ------
    InputError
        If the day lies before the log, or an argument is out of range.

    Notes
    -----
    Of a log shorter than 3 weeks nothing is expected but that there are events. Rows without a readable day are of no
    day; `log.check()` names them.

    Examples
    --------
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(800, seed=1).log
    >>> readiness(log, as_of="2025-05-15").ready
    True
    """
    day = _day(log, as_of)
    _require(weeks=weeks, thin=thin, rejects=rejects, jump=jump)
    checks = [_ends(log, day)]
    n_weeks = min(weeks, (day - log.observed_from).days // 7)
    counts = day_counts(log, first=day - datetime.timedelta(days=7 * n_weeks), last=day)
    if n_weeks < FEWEST_WEEKS:
        checks.append(_too_short(counts, n_weeks))
    else:
        checks += _rows(counts, thin)
        checks += [] if counts.parts is None else [_last_hours(counts, counts.parts, thin)]
        checks += _rejected(counts, rejects)
    found = Readiness(day, tuple(checks))
    return found if alerts is None else found.with_alerts(alerts, previous, jump=jump)


def _day(log: ActivityLog, as_of: datetime.date | str) -> datetime.date:
    day = calendar_day(as_of, "as_of")
    if day < log.observed_from:
        raise InputError(f"as_of ({day}) is before the log begins, {log.observed_from}. Choose a day of it.")
    return day


def _require(*, weeks: int, thin: float, rejects: float, jump: float) -> None:
    if isinstance(weeks, bool) or not isinstance(weeks, int) or weeks < FEWEST_WEEKS:
        raise InputError(f"weeks must be a whole number from {FEWEST_WEEKS} on; it is {weeks!r}.")
    for name, value, low, high in (("thin", thin, 0, 1), ("rejects", rejects, 0, 1), ("jump", jump, 1, np.inf)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            reach = f"from {low} to {high}" if high < np.inf else f"from {low} on"
            raise InputError(f"{name} must be a number {reach}; it is {value!r}.")


def _ends(log: ActivityLog, day: datetime.date) -> Checked:
    """Whether the log goes on to the end of the day."""
    last = log.observed_until
    beyond = (last - day).days
    if beyond >= 0:
        # not by how much it goes on: a day must look the same whenever it is looked at
        return Checked("log", 0, 0.0, 0.0, None, FINE, f"The log covers {day}.")
    words = f"The log ends on {last}, {spelt(-beyond, 'day')} before {day}."
    return Checked("log", beyond, 0.0, 0.0, None, NOT_READY, words)


def _too_short(counts: DayCounts, n_weeks: int) -> Checked:
    n = int(counts.all_events[-1])
    words = f"{spelt(n, 'event')}. The log has {spelt(n_weeks, 'whole week')} before: too few to say what is expected."
    return Checked("events", n, None, None, None, LOOK if n else NOT_READY, words)


def _rows(counts: DayCounts, thin: float) -> Iterator[Checked]:
    """Rows of the day against the weeks before."""
    for name, column, what in _counted(counts):
        n, limits = int(column[-1]), limits_of(column[:-1], z=_Z, together=_together(column, counts))
        judged = _judged(name, n, limits, thin, about_rows(n, what, limits))
        if not n and name in _NEVER_EMPTY and column[:-1].all():
            words = f"No {what}, which none of the {len(column) - 1} days before was without; {between(limits)}."
            judged = replace(judged, verdict=NOT_READY, words=words)
        yield judged


def _counted(counts: DayCounts) -> Iterator[tuple[str, Counts, str]]:
    """What is counted, and how one of it is called."""
    yield "events", counts.all_events, "event"
    kinds = dict(sorted(counts.events.items(), key=lambda pair: (-int(pair[1].sum()), pair[0])))
    if len(kinds) > 1:
        shown = list(kinds)[:_KINDS]
        for kind in shown:
            yield f"events: {kind}", kinds[kind], "event"
        if len(kinds) > _KINDS:
            yield "events: other kinds", sum(kinds[kind] for kind in list(kinds)[_KINDS:]), "event"  # type: ignore[misc]
    yield "active users", counts.active_users, "user"
    yield "registrations", counts.registrations, "registration"
    if counts.balances is not None:
        yield "balances", counts.balances, "row"


def _together(column: Counts, counts: DayCounts) -> float:
    """Rows of an active user on one day, on average."""
    users = int(counts.active_users[:-1].sum())
    return int(column[:-1].sum()) / users if users else 1.0


def _judged(name: str, n: int, limits: Limits, thin: float, words: str) -> Checked:
    thinned = n < limits.lower and n < thin * limits.least
    odd = not limits.lower <= n <= limits.upper
    verdict = NOT_READY if thinned else LOOK if odd else FINE
    return Checked(name, n, limits.expected, limits.lower, limits.upper, verdict, words)


def _last_hours(counts: DayCounts, parts: Counts, thin: float) -> Checked:
    """The hours from each hour on to the end of the day, and of these the one that is thinnest for what is usual."""
    by_hour = parts.reshape(parts.shape[0], -1, _PER_HOUR).sum(axis=2)
    tails = by_hour[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    together = _together(counts.all_events, counts)
    found = [(limits_of(tail[:-1], z=_Z_HOURS, together=together), int(tail[-1])) for tail in tails.T]
    depth = [limits.depth(n) for limits, n in found]
    worst = int(np.argmax(depth))
    limits, n = found[worst]
    judged = _judged("last hours", n, limits, thin, about_hours(n, worst + 1, limits))
    # many events late in a day are no sign of anything missing
    return judged if judged.verdict == NOT_READY or n < limits.lower else judged.as_fine()


def _rejected(counts: DayCounts, rejects: float) -> Iterator[Checked]:
    """Rejected rows of the day against the usual share of the weeks before."""
    accepted = {"events": counts.all_events, "balances": counts.balances}
    for table, bad in counts.rejected.items():
        good = accepted[table]
        if good is None:
            continue
        rows = bad + good
        shares = bad[:-1] / np.maximum(rows[:-1], 1)
        usual = float(np.median(shares[rows[:-1] > 0])) if (rows[:-1] > 0).any() else 0.0
        rest = np.sqrt(bad[:-1] + 0.375) - np.sqrt(usual * rows[:-1] + 0.375)
        spread = max(0.5, 1.4826 * float(np.median(np.abs(rest))))
        n, read = int(bad[-1]), int(rows[-1])
        limits = one_level(usual * read, z=_Z, spread=spread, n=len(shares))
        share = n / read if read else 0.0
        verdict = FINE if n <= limits.upper else NOT_READY if share > usual + rejects else LOOK
        words = about_share(n, read, share, usual)
        yield Checked(f"rejects: {table}", n, limits.expected, 0.0, limits.upper, verdict, words)
