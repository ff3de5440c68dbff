"""Alerts for people: the printed list, the table of a notebook, and one user in words."""

from __future__ import annotations

import bisect
import difflib
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError
from churnsurv.survival.frames import counted
from churnsurv.tables import html
from churnsurv.warning.explaining import explain
from churnsurv.warning.rules import IDLE_DAYS

if TYPE_CHECKING:
    import pandas as pd

    from churnsurv.warning.alerts import Alerts

__all__ = ["as_html", "explained", "headline", "listed"]

_COMPARED = 20_000  # ids that are compared letter by letter with one that is unknown
_WIDEST = 60
_RIGHT = ("idle", "left", "risk", "value at risk")
_BY = {
    "activity": "the user was active on that day",
    "churn": "the user counts as churned from that day on",
    "state": "no rule holds any more",
}


def headline(alerts: Alerts) -> str:
    """How many are in which tier, and what is new."""
    counts = alerts.counts
    by_tier = ", ".join(f"{n:,} {name}" for name, n in alerts.in_tier.items())
    changes = ", ".join(f"{counts[each]:,} {each}" for each in ("new", "upgraded", "lowered", "resolved"))
    living = counted(counts["living"], "living user")
    return f"{by_tier} at the end of {alerts.as_of}, of {living}; {changes} since the day before; {alerts.churn_rule}"


def listed(alerts: Alerts, limit: int) -> str:
    """The most urgent alerts as lines of text."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InputError(f"limit is a whole number of alerts, 1 or more; it is {limit!r}.")
    table = alerts._table
    head = f"Alerts at the end of {alerts.as_of}: {headline(alerts).replace(f' at the end of {alerts.as_of}', '')}."
    if not len(table):
        return f"{head}\nNobody is in a tier, and nobody was on the day before."
    shown = _readable(table.head(limit))
    columns = [_aligned(str(name), shown[name]) for name in shown]
    lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    rest = len(table) - len(shown)
    more = [f"... and {rest:,} more"] if rest else []
    return "\n".join([head, "", *lines, *more, "", *(f"- {note}" for note in alerts.notes)]).rstrip()


def _aligned(name: str, texts: Iterable[str]) -> list[str]:
    """A column with its name, all equally wide."""
    cells = [name, *map(_cut, texts)]
    width = max(map(len, cells))
    return [each.rjust(width) if name in _RIGHT else each.ljust(width) for each in cells]


def _cut(text: str) -> str:
    """One line, not too wide, whatever an id holds."""
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."


def as_html(alerts: Alerts) -> str:
    """The headline, the most urgent rows and the notes; user ids are never markup."""
    shown = _readable(alerts._table.head(html.SHOWN))
    return html.as_html(headline(alerts), shown, rows=len(alerts._table), notes=alerts.notes)


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """What people look at, as text."""
    import pandas as pd

    rows = [_line(row) for row in table.itertuples()]
    names = ("tier", "user", "status", "idle", "left", "risk", "value at risk", "since", "because")
    found = pd.DataFrame(rows, columns=list(names))
    return found if found["value at risk"].ne("").any() else found.drop(columns="value at risk")


def _line(row: Any) -> dict[str, str]:
    return {
        "tier": _text(row.tier),
        "user": str(row.user_id),
        "status": row.status if row.status != "resolved" else f"resolved by {row.resolved_by}",
        "idle": str(row.idle_days),
        "left": str(row.days_left),
        "risk": _percent(row.risk),
        "value at risk": "" if math.isnan(row.value_at_risk) else f"{row.value_at_risk:,.0f}",
        "since": f"{row.since:%Y-%m-%d}",
        "because": f"{_text(row.fired)}{' (held)' if row.held else ''}",
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.0%}"


# ------------------------------------------------------------------------------------------------------------- one user


def explained(alerts: Alerts, user_id: object) -> str:
    """Why a user has an alert; see `Alerts.explain`."""
    place = _place(alerts, user_id)
    row = alerts._table.iloc[place]
    known, day = row["user_id"], alerts.as_of
    if not isinstance(row["tier"], str):
        return (
            f"User {known} has left the warning tier {row['previous_tier']} at the end of {day}: "
            f"{_BY[row['resolved_by']]}. The user had been in a tier since {row['since']:%Y-%m-%d}."
        )
    if row["held"]:
        tier = next(tier for tier in alerts._scheme.tiers if tier.name == row["tier"])
        when = counted(row["days_left"], "day")
        parts = [
            f"User {known} is kept in the warning tier {row['tier']} at the end of {day} by hysteresis: {row['fired']} "
            f"holds ({_values(alerts, place)}), though {tier.rule} does not.",
            f"Without activity the user counts as churned in {when}, on {row['churn_date']:%Y-%m-%d}.",
        ]
    else:
        state = alerts._states.iloc[[place]].assign(user_id=[known], date=[row["date"]], idle_days=[row["idle_days"]])
        parts = [explain(alerts._scheme, state, known).text]
    return " ".join([*parts, _since(row), *_chance(row)])


def _place(alerts: Alerts, user_id: object) -> int:
    """Position of the user; ids are compared as they print, as an operator types them."""
    text = alerts._table["user_id"].astype(str)
    found = (text == str(user_id)).to_numpy().nonzero()[0]
    if found.size:
        return int(found[0])
    ordered = sorted(text)
    at = bisect.bisect_left(ordered, str(user_id))
    near = difflib.get_close_matches(
        str(user_id), ordered[max(at - _COMPARED // 2, 0) : at + _COMPARED // 2], n=3, cutoff=0.0
    )
    raise InputError(
        f"User {str(user_id)!r} has no alert on {alerts.as_of}, and had none on the day before. The nearest ids with "
        f"one are {', '.join(map(repr, near)) or 'none'}."
    )


def _values(alerts: Alerts, place: int) -> str:
    names = dict.fromkeys(name for tier in alerts._scheme.tiers for name in tier.rule.variables if name != IDLE_DAYS)
    return ", ".join(f"{name} is {alerts._states[name].iloc[place]:,.12g}" for name in names)


def _since(row: pd.Series[Any]) -> str:
    since, tier_since = (f"{row[name]:%Y-%m-%d}" for name in ("since", "tier_since"))
    if row["status"] == "new":
        return "The alert is new."
    begun = f"in a tier since {since}" + ("" if since == tier_since else f", in this one since {tier_since}")
    if row["status"] == "continued":
        return f"The user is {begun}."
    return f"The tier was {row['previous_tier']} on the day before; the user is {begun}."


def _chance(row: pd.Series[Any]) -> list[str]:
    if math.isnan(row["risk"]):
        return []
    limits = "" if math.isnan(row["risk_lower"]) else f" ({row['risk_lower']:.0%} to {row['risk_upper']:.0%})"
    parts = [f"The chance to churn is {row['risk']:.0%}{limits}; what speaks for it most is {row['weighs']}."]
    if not math.isnan(row["value_at_risk"]):
        parts.append(f"At risk are {row['value_at_risk']:,.0f} of {row['margin']:,.0f}.")
    return parts
