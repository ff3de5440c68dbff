"""Why they leave, in a study: reasons as far as users said them, problems, returns day by day, effects of dates.

What a log cannot tell is absent, with the reason in one line. Only our own errors are reasons; any other is a fault of
ours and is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from churnsurv.errors import ChurnsurvError, InputError, did_you_mean
from churnsurv.notes import Note, note
from churnsurv.study.parts import left_out, part
from churnsurv.study.side_tables import answers_of, calendar_of, reasons_of
from churnsurv.study.text import one_line
from churnsurv.study.why_keys import in_keys
from churnsurv.tables.said import said_list

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

    from churnsurv.data import ActivityLog
    from churnsurv.diagnosis.calendar import Event
    from churnsurv.diagnosis.experience import Experience
    from churnsurv.diagnosis.monitor import ChurnMonitor
    from churnsurv.diagnosis.reasons import ChurnReasons
    from churnsurv.diagnosis.shock import ShockEffect
    from churnsurv.study.config import StudyConfig
    from churnsurv.study.study import Study

__all__ = ["PARTS", "PROBLEMS", "WhyTheyLeave", "dated_entries", "holidays_of", "why_they_leave"]

#: The parts and what notes call them.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "reasons": note("reasons of churn"),
        "reasons_by": note("reasons of churn by group"),
        "experience": note("problems that users met"),
        "monitor": note("returns watched day by day"),
        "shocks": note("returns after dates"),
    }
)
#: Kinds of events that are problems unless the study says otherwise: as many of these as the log has.
PROBLEMS = ("crash", "lag", "complaint")
Table: TypeAlias = "pd.DataFrame"


@dataclass(frozen=True, slots=True, eq=False)
class WhyTheyLeave:
    """Why users leave. Each part is None where it was not asked for, or where the log cannot tell it.

    Attributes
    ----------
    reasons : ChurnReasons or None
        Of all users, without regressions by reason. None without feedback.
    reasons_by : ChurnReasons or None
        By the group of the study.
    experience : Experience or None
        Problems and satisfaction, without the lagged history. None where the log has no kinds of problems.
    monitor : ChurnMonitor or None
    shocks : ShockEffect or None
        None where the calendar has no shock.
    absent : mapping of part to text
        Why a part that was asked for is not there, in the words of the study file.
    remarks : tuple of str
        What was left out of a part that is there, and why.
    """

    reasons: ChurnReasons | None = None
    reasons_by: ChurnReasons | None = None
    experience: Experience | None = None
    monitor: ChurnMonitor | None = None
    shocks: ShockEffect | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "absent", MappingProxyType(dict(self.absent)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What is absent and why, one line each; parts with the same reason together."""
        return (*left_out(self.absent, PARTS), *self.remarks)


def why_they_leave(study: Study, *, only_try: bool = False) -> WhyTheyLeave:
    """Compute every part that the study asks for and its log can tell.

    Parameters
    ----------
    study : Study
    only_try : bool
        Leave out what takes long and can hardly fail: the monitor, placebo dates, and reasons by group.

    Raises
    ------
    InputError
        If a table beside the log, or the calendar, cannot be used.
    """
    config, log = study.config, study.log
    if not config.why_on:
        return WhyTheyLeave()
    absent: dict[str, str] = {}
    remarks: list[str] = []
    engine = log.engine
    mapping, answers = reasons_of(config, study.base, engine), answers_of(config, study.base, engine)
    shocks, holidays = dated_entries(config, calendar_of(config, study.base, engine))
    reasons = part("reasons", absent, lambda: _reasons(log, config, mapping, None))
    experience = part("experience", absent, lambda: _experience(log, config, answers, remarks))
    half = None if only_try and shocks is None else _half_loaded(log)
    found: dict[str, Any] = {"experience": experience, "reasons": reasons}
    if _group(config) and reasons is not None and not only_try:
        found["reasons_by"] = part("reasons_by", absent, lambda: _reasons(log, config, mapping, _group(config)))
    if config.why_monitor.on and not only_try:
        found["monitor"] = part("monitor", absent, lambda: _monitor(log, config, holidays, half))
        if half is not None and found["monitor"] is not None:
            remarks.append(
                note("Returns are watched up to the day before {day}: the last day is not there in full.", day=half)
            )
    if config.why_shocks.on:
        found["shocks"] = part(
            "shocks", absent, lambda: _shocks(log, config, shocks, holidays, half, placebo=not only_try)
        )
    told = {name: reason if isinstance(reason, Note) else in_keys(name, reason) for name, reason in absent.items()}
    return WhyTheyLeave(**found, absent=told, remarks=tuple(remarks))


def dated_entries(config: StudyConfig, calendar: Table | None) -> tuple[Table | None, Table | None]:
    """Return the entries of a calendar that are looked at as shocks, and those that are holidays; None without any.

    Raises
    ------
    InputError
        If the calendar lacks an entry that the study names.
    """
    from churnsurv.diagnosis.calendar import read_calendar

    asked, events = config.why_shocks, read_calendar(calendar)
    names = [event.name for event in events]
    for name in asked.names:
        if name not in names:
            hint = did_you_mean(name, names)
            raise InputError(f"The calendar has no entry {name!r}.{hint} Entries: {', '.join(names[:20]) or 'none'}.")
    shocks, holidays = _told_apart(config, events)
    return _calendar(shocks), _calendar(holidays)


