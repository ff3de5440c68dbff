"""The churn monitor of a day: whether fewer users return than expected, in which groups, and since when.

It is news for people: it sends nothing, and stops nothing. A log that it cannot watch is said to be so, and the day
goes on.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from churnsurv.errors import ChurnsurvError, require_columns

if TYPE_CHECKING:
    from churnsurv.action.readiness import Readiness
    from churnsurv.data import ActivityLog
    from churnsurv.diagnosis.monitor import ChurnMonitor
    from churnsurv.study.score_keys import MonitorKeys
    from churnsurv.study.study import Study

__all__ = ["Watched", "open_alarms", "require_group", "watch_returns"]

#: The chart of all groups together, and the key of the study that asks for it alone.
_ALL = "(all)"
_ONE_DAY = datetime.timedelta(days=1)
#: Parts of an alarm that are shown carry at least this share of it.
_LEAST_SHARE = 0.1
#: Days, or groups pooled, that a line names before it counts the others.
_NAMED = 5
_SIZES = ("ratio", "lower", "upper", "missing", "missing_lower", "missing_upper")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Watched:
    """What the monitor says of a day.

    Attributes
    ----------
    as_of : date
    keys : MonitorKeys
    monitor : ChurnMonitor or None
        None where nothing could be watched.
    reason : str or None
        Why not.
    left_out : tuple of date
        Days that were never loaded in full: neither learnt from nor judged.
    """

    as_of: datetime.date
    keys: MonitorKeys
    monitor: ChurnMonitor | None
    reason: str | None
    left_out: tuple[datetime.date, ...] = ()

    def to_text(self) -> str:
        """A line for each open alarm, and one where there is none."""
        if self.monitor is None:
            return f"Returns: not watched. {self.reason}"
        found, (nowhere, _) = open_alarms(self.monitor), self._unjudged()
        lines = []
        for each in found:
            lines.append(f"Returns: fewer than expected {_where(each, self.monitor, found)}.")
            if each["carriers"]:
                lines.append(f"  {'; '.join(_carried(each))}.")
        if self.as_of in nowhere:
            lines.append(f"Returns: {self.as_of} is not judged: a holiday of a kind that the days learnt from lack.")
        if not found:
            until = " before it" if self.as_of in nowhere else f" watched up to {self.as_of}"
            lines.append(f"Returns: no alarm; {_charts(self.monitor)}{until}.")
        return "\n".join([*lines, *self._not_judged()])

    def _not_judged(self) -> Iterator[str]:
        """The days before that no alarm can be of, by the reason."""
        nowhere, partly = self._unjudged()
        for what, days in (
            ("Not loaded in full, and not judged", self.left_out),
            (
                "Not judged, as holidays of a kind that the days learnt from lack",
                [d for d in nowhere if d < self.as_of],
            ),
            ("Not judged in some charts, for holidays of a kind that their days learnt from lack", partly),
        ):
            if days:
                yield f"  {what}: {_some([str(day) for day in days])}."

    def _unjudged(self) -> tuple[list[datetime.date], list[datetime.date]]:
        """Days that no chart judges, and that some do not, without those left out.

        The chart of all groups together is passed over where there are others: it also looks away from known alarms.
        """
        assert self.monitor is not None  # noqa: S101
        days = self.monitor.table
        parts = days[days["group"] != _ALL]
        judged = (parts if len(parts) else days).groupby("date")["judged"].agg(["any", "all"])
        judged = judged[[each.date() not in self.left_out for each in judged.index]]
        nowhere, partly = judged.index[~judged["any"]], judged.index[judged["any"] & ~judged["all"]]
        return [each.date() for each in nowhere], [each.date() for each in partly]

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        said = self.reason if self.monitor is None else self.monitor._headline()
        return f"<Watched: {self.as_of}; {said}>"

    def facts(self) -> dict[str, Any]:
        """What the operators' page shows."""
        monitor = self.monitor
        if monitor is None:
            return {"alarms": [], "reason": self.reason}
        nowhere, partly = self._unjudged()
        return {
            "alarms": open_alarms(monitor),
            "reason": None,
            "by": monitor.by,
            "charts": len(monitor.groups),
            "judged": self.as_of not in nowhere,
            "unjudged": [str(day) for day in nowhere if day < self.as_of],
            "partly": [str(day) for day in partly],
            "false_alarms": monitor.false_alarms,
            "level": monitor.level,
            "left_out": [str(day) for day in self.left_out],
        }


def require_group(study: Study, log: ActivityLog) -> None:
    """Refuse groups that the users do not have, before anything is computed; "channel" is watched where it is there.

    Raises
    ------
    SchemaError
        With the columns that there are.
    """
    keys = study.config.score_monitor
    if keys.on and keys.by not in ("channel", "stage", _ALL):
        require_columns("users", [keys.by], [*log._reading.users_read.attributes, "cohort"])


