"""How many users were in which warning tier on which day."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churnsurv.data.panel import states_query
from churnsurv.data.query import fetch
from churnsurv.data.rule import calendar_day, days_of
from churnsurv.errors import InputError
from churnsurv.warning.assign import assign
from churnsurv.warning.frames import frame_of
from churnsurv.warning.given_score import SCORE, GivenScore

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.warning.scheme import TierScheme

__all__ = ["tier_timeline"]

#: User-days that are fetched at once.
_ROWS = 2_000_000
_MOST_DATES = 4_000


def tier_timeline(
    log: ActivityLog,
    scheme: TierScheme,
    *,
    every: int | str = 7,
    first: datetime.date | str | None = None,
    last: datetime.date | str | None = None,
) -> pd.DataFrame:
    """Count the living users in each tier on days of the past, each by what was known at its end.

    Parameters
    ----------
    log : ActivityLog
    scheme : TierScheme
        The tiers. Of days up to ``scheme.known_until`` it had seen what became of the users.
    every : int or text such as "7d"
        Days from one date to the next; `last` is always among them.
    first : date or ISO text, optional
        By default `idle_days` after the first day of the log, when users of every idle day can be there.
    last : date or ISO text, optional
        By default the last day of the log.

    Returns
    -------
    DataFrame
        Schema "tier_timeline": for each date one row a tier, highest first, and one of users in none (`tier` null),
        also where nobody is. The rows of a date add up to the users that ``log.snapshot(date)`` has.

    Raises
    ------
    InputError
        If the days are not in the log or in the wrong order, the log has another churn rule than the scheme, its tiers
        are cuts of a score that was given, or there would be more than 4,000 dates.

    Examples
    --------
    >>> import churnsurv as ch
    >>> log = ch.simulate_app(300, seed=1).log
    >>> scheme = ch.fit_tiers(log, variables=[], objective={"high": ch.Precision(target=0.5)}, bootstrap=0)
    >>> counts = tier_timeline(log, scheme, every=30, first="2025-01-01")
    >>> counts.groupby("date")["share"].sum().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    step = days_of(every, "every", least=1)
    dates = _dates(log, first, last, step)
    if scheme.churn_rule != log.rule:
        raise InputError(
            f"The scheme was fitted under another churn rule ({scheme.churn_rule}) than that of the log ({log.rule})."
        )
    if isinstance(scheme.score, GivenScore):
        raise InputError(
            f"The tiers are cuts of a score that was given, which the log does not hold. For each date, join the score "
            f"of that day to log.snapshot(date).table as {SCORE!r}, pass it to scheme.assign, and count its tiers "
            "(.in_tier)."
        )
    names = [tier.name for tier in scheme.tiers]
    rows = []
    for batch in _batches(dates, log._reading.n_users):
        counts = _counts(log, scheme, batch)
        for place, date in enumerate(batch):
            living = int(counts[place].sum())
            rows += [
                {"date": date, "tier": tier, "n_users": int(n), "share": n / living if living else np.nan}
                for tier, n in zip([*names, None], counts[place], strict=True)
            ]
    return frame_of(rows, "tier_timeline")


def _counts(log: ActivityLog, scheme: TierScheme, dates: Sequence[datetime.date]) -> NDArray[np.int64]:
    """Living users by date and tier, highest first, those in none last: (n_dates, n_tiers + 1) int64."""
    from churnsurv.data.feature import resolve

    asked = resolve(scheme.features)
    with states_query(log._reading, log.rule, log.stages, features=asked, days=dates) as query:
        found = assign(scheme, fetch(log._reading.engine, query)).table
    day = found["date"].to_numpy().astype("datetime64[D]")
    place = np.searchsorted(np.array(dates, dtype="datetime64[D]"), day)
    n_tiers = len(scheme.tiers)
    code = found["tier"].cat.codes.to_numpy().astype(np.int64)
    column = np.where(code < 0, n_tiers, n_tiers - 1 - code)
    shape = (len(dates), n_tiers + 1)
    return np.bincount(np.ravel_multi_index((place, column), shape), minlength=shape[0] * shape[1]).reshape(shape)


def _dates(
    log: ActivityLog, first: datetime.date | str | None, last: datetime.date | str | None, every: int
) -> list[datetime.date]:
    earliest, latest = log.observed_from, log.observed_until
    to = latest if last is None else calendar_day(last, "last")
    settled = min(earliest + datetime.timedelta(days=log.rule.idle_days), to)
    since = settled if first is None else calendar_day(first, "first")
    if not earliest <= since <= to <= latest:
        raise InputError(
            f"first and last must lie between {earliest} and {latest}, the days of the log, in this order; they are "
            f"{since} and {to}."
        )
    n = (to - since).days // every + 1
    if n > _MOST_DATES:
        raise InputError(f"{n:,} dates are more than {_MOST_DATES:,}. Choose a later first, or more days in every.")
    return [to - datetime.timedelta(days=every * k) for k in reversed(range(n))]


def _batches(dates: Sequence[datetime.date], n_users: int) -> Iterator[Sequence[datetime.date]]:
    """The dates in turns whose rows can be held in memory."""
    size = max(1, _ROWS // max(n_users, 1))
    yield from (dates[start : start + size] for start in range(0, len(dates), size))
