"""Run a study stage by stage: check, spells, curves, tests, who churns, why, tiers, campaigns, model, sweep."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from churnsurv.errors import ChurnsurvWarning, InputError
from churnsurv.study.check import in_words
from churnsurv.study.progress import stages
from churnsurv.study.provenance import provenance
from churnsurv.study.recall import campaigns_back
from churnsurv.study.result import StudyResult
from churnsurv.study.warn import thresholds_and_tiers
from churnsurv.study.who import who_churns
from churnsurv.study.why import why_they_leave

if TYPE_CHECKING:
    from churnsurv.data import ActivityLog, Check, Spells
    from churnsurv.diagnosis import RuleSweep
    from churnsurv.study.config import StudyConfig
    from churnsurv.study.study import Study
    from churnsurv.survival import CoxFit, SurvivalCurves, TestResult

__all__ = ["fit_model", "gather_notes", "run_study", "some_churned"]

STAGES = (
    *("read and check", "spells", "curves", "tests", "who churns", "why they leave"),
    *("thresholds and tiers", "campaigns"),
    *("Cox model", "churn rules", "hashes"),
)


def run_study(study: Study, *, progress: bool) -> StudyResult:
    """Run all stages; a warning that a reader must know becomes a note of the result."""
    config, log = study.config, study.log
    with gather_notes() as notes, stages(STAGES, progress=progress) as stage:
        stage()
        check = _checked(study)
        stage()
        spells = some_churned(study.spells)
        stage()
        curves = _curves(spells, config)
        stage()
        tests = _tests(spells, config)
        stage()
        who = who_churns(study)
        stage()
        why = why_they_leave(study)
        stage()
        warning = thresholds_and_tiers(study)
        stage()
        campaigns = campaigns_back(study)
        stage()
        fit = fit_model(log, spells, config)
        stage()
        sweep = _sweep(log, config, progress=progress)
        stage()
        facts = provenance(config, study.base, study.text, study.overrides)
    return StudyResult(
        log=log,
        check=check,
        spells=spells,
        curves=curves,
        tests=tests,
        cox=fit,
        sweep=sweep,
        who=who,
        why=why,
        warning=warning,
        campaigns=campaigns,
        config=config,
        provenance=facts,
        notes=(*_each_once(notes, config.idle_days), *who.notes, *why.notes, *warning.notes, *campaigns.notes),
    )


def _each_once(notes: list[str], idle_days: int) -> tuple[str, ...]:
    """Leave out what the sweep says of the study's own rule, which the study has said itself."""
    prefix = f"under {idle_days} idle days: "
    return tuple(note for note in notes if note.removeprefix(prefix) == note or note.removeprefix(prefix) not in notes)


def _checked(study: Study) -> Check:
    check = study.check()
    if not check.ok:
        lines = "\n".join(f"  {in_words(problem)}" for problem in check.problems if problem.severity == "error")
        raise InputError(f"The study cannot run:\n{lines}")
    return check


def some_churned(spells: Spells) -> Spells:
    """Return the spells, or say why there is nothing to study in them."""
    counts = spells.counts
    if counts["spells"] == 0:
        raise InputError(
            "There is no first spell to study: every user registered before the log begins. Set window.observed_from "
            "to the first day from which all users are known, or leave it out."
        )
    if counts["churned"] == 0:
        raise InputError(
            f"Nobody churned: all {counts['spells']:,} first spells are censored. It takes {spells.rule} before the "
            "end of the log. Use a longer log or a smaller rule.idle_days."
        )
    return spells


def _curves(spells: Spells, config: StudyConfig) -> Mapping[str, SurvivalCurves]:
    from churnsurv.survival.curves import kaplan_meier

    curves = {"all": kaplan_meier(spells, level=config.level)}
    for column in config.by:
        curves[column] = kaplan_meier(spells, by=column, level=config.level)
    return curves


def _tests(spells: Spells, config: StudyConfig) -> Mapping[str, TestResult]:
    from churnsurv.survival.tests_ import logrank

    return {column: logrank(spells, by=column, level=config.level) for column in config.by}


def fit_model(log: ActivityLog, spells: Spells, config: StudyConfig) -> CoxFit | None:
    """Fit the study's Cox model; with features, on spells that begin after they are known."""
    from churnsurv.survival.cox import cox

    if config.formula is None:
        return None
    if config.baseline_day is not None:
        spells = log.churn_spells(features=config.features, baseline_day=config.baseline_day)
    return cox(
        config.formula,
        spells,
        strata=list(config.strata) or None,
        reference=dict(config.reference) or None,
        ties=config.ties,
        level=config.level,
    )


def _sweep(log: ActivityLog, config: StudyConfig, *, progress: bool) -> RuleSweep | None:
    """The study under other rules; groups by the first column only, so that the figures stay readable."""
    from churnsurv.diagnosis import rule_sweep

    if not config.sensitivity:
        return None
    return rule_sweep(
        log,
        sorted({*config.sensitivity, config.idle_days}),
        by=config.by[:1],
        formula=config.formula,
        reference=dict(config.reference) or None,
        horizon=config.horizon,
        level=config.level,
        strata=list(config.strata) or None,
        ties=config.ties,
        features=config.features,
        baseline_day=config.baseline_day,
        progress=progress,
    )


@contextmanager
def gather_notes() -> Iterator[list[str]]:
    """Collect our own warnings as notes, each once; warnings of others go where they always go."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChurnsurvWarning)
        yield notes
    for warning in caught:
        if not issubclass(warning.category, ChurnsurvWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif (said := _said(warning.message)) not in notes:
            notes.append(said)


def _said(warning: Warning | str) -> str:
    """What a warning says: the note that it was made with, where it is one, so that a report has it in its language."""
    said = warning.args[0] if isinstance(warning, Warning) and warning.args else warning
    return said if isinstance(said, str) else str(said)