def watch_returns(study: Study, log: ActivityLog, ready: Readiness) -> Watched | None:
    """Watch the returns up to a day whose readiness is known; None where the study does not want it.

    The log is taken as it was known at the end of the day, and days before that were never loaded in full are left out,
    by the limits of [score.ready]. Of the calendar only the kinds of why.holidays are holidays, as in the study: an
    outage that somebody enters is no reason to look away from it.
    """
    from churnsurv.diagnosis.monitor import churn_monitor
    from churnsurv.study.side_tables import calendar_of
    from churnsurv.study.why import holidays_of

    keys, day = study.config.score_monitor, ready.as_of
    if not keys.on:
        return None
    if not ready.ready:
        return Watched(day, keys, None, f"{day} is not there in full.")
    try:
        known = log.as_of(day)
        left_out = _left_out(study, known, day)
        found = churn_monitor(
            known,
            by=None if keys.by == _ALL else keys.by,
            train=keys.train,
            watch=keys.watch,
            smallest_drop=keys.smallest_drop,
            false_alarms=keys.false_alarms,
            holidays=holidays_of(study.config, calendar_of(study.config, study.base, log.engine)),
            by_stage=keys.by_stage,
            min_users=keys.min_users,
            until=day,
            leave_out=left_out,
            level=study.config.level,
        )
    except ChurnsurvError as error:
        # the argument is a key of the daily run here
        return Watched(day, keys, None, str(error).replace("lower train", "lower score.monitor.train"))
    first = found.first_day
    return Watched(day, keys, found, None, tuple(each for each in left_out if each >= first))


def _left_out(study: Study, known: ActivityLog, day: datetime.date) -> tuple[datetime.date, ...]:
    """The days before that were never loaded in full: all of them, since charts are kept from the first day on."""
    from churnsurv.action.readiness_days import thin_days

    keys = study.config.score_ready
    return thin_days(known, first=known.observed_from, last=day - _ONE_DAY, weeks=keys.weeks, thin=keys.thin)


def open_alarms(monitor: ChurnMonitor) -> list[dict[str, Any]]:
    """The open alarms, groups before all together, each with the returns that are missing and who carries it."""
    alarms, groups = monitor.open_alarms, monitor.groups
    pooled = dict(zip(groups["group"], groups["pooled"], strict=True))
    found = []
    for row in alarms.to_dict("records"):
        carriers = monitor.carriers
        mine = carriers[(carriers["group"] == row["group"]) & (carriers["alarm_on"] == row["alarm_on"])]
        found.append(
            {
                "group": str(row["group"]),
                "members": _members(pooled.get(row["group"])),
                **{name: str(row[name])[:10] for name in ("alarm_on", "begun", "begun_lower", "begun_upper")},
                **{name: float(row[name]) for name in _SIZES},
                "carriers": [
                    {"split": str(each["split"]), "value": str(each["value"]),
                     "missing": float(each["missing"]), "share": float(each["share"])}
                    for each in mine.to_dict("records") if each["share"] >= _LEAST_SHARE
                ],
            }
        )  # fmt: skip
    return sorted(found, key=lambda each: bool(each["group"] == _ALL))


def _members(pooled: Any) -> list[str]:
    """The values that a chart holds where they are small, the largest first; none where it is of one value."""
    return pooled.split(", ") if isinstance(pooled, str) else []


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _charts(monitor: ChurnMonitor) -> str:
    n = len(monitor.groups)
    return "1 chart" if n == 1 else f"{n} charts"


def _where(alarm: Mapping[str, Any], monitor: ChurnMonitor, found: list[dict[str, Any]]) -> str:
    """Where, since when and how many, in a line."""
    group, members = f"{monitor.by} {alarm['group']}", alarm["members"]
    if members:
        first, more = members[:2], len(members) - 2
        named = f"{', '.join(first)} and {more:,} more" if more > 0 else " and ".join(first)
        group = f"{monitor.by} {named}{' together' if len(members) > 1 else ''}"
    if len(monitor.groups) == 1:
        group = "all users together"
    elif alarm["group"] == _ALL:
        group = "all other groups together" if len(found) > 1 else "all users together"
    since = f"{alarm['begun']} ({alarm['begun_lower']} to {alarm['begun_upper']})"
    limits = f"{alarm['missing_lower']:,.0f} to {alarm['missing_upper']:,.0f}"
    return f"in {group} since {since}, about {alarm['missing']:,.0f} missing ({limits})"


def _carried(alarm: Mapping[str, Any]) -> Iterator[str]:
    """Which parts the missing returns belong to, a text for each split."""
    for split in dict.fromkeys(each["split"] for each in alarm["carriers"]):
        parts = [f"{each['value']} {each['missing']:,.0f}" for each in alarm["carriers"] if each["split"] == split]
        yield f"missing by {split}: {', '.join(parts)}"
