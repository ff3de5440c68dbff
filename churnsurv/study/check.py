"""Every problem of a study at once: its file, its tables, and what it asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.data.check import Check, Problem
from churnsurv.errors import ChurnsurvError, did_you_mean
from churnsurv.notes import note
from churnsurv.study.progress import stages
from churnsurv.study.score_check import daily_problems
from churnsurv.tables import schema

if TYPE_CHECKING:
    from churnsurv.data import Spells
    from churnsurv.study.study import Study

__all__ = ["check_study", "check_tables", "in_words"]

#: Rows of feedback that can be read, but not be used with this log: reasons are absent then, and the study goes on.
_OF_OTHERS = ("outside_window", "unknown_user")
#: More reasons than anybody can compare: texts as users wrote them, most likely.
_MANY_REASONS = 30
#: Sections without which the tables cannot be read as meant.
_NEEDED = ("sources", "columns", "window", "clock", "rule")


def check_study(path: str | Path, overrides: Mapping[str, object] | None = None, *, progress: bool = False) -> Check:
    """Check a study file and its tables, and try what it asks for.

    Parameters
    ----------
    path : str or Path
    overrides : mapping, optional
        As in `Study.from_toml`.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    Check
        Problems of the study file stand under the table "study".

    Raises
    ------
    InputError
        If the file is missing or is not TOML.
    """
    from churnsurv.study.study import read_study

    study, faults = read_study(path, overrides)
    problems = [_error(fault.where, fault.what) for fault in faults]
    if not any(fault.where.split(".")[0] in _NEEDED for fault in faults):
        with stages(("check the tables",), progress=progress) as stage:
            stage()
            problems += check_tables(study, fit=True).problems
    return Check(tuple(problems))


def check_tables(study: Study, *, fit: bool = False) -> Check:
    """Check the tables of a study and whether they have what it asks for.

    Parameters
    ----------
    study : Study
    fit : bool
        Also try the Cox model, which shows collinear columns and separation, and weigh the channels where there are
        costs, which shows those without one, join feedback to churns and look at problems and dates, fit the warning
        tiers where there are any, which are not judged, estimate the returns of campaigns, and look at what the
        daily run takes.
    """
    try:
        problems = _without_feedback(study.log.check().problems)
    except ChurnsurvError as error:
        return Check((_error("sources", str(error)),))
    if any(problem.severity == "error" for problem in problems):
        return Check(tuple(problems))
    try:
        spells = study.spells
    except ChurnsurvError as error:
        return Check((*problems, _error("spells", str(error))))
    problems += _asked(study, spells)
    problems += _beside(study)
    if fit and not any(problem.severity == "error" for problem in problems):
        problems += _fitted(study, spells)
        problems += _weighed(study)
        problems += _explained(study)
        problems += _warned(study)
        problems += _brought_back(study)
        problems += [_error(where, what) for where, what in daily_problems(study)]
    return Check(tuple(problems))


def _without_feedback(problems: Sequence[Problem]) -> list[Problem]:
    """The problems of the log, where feedback without a usable row is a warning: the study needs none.

    Where no row could be read, its columns are not those meant, and that stays an error.
    """
    others = any(each.table == "feedback" and each.problem in _OF_OTHERS for each in problems)
    # problems of rows have their number; those of columns and files do not
    return [
        replace(each, severity="warning")
        if others and each.table == "feedback" and each.severity == "error" and each.n_rows is not None
        else each
        for each in problems
    ]


def in_words(problem: Problem) -> str:
    """Say a problem in one line.

    Examples
    --------
    >>> in_words(Problem("events", "unknown_user", "warning", 3, "u7", "Look at the export."))
    "events: unknown_user (3 rows, such as 'u7'). Look at the export."
    """
    rows = f"{problem.n_rows:,} row{'' if problem.n_rows == 1 else 's'}" if problem.n_rows else ""
    example = f"such as {problem.example!r}" if problem.example and problem.example not in problem.advice else ""
    detail = ", ".join(part for part in (rows, example) if part)
    return f"{problem.table}: {problem.problem}{f' ({detail})' if detail else ''}. {problem.advice}"


def _asked(study: Study, spells: Spells) -> Iterator[Problem]:
    """What the study asks for and the spells do not have."""
    from churnsurv.study.run import some_churned

    config = study.config
    try:
        some_churned(spells)
    except ChurnsurvError as error:
        yield _error("rule.idle_days", str(error))
    table = spells.table
    features = [feature if isinstance(feature, str) else feature.name for feature in config.features]
    known = [name for name in table.columns if name not in schema("spells").names]
    for where, names in _columns_asked(study).items():
        there = [*known, *(features if where.startswith("cox") else ())]
        if where == "why.weights":
            there = [*(each for each in known if each != "registered_at"), *_at_churn(study)]
        for name in names:
            if name not in there:
                yield _error(where, _not_there(name, there))
            elif where == "groups.by" and len(table[name].drop_duplicates()) < 2:
                what = f"{name!r} has one value only: there is nothing to compare. Take it out of the list."
                yield _error(where, what)
    longest = int(table["duration"].max()) if len(table) else 0
    if config.horizon > longest:
        what = note(
            "{horizon} days lie beyond the longest follow-up, {longest} days: its figures are left out.",
            horizon=config.horizon,
            longest=longest,
        )
        yield Problem("study", "report.horizon", "warning", None, None, what)
    elif config.horizon < config.idle_days:
        what = note(
            "Nobody can churn before day {first}: on day {horizon} all groups are alike. Choose a later day.",
            first=f"{config.idle_days:,}",
            horizon=f"{config.horizon:,}",
        )
        yield Problem("study", "report.horizon", "warning", None, None, what)


def _not_there(name: str, there: list[str]) -> str:
    if name in schema("spells").names:
        return f"{name!r} is part of the outcome, or of its ids: it cannot explain churn. There are {', '.join(there)}."
    return f"{name!r} is missing.{did_you_mean(name, there)} There are {', '.join(there)}."


def _at_churn(study: Study) -> tuple[str, ...]:
    """What is known of a churned user beside the columns of spells, as reasons are weighed by it."""
    from churnsurv.data.features_sql import default_features

    made = {
        each if isinstance(each, str) else each.name for each in default_features(study.log._reading, study.log.stages)
    }
    return ("tenure", *(name for name in ("stage", "n_investments") if name in made))


def _columns_asked(study: Study) -> dict[str, tuple[str, ...]]:
    from churnsurv.survival.formula import parse_formula

    config = study.config
    by = tuple(name for name in config.why_by or () if config.why_on and name != "stage")
    asked = {
        "groups.by": config.by,
        "why.by": by,
        "why.weights": (config.why_weights or ()) if config.why_on else (),
        "cox.strata": config.strata,
        "cox.reference": tuple(config.reference),
    }
    if config.formula is not None:
        try:
            asked["cox.formula"] = parse_formula(config.formula).variables
        except ChurnsurvError:
            asked["cox.formula"] = ()  # the fit says what is wrong with it
    return asked


def _fitted(study: Study, spells: Spells) -> Iterator[Problem]:
    from churnsurv.study.run import fit_model, gather_notes

    try:
        with gather_notes() as notes:
            fit_model(study.log, spells, study.config)
    except ChurnsurvError as error:
        yield _error("cox.formula", str(error))
    else:
        for each in notes:
            yield Problem("study", "cox.formula", "warning", None, None, each)


def _beside(study: Study) -> Iterator[Problem]:
    """The tables beside the log that cannot be read, or are not what they are called."""
    from churnsurv.study.side_tables import answers_of, calendar_of, costs_of, reasons_of
    from churnsurv.study.why import dated_entries
    from churnsurv.study.why_keys import in_keys

    config = study.config
    readers: dict[str, Callable[..., Any]] = {"costs": costs_of} if config.who_on else {}
    readers |= {"calendar": calendar_of} if config.who_on or config.why_on else {}
    readers |= {"reasons": reasons_of, "answers": answers_of} if config.why_on else {}
    found: dict[str, Any] = {}
    for name, read in readers.items():
        try:
            found[name] = read(config, study.base, study.log.engine)
        except ChurnsurvError as error:
            said = in_keys("reasons", str(error)) if name == "reasons" else str(error)
            yield _error(f"sources.{name}", said.removeprefix("sources.reasons: "))
    if config.why_on and "calendar" in found:
        try:
            dated_entries(config, found["calendar"])
        except ChurnsurvError as error:
            yield _error("why.shocks.names", str(error))


def _weighed(study: Study) -> Iterator[Problem]:
    """What keeps the channels from being weighed against their costs, and what a reader must know of it."""
    from churnsurv.study.who import CannotTellError, value_of_channels

    if not study.config.who_on or "costs" not in study.config.sources:
        return
    try:
        found = value_of_channels(study)
    except CannotTellError as reason:
        yield Problem("study", "sources.costs", "warning", None, None, f"Channels cannot be weighed. {reason}")
    except ChurnsurvError as error:
        where = "who_churns.margin" if str(error).startswith("margin") else "sources.costs"
        yield _error(where, str(error))
    else:
        for each in found.notes:
            if each.startswith("No cost is known"):
                yield Problem("study", "sources.costs", "warning", None, None, each)


def _explained(study: Study) -> Iterator[Problem]:
    """What keeps reasons, problems and dates from being told, where the study has them."""
    from churnsurv.study.why import why_they_leave

    keys = {
        "reasons": "sources.feedback",
        "experience": "why.problems",
        "shocks": "why.shocks",
    }
    config = study.config
    given = {
        "reasons": "feedback" in config.sources,
        "experience": config.why_problems is not None or "answers" in config.sources,
        "shocks": True,
    }
    found = why_they_leave(study, only_try=True)
    for part, reason in found.absent.items():
        if given[part]:
            yield Problem("study", keys[part], "warning", None, None, reason)
    for remark in found.remarks:
        yield Problem("study", "sources.answers", "warning", None, None, remark)
    n = 0 if found.reasons is None else len(found.reasons.reasons)
    if n > _MANY_REASONS:
        where = "sources.reasons" if "reasons" in config.sources else "sources.feedback"
        what = f"There are {n:,} different reasons, too many to compare. Say which answer is which reason in a table of"
        yield Problem("study", where, "warning", None, None, f"{what} code and reason: sources.reasons.")


def _warned(study: Study) -> Iterator[Problem]:
    """What keeps the tiers of the study from being fitted, or the idle risk from being told."""
    from churnsurv.study.warn import thresholds_and_tiers

    keys = {
        "risk": "warning",
        "risk_by": "warning.by",
        "tiers": "warning.tiers",
        "backtest": "warning.backtest",
    }
    found = thresholds_and_tiers(study, only_try=True)
    for part, reason in found.absent.items():
        yield Problem("study", keys[part], "warning", None, None, reason)
    for remark in found.remarks:
        yield Problem("study", "warning.tiers", "warning", None, None, remark)


def _brought_back(study: Study) -> Iterator[Problem]:
    """What keeps the campaigns from being told, and checks of their design that are broken."""
    from churnsurv.study.recall import campaigns_back

    keys = {"lift": "sources.assignments", "groups": "campaigns.by"}
    found = campaigns_back(study, only_try=True)
    for part, reason in found.absent.items():
        yield Problem("study", keys[part], "warning", None, None, reason)
    for each in () if found.lift is None else found.lift.notes:
        if each.startswith("Not to be read as an experiment"):
            yield Problem("study", "sources.assignments", "warning", None, None, each)


def _error(where: str, what: str) -> Problem:
    return Problem("study", where, "error", None, None, what)
