"""What a check of readiness found, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from churnsurv.action.readiness_limits import Limits

__all__ = ["Checked", "about_hours", "about_rows", "about_share", "between", "spelt"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One check; the fields are the columns of the schema "readiness"."""

    check: str
    n: int
    expected: float | None
    lower: float | None
    upper: float | None
    verdict: str
    words: str

    def as_fine(self) -> Checked:
        """The same, with nothing to look at."""
        return replace(self, verdict="fine")


def spelt(n: int, what: str) -> str:
    """A number of things.

    Examples
    --------
    >>> spelt(1, "event"), spelt(1200, "event")
    ('1 event', '1,200 events')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def between(limits: Limits) -> str:
    """What is expected, and between which limits ordinary days stay.

    Examples
    --------
    >>> between(Limits(100.2, 90.0, 61.7, 148.3, 0.5))
    '100 expected, 62 to 148 on ordinary days'
    """
    return f"{limits.expected:,.0f} expected, {limits.lower:,.0f} to {limits.upper:,.0f} on ordinary days"


def about_rows(n: int, what: str, limits: Limits) -> str:
    """How many rows there are, and should be."""
    return f"{spelt(n, what)}; {between(limits)}."


def about_hours(n: int, hour: int, limits: Limits) -> str:
    """How many events the day has from an hour on."""
    return f"{spelt(n, 'event')} from {hour:02d}:00 on; {between(limits)}."


def about_share(n: int, rows: int, share: float, usual: float) -> str:
    """How many rows cannot be used.

    Examples
    --------
    >>> about_share(12, 400, 0.03, 0.0)
    '12 of 400 rows cannot be used (3.0%; usually 0.0%).'
    """
    return f"{n:,} of {rows:,} rows cannot be used ({100 * share:.1f}%; usually {100 * usual:.1f}%)."
