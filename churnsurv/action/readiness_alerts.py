"""Whether the alerts of a day jumped: what a table that is half there does to them, whatever it is."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from churnsurv.action.readiness_limits import Limits, one_level
from churnsurv.action.readiness_words import Checked, between, spelt
from churnsurv.errors import InputError

if TYPE_CHECKING:
    from churnsurv.warning.alerts import Alerts

__all__ = ["alert_checks"]

#: Alerts of several users have the same causes: their variance is taken to be at least this often a Poisson count's.
_OVERDISPERSED = 2.0


def alert_checks(
    alerts: Alerts,
    previous: Sequence[Alerts],
    *,
    day: datetime.date,
    jump: float,
    z: float,
    drawn: Alerts | None = None,
) -> Iterator[Checked]:
    """Users in tiers against the day before, and new alerts against the days replayed.

    The latter of the users `drawn` alone, where these are whom the days replayed are about.

    Raises
    ------
    InputError
        If the alerts are of another day, or the previous ones not of days before.
    """
    for given in (alerts, alerts if drawn is None else drawn):
        if given.as_of != day:
            raise InputError(
                f"alerts are of {given.as_of}, not of as_of, {day}. Pass alerts(scheme, log, as_of={day})."
            )
    status = alerts.table["status"].value_counts()
    new, resolved = int(status.get("new", 0)), int(status.get("resolved", 0))
    now = int(status.sum()) - resolved
    before = now - new + resolved
    # As many come as go, about, and nobody stays for longer than makes a churn; those who come are what is in question.
    flow = max(resolved, before / alerts.churn_rule.idle_days)
    moved = one_level(flow, z=z, spread=0.5 * _OVERDISPERSED**0.5)
    room = max(moved.upper, 1.0)
    limits = Limits(float(before), float(before), max(before - room, 0.0), before + room, 0.5)
    yield _jumped("users in tiers", now, limits, jump, f"{spelt(now, 'user')}; {before:,} on the day before.", before)
    if not previous:
        return
    for each in previous:
        if not each.as_of < day:
            raise InputError(f"previous must be alerts of days before {day}; there are those of {each.as_of}.")
    earlier = np.array([int((each.table["status"] == "new").sum()) for each in previous])
    expected = float(np.median(earlier))
    rest = np.abs(np.sqrt(earlier + 0.375) - np.sqrt(expected + 0.375))
    spread = max(0.5 * _OVERDISPERSED**0.5, 1.4826 * float(np.median(rest)))
    limits = one_level(expected, z=z, spread=spread, n=len(earlier))
    words = f"{spelt(new, 'new alert')}; {between(limits)}."
    if drawn is not None:
        new = int((drawn.table["status"] == "new").sum())
        share = f"of users drawn by their ids, of whom {drawn.counts['living']:,} live"
        words = f"{spelt(new, 'new alert')} {share}; {between(limits)}."
    yield _jumped("new alerts", new, limits, jump, words, expected)


def _jumped(name: str, n: int, limits: Limits, jump: float, words: str, expected: float) -> Checked:
    odd = not limits.lower <= n <= limits.upper
    verdict = "not ready" if n > limits.upper and n > jump * expected else "look" if odd else "fine"
    return Checked(name, n, limits.expected, limits.lower, limits.upper, verdict, words)