def holidays_of(config: StudyConfig, calendar: Table | None) -> Table | None:
    """Return the entries of a calendar that are holidays, as `dated_entries` does; None without any."""
    from churnsurv.diagnosis.calendar import read_calendar

    return _calendar(_told_apart(config, read_calendar(calendar))[1])


def _told_apart(config: StudyConfig, events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    asked = config.why_shocks
    shocks = [each for each in events if (each.name in asked.names if asked.names else each.kind in asked.kinds)]
    return shocks, [each for each in events if each.kind in config.why_holidays and each not in shocks]


def _calendar(events: Sequence[Event]) -> pd.DataFrame | None:
    import pandas as pd

    if not events:
        return None
    rows = [(each.name, each.kind, each.start, each.end) for each in events]
    return pd.DataFrame(rows, columns=["name", "kind", "start", "end"])


def _group(config: StudyConfig) -> str | None:
    """The one column of groups; a month of registration tells little of why users leave, and there are many."""
    if config.why_by is not None:
        return next(iter(config.why_by), None)
    return next((name for name in config.by if name != "cohort"), None)


def _half_loaded(log: ActivityLog) -> date | None:
    """The last day of the log, if it is not there in full: what did not come looks like returns that did not."""
    from churnsurv.action.readiness import readiness

    return None if readiness(log, as_of=log.observed_until).ready else log.observed_until


def _reasons(log: ActivityLog, config: StudyConfig, mapping: pd.DataFrame | None, by: str | None) -> ChurnReasons:
    from churnsurv.diagnosis.reasons import churn_reasons

    if "feedback" not in config.sources:
        raise InputError(note("There is no feedback of users: sources.feedback has user_id, date and reason."))
    if log._reading.feedback_counts["feedback"] == 0:
        raise InputError(_no_feedback(log))
    return churn_reasons(
        log,
        mapping=mapping,
        within=config.why_within,
        by=by,
        horizon=config.why_horizon,
        weights_on=config.why_weights,
        models=False,
        level=config.level,
    )


def _no_feedback(log: ActivityLog) -> str:
    rejects = log._reading.rejects.to_pandas()
    why = rejects.loc[rejects["table"] == "feedback", "reason"].value_counts()
    said = ", ".join(f"{n:,} {reason}" for reason, n in why.items()) or "there are none"
    return f"None of the answers of sources.feedback can be used: {said}. Check its ids and dates, and the window."


def _experience(
    log: ActivityLog, config: StudyConfig, answers: pd.DataFrame | None, remarks: list[str]
) -> Experience | None:
    """Problems that users met, without satisfaction where its answers cannot be used: they need none."""
    kinds = config.why_problems
    if kinds is None:
        there = log._reading.audit.kinds
        kinds = tuple(kind for kind in PROBLEMS if kind in there)
        if not kinds:
            raise InputError(
                note(
                    "No event is of the kind {kinds} or {last}: see why.problems.",
                    kinds=said_list(PROBLEMS[:-1]),
                    last=PROBLEMS[-1],
                )
            )
    if not kinds:
        return None
    from churnsurv.diagnosis.experience import experience_hazard

    asked: dict[str, Any] = {"lasting": False, "level": config.level}
    try:
        return experience_hazard(log, kinds, answers=answers, **asked)
    except ChurnsurvError:
        fault = _fault_of(answers, log)
        if fault is None:
            raise
    found = experience_hazard(log, kinds, **asked)
    remarks.append(note("Satisfaction is left out. {fault}", fault=fault))
    return found


def _fault_of(answers: pd.DataFrame | None, log: ActivityLog) -> str | None:
    """Why none of the answers can be used; None where some can, and where there is no table of them."""
    from churnsurv.diagnosis.experience_answers import answers_of as usable

    if answers is None:
        return None
    try:
        usable(log, answers, {})
    except ChurnsurvError as error:
        return in_keys("answers", one_line(error))
    return None


def _monitor(log: ActivityLog, config: StudyConfig, holidays: pd.DataFrame | None, half: date | None) -> ChurnMonitor:
    from churnsurv.diagnosis.monitor import churn_monitor

    asked = config.why_monitor
    return churn_monitor(
        log,
        _group(config),
        train=asked.train,
        watch=asked.watch,
        smallest_drop=asked.smallest_drop,
        false_alarms=asked.false_alarms,
        holidays=holidays,
        min_users=asked.min_users,
        until=None if half is None else half - timedelta(days=1),
        seed=config.seed or 0,
        level=config.level,
    )


def _shocks(
    log: ActivityLog,
    config: StudyConfig,
    shocks: pd.DataFrame | None,
    holidays: pd.DataFrame | None,
    half: date | None,
    *,
    placebo: bool,
) -> ShockEffect | None:
    from churnsurv.diagnosis.shock import shock_effect

    asked = config.why_shocks
    if shocks is None:
        return None
    return shock_effect(
        log,
        shocks,
        by=_group(config),
        untouched=asked.untouched,
        before=asked.before,
        after=asked.after,
        reaches=asked.reaches,
        holidays=holidays,
        leave_out=[] if half is None else [half],
        placebo=placebo,
        level=config.level,
    )
