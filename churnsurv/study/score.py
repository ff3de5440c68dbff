"""The daily run: is the day there, who is warned about, who fails to return, what is planned, recorded and written.

Files are made beside their places, then the ledger records, then they take their places. Killed between, a later run
finds them there, whatever has changed meanwhile; a contact that nobody recorded is in no folder that anybody reads.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.errors import ChurnsurvError, InputError, require_columns
from churnsurv.study.progress import stages
from churnsurv.study.score_before import before_of, compared
from churnsurv.study.score_folders import PAGE, Prepared, day_folder
from churnsurv.study.score_monitor import require_group, watch_returns
from churnsurv.study.side_tables import people_of, table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from churnsurv.action.ledger import Ledger, Recorded
    from churnsurv.action.plan import Plan
    from churnsurv.action.policy import Policy
    from churnsurv.action.readiness import Readiness
    from churnsurv.data import ActivityLog
    from churnsurv.study.score_before import Before
    from churnsurv.study.score_monitor import Watched
    from churnsurv.study.study import Study
    from churnsurv.warning.alerts import Alerts
    from churnsurv.warning.scheme import TierScheme

__all__ = ["Score", "fit_study_tiers", "read_policy", "read_scheme", "score_study"]

STAGES = ("is the day there", "alerts", "do alerts jump", "do users return", "plan", "record and write")
_SHOWN = 20
#: Users of a big log whose alerts are replayed to see whether they jump.
_DRAWN = 30_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Score:
    """What the run of a day found and did; made by `Study.score`.

    Attributes
    ----------
    as_of : date
    readiness : Readiness
    alerts : Alerts
    plan : Plan or None
        None without a policy. Of a day that was recorded before: as it would be planned now.
    recorded : Recorded or None
        What the ledger says; None where nothing was to be recorded.
    dry_run : bool
        Whether the plan was not recorded and is not to be sent.
    page : Path
        The operators' page.
    folders : tuple of Path
        Where the files are: alerts, and the plan where there is one.
    opted_out : tuple
        Users of a day recorded before who have opted out of their contact since.
    remarks : tuple of str
        Why it is a dry run, or what was done before and has changed since.
    watched : Watched or None
        What the monitor says of the returns; None where the study does not want it.
    """

    as_of: datetime.date
    readiness: Readiness
    alerts: Alerts
    plan: Plan | None
    recorded: Recorded | None
    dry_run: bool
    page: Path
    folders: tuple[Path, ...]
    opted_out: tuple[Any, ...] = ()
    remarks: tuple[str, ...] = ()
    watched: Watched | None = None

    def to_text(self) -> str:
        """What was found and done, in a few lines."""
        lines = [f"Ready: {self.readiness._headline()}", f"Alerts: {self.alerts._headline()}"]
        if self.watched is not None:
            lines.append(self.watched.to_text())
        if self.plan is not None:
            again = self.recorded is not None and self.recorded.already
            lines.append(f"Plan{' as of now' if again else ''}: {self.plan._headline()}")
            if self.recorded is not None:
                lines.append(f"Ledger: {self.recorded}")
            elif self.dry_run:
                lines.append("Ledger: nothing was recorded, and nothing of this plan is to be sent (dry run)")
        return "\n".join([*lines, *self.remarks])

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        planned = "" if self.plan is None else f"; {self.plan._headline()}"
        return f"<Score: {self.as_of}; {self.alerts._headline()}{planned}>"


def fit_study_tiers(
    study: Study, *, until: datetime.date | str | None = None, output: str | Path | None = None
) -> tuple[TierScheme, Path, tuple[str, ...]]:
    """Fit the tiers of a study to what was known at the end of a day, and save them where the daily run looks.

    Parameters
    ----------
    study : Study
    until : date or ISO text, optional
        By default all of the log.
    output : path, optional
        By default `score.scheme` of the study.

    Returns
    -------
    TierScheme, Path, tuple of str
        The scheme, its file, and what a reader must know.

    Raises
    ------
    InputError
        If the study has no tiers, or the log cannot tell them.
    """
    from churnsurv.study.run import gather_notes
    from churnsurv.study.warn import tiers_of

    if not study.config.warning_tiers:
        raise InputError(
            "The study has no tiers. Say what each is for: sections such as [warning.tiers.high] with precision = 0.5."
        )
    known = study if until is None else replace(study, _made={"log": study.log.as_of(until)})
    remarks: list[str] = []
    with gather_notes() as notes:
        scheme = tiers_of(known, remarks)
    place = study.base / study.config.score_scheme if output is None else Path(output)
    return scheme, scheme.save(place), (*remarks, *notes)


def score_study(study: Study, as_of: datetime.date | str, *, dry_run: bool = False, progress: bool = False) -> Score:
    """Check, warn, plan, record and write one day; `Study.score` has the parameters.

    Raises
    ------
    DataNotReadyError
        If the data of the day are not there in full, or another process has the ledger open. Nothing is written.
    InputError
        If a file of the daily run is missing or wrong, or the day cannot be recorded. Nothing is written then either.
    """
    from churnsurv.data.rule import calendar_day

    day = calendar_day(as_of, "as_of")
    with stages(STAGES, progress=progress) as stage:
        stage()
        scheme, policy, log = read_scheme(study), read_policy(study), log_of_day(study)
        require_group(study, log)
        ledger = None if policy is None else ledger_of(study)
        folder = study.base / study.config.score_folder
        before = None
        if policy is not None and ledger is not None and not dry_run:
            before = before_of(folder, ledger, policy.campaign, day)
        ready = _ready(study, log, day)
        if before is None:
            ready.raise_unless_ready()
        stage()
        found = _alerts(study, scheme, log, day, policy)
        stage()
        ready = _with_jumps(study, scheme, log, found, ready)
        if before is None:
            ready.raise_unless_ready()
        stage()
        made = _Made(study, scheme, folder, ready, found, watch_returns(study, log, ready))
        stage()
        planned = None if policy is None or ledger is None else _planned(study, found, policy, ledger, log)
        stage()
        if planned is None or ledger is None:
            return made.alone(folder / "dry-run" if dry_run else folder)
        if before is not None:
            return made.again(planned, before)
        why = _why_dry(study, planned, log, dry_run=dry_run)
        if why is not None:
            return made.dry(planned, folder / "dry-run" if dry_run else folder, why)
        return made.recorded(planned, ledger)


@dataclass(frozen=True, slots=True)
class _Made:
    """What a day is, and how it ends."""

    study: Study
    scheme: TierScheme
    folder: Path
    ready: Readiness
    found: Alerts
    watched: Watched | None

    def _prepared(self, plan: Plan | None, folder: Path, *, dry: bool) -> Prepared:
        keys = self.study.config
        return Prepared.of(
            self.found, plan, self.ready, self.scheme, folder, dry=dry, rows=keys.score_rows, lang=keys.lang,
            watched=self.watched,
        )  # fmt: skip

    def _score(self, plan: Plan | None, recorded: Recorded | None, page: Path, folders: tuple[Path, ...],
               *, dry: bool = False, out: tuple[Any, ...] = (), remarks: tuple[str, ...] = ()) -> Score:  # fmt: skip
        day = self.found.as_of
        return Score(day, self.ready, self.found, plan, recorded, dry, page, folders, out, remarks, self.watched)

    def alone(self, folder: Path) -> Score:
        """Write the alerts of a study without a policy."""
        prepared = self._prepared(None, folder, dry=False)
        return self._score(None, None, prepared.page, prepared.write())

    def dry(self, plan: Plan, folder: Path, why: str) -> Score:
        """Write a plan that is not to be sent."""
        prepared = self._prepared(plan, folder, dry=True)
        return self._score(plan, None, prepared.page, prepared.write(), dry=True, remarks=(why,) if why else ())

    def recorded(self, plan: Plan, ledger: Ledger) -> Score:
        """Record a plan and write it."""
        prepared = self._prepared(plan, self.folder, dry=False)
        done, folders = prepared.write_recorded(lambda: ledger.record(plan), key=plan.digest)
        return self._score(plan, done, prepared.page, folders)

    def again(self, plan: Plan, before: Before) -> Score:
        """Leave the files of a day that is recorded, or write those that are gone, and say what has changed since."""
        keys, day = self.study.config, self.found.as_of
        now = compared(before, plan, people_of("opt_outs", keys, self.study.base, self.study.log.engine))
        if before.whole:
            said = "A run before had made its files; they were put in place." if before.put else "Its files stay."
            places = [day_folder(self.folder, each, day) for each in ("alerts", "monitor", "plan")]
            folders = tuple(each.expanduser().resolve() for each in places if each.exists())
            page = folders[-1] / PAGE
        elif plan.digest == before.digest:
            prepared = self._prepared(plan, self.folder, dry=False)
            said, page, folders = "Its files were gone; the same were written.", prepared.page, prepared.write()
        else:
            left = before.contacts[~now.out].reset_index(drop=True)
            prepared = Prepared.of_recorded(
                self.found, plan, left, self.ready, self.scheme, self.folder, digest=before.digest,
                rows=keys.score_rows, lang=keys.lang, watched=self.watched,
            )  # fmt: skip
            said = "Its files were gone; its contacts were written from the ledger, less opt-outs of now."
            page, folders = prepared.page, prepared.write()
        n, m = now.n_differ, len(now.opted_out)
        ids = f": {', '.join(map(str, now.opted_out[:_SHOWN]))}{' ...' if m > _SHOWN else ''}" if m else ""
        changed = f"{n:,} contacts would differ now, {m:,} of its contacts have opted out since{ids}."
        remarks = (f"Done before. {said} {changed}",)
        return self._score(plan, before.recorded, page, folders, out=now.opted_out, remarks=remarks)


def _why_dry(study: Study, plan: Plan, log: ActivityLog, *, dry_run: bool) -> str | None:
    """Why a plan of a day that is not recorded is not to be sent, in words; None where it is."""
    late = (log.observed_until - plan.date).days
    if dry_run:
        return ""
    if plan.dry_run:
        return f"A dry run: {plan.date} was not recorded, and a later day has been."
    if late > study.config.score_late:
        return (
            f"A dry run: {plan.date} lies {late:,} days before the end of the log, {log.observed_until}. Days up to "
            f"{study.config.score_late} before it are recorded and sent; score.late changes that."
        )
    return None


def read_scheme(study: Study) -> TierScheme:
    """Read the tiers that `churnsurv tiers` saved.

    Raises
    ------
    InputError
        If there are none, or the file holds something else.
    """
    from churnsurv.tables.saved import load
    from churnsurv.warning.scheme import TierScheme

    path = study.base / study.config.score_scheme
    if not path.exists():
        raise InputError(
            f"score.scheme: there is no file {study.config.score_scheme!r}. Fit the tiers of the study once: "
            "churnsurv tiers STUDY."
        )
    scheme = load(path)
    if not isinstance(scheme, TierScheme):
        raise InputError(f"score.scheme: {study.config.score_scheme!r} holds no tiers, but a {type(scheme).__name__}.")
    return scheme


def read_policy(study: Study) -> Policy | None:
    """Read the policy; None where the study has none.

    Raises
    ------
    InputError
        With everything that is wrong with it.
    """
    from churnsurv.action.policy import Policy

    name = study.config.score_policy
    return None if name is None else Policy.from_toml(study.base / name)


def ledger_of(study: Study) -> Ledger:
    """The ledger of a study; its file is made by the first plan that is recorded."""
    from churnsurv.action.ledger import Ledger

    return Ledger(study.base / study.config.score_ledger)


def log_of_day(study: Study) -> ActivityLog:
    """The log of the study up to its real end, which may be later than `window.observed_until`.

    A study looks back at days that are known in full; a daily run is about the one that has just come in.
    """
    if study.config.observed_until is None:
        return study.log
    return replace(study, config=replace(study.config, observed_until=None), _made={}).log


def _ready(study: Study, log: ActivityLog, day: datetime.date) -> Readiness:
    from churnsurv.action.readiness import readiness

    keys = study.config.score_ready
    return readiness(log, as_of=day, weeks=keys.weeks, thin=keys.thin, rejects=keys.rejects, jump=keys.jump)


def _alerts(study: Study, scheme: TierScheme, log: ActivityLog, day: datetime.date, policy: Policy | None) -> Alerts:
    from churnsurv.warning.alerts import alerts

    return alerts(
        scheme,
        log,
        as_of=day,
        margin=_margin(study, log),
        features=() if policy is None else policy.features,
        level=study.config.level,
        **_replayable(study, log),
    )


def _replayable(study: Study, log: ActivityLog) -> Mapping[str, Any]:
    """What alerts of other days are computed with too."""
    return {
        "hysteresis": dict(study.config.score_hysteresis) or None,
        "score": table_of("scores", study.config, study.base, log.engine),
    }


def _margin(study: Study, log: ActivityLog) -> Any:
    """What users are worth: a table, the name of a column of the users, or None."""
    config = study.config
    table = table_of("margins", config, study.base, log.engine)
    if table is None or config.score_margin is None:
        return config.score_margin if table is None else table
    require_columns("sources.margins", ["user_id", config.score_margin], table.columns)
    return table[["user_id", config.score_margin]].rename(columns={config.score_margin: "margin"})


def _with_jumps(study: Study, scheme: TierScheme, log: ActivityLog, found: Alerts, ready: Readiness) -> Readiness:
    """Whether the alerts jump, against those of the same weekday of the weeks before, as far as the log goes back.

    Of a big log some users are drawn, the same for each day: whether alerts multiply can be told from them as well.
    """
    from churnsurv.data.alert_states import some_users
    from churnsurv.warning.alerts import alerts

    keys, day = study.config.score_ready, found.as_of
    first = log.observed_from + datetime.timedelta(days=log.rule.idle_days)
    weeks = [day - datetime.timedelta(days=7 * week) for week in range(1, keys.replay + 1)]
    days = [each for each in weeks if each >= first]
    if not days:
        return ready.with_alerts(found, jump=keys.jump)
    given = {**_replayable(study, log), "level": study.config.level}
    known = log.as_of(day)
    with some_users(known, _DRAWN) as fewer:
        before = [alerts(scheme, fewer, as_of=each, **given) for each in days]
        drawn = None if fewer is known else alerts(scheme, fewer, as_of=day, **given)
    return ready.with_alerts(found, before, drawn=drawn, jump=keys.jump)


def _planned(study: Study, found: Alerts, policy: Policy, ledger: Ledger, log: ActivityLog) -> Plan:
    from churnsurv.action.plan import plan_actions

    config, base, engine = study.config, study.base, log.engine
    forecasts = {}
    for offer in policy.offers:
        if offer.reward is not None:
            try:
                forecasts[offer.name] = offer.reward.forecast(log, as_of=found.as_of, level=config.level)
            except ChurnsurvError:
                continue  # a log that cannot tell: the costs then say nothing of what is released anyway
    return plan_actions(
        found,
        policy,
        ledger=ledger,
        opt_outs=people_of("opt_outs", config, base, engine),
        responses=people_of("responses", config, base, engine),
        forecasts=forecasts or None,
    )
