"""From results to a `Report`: which sections there are, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.errors import InputError
from churnsurv.plots.text import shown
from churnsurv.report.catalogue import catalogue
from churnsurv.report.material import Curves, Material
from churnsurv.report.model import Report, Section, Sentence
from churnsurv.report.numbers import count, in_words_of
from churnsurv.report.pieces import columns_of
from churnsurv.report.section_alerts import alerts_section
from churnsurv.report.section_backtest import backtest_section
from churnsurv.report.section_curves import curves_sections
from churnsurv.report.section_method import method_section, reproduce_section
from churnsurv.report.section_model import model_section
from churnsurv.report.section_recall import recall_section
from churnsurv.report.section_studied import activity_words, studied
from churnsurv.report.section_sweep import sweep_section
from churnsurv.report.section_warning import warning_section
from churnsurv.report.section_who import who_sections
from churnsurv.report.section_why import why_sections
from churnsurv.report.summary import summary, tiles
from churnsurv.tables import Result, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["build"]

_RESULTS = (
    *("lifecycle", "structure", "profile", "spell_profile", "bursts", "channels"),
    *("reasons", "reasons_by", "experience", "monitor", "shocks"),
    *("idle_risk", "idle_risk_by", "risk_surface", "tiers", "backtest", "lift", "cox", "sweep"),
)
_TABLES = ("value_by_day", "tier_timeline")


def build(
    *,
    title: str,
    config: Mapping[str, Any] | None = None,
    lang: str = "en",
    check: Any = None,
    log_facts: Mapping[str, Any] | None = None,
    rejects: pd.DataFrame | None = None,
    spells_counts: Mapping[str, Any] | None = None,
    spells_facts: Mapping[str, Any] | None = None,
    curves: Mapping[str, Any] | None = None,
    tests: Mapping[str, Any] | None = None,
    cox: Any = None,
    sweep: Any = None,
    lifecycle: Any = None,
    structure: Any = None,
    profile: Any = None,
    spell_profile: Any = None,
    bursts: Any = None,
    channels: Any = None,
    reasons: Any = None,
    reasons_by: Any = None,
    experience: Any = None,
    monitor: Any = None,
    shocks: Any = None,
    idle_risk: Any = None,
    idle_risk_by: Any = None,
    tiers: Any = None,
    value_by_day: pd.DataFrame | None = None,
    risk_surface: Any = None,
    tier_timeline: pd.DataFrame | None = None,
    backtest: Any = None,
    alerts: Any = None,
    lift: Any = None,
    lift_groups: Any = None,
    lift_monitors: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    absent: Sequence[str] = (),
) -> Report:
    """Tell a study as a report. What is not given has no section.

    Parameters
    ----------
    title : str
    config : mapping, optional
        The study as nested plain values; `report.horizon` is the day on which shares are compared (90).
    lang : str
        Language; `churnsurv.report.LANGUAGES` lists them.
    check : result with schema "check", optional
    log_facts : mapping, optional
        `rule` (with `idle_days` and `activity`), `observed_from`, `observed_until`, `timestamps`, `time_zone`,
        `counts` (the counts of the log). What is missing is looked for in `spells_facts`.
    rejects : DataFrame, optional
        Schema "rejects".
    spells_counts, spells_facts : mapping, optional
        The counts of the spells, and `spells` ("first" or "all").
    curves : mapping of label to SurvivalCurves, optional
        Labels name the columns that split the curves; a curve of the one group "all" is that of all users.
    tests : mapping of label to TestResult, optional
        Log-rank tests, by the labels of `curves`.
    cox : CoxFit, optional
    sweep : RuleSweep, optional
    lifecycle : Lifecycle, optional
    structure : ChurnStructure, optional
    profile : ChurnProfile, optional
        Over a common early window.
    spell_profile : SpellProfile, optional
        Over whole spells; told as a description.
    bursts : CohortBursts, optional
    channels : ChannelValue, optional
    reasons : ChurnReasons, optional
        Of all users.
    reasons_by : ChurnReasons, optional
        By group.
    experience : Experience, optional
    monitor : ChurnMonitor, optional
    shocks : ShockEffect, optional
    idle_risk : IdleRisk, optional
        Of all users.
    idle_risk_by : IdleRisk, optional
        By group.
    tiers : TierScheme, optional
    value_by_day : DataFrame, optional
        Schema "value_by_day", of `idle_risk` and the worth that the highest tier with a value objective states.
    risk_surface : IdleRisk, optional
        By the bands of the variable that the rules look at first, all of whose cuts it has.
    tier_timeline : DataFrame, optional
        Schema "tier_timeline", of `tiers`.
    backtest : Backtest, optional
    alerts : Alerts, optional
        Of the last day of the log; its counts are told, no user is named.
    lift : Lift, optional
        Of one campaign or several.
    lift_groups : Lift, optional
        The same with groups: its returns by group are told.
    lift_monitors : mapping of campaign to LiftMonitor, optional
    provenance : mapping, optional
        `packages` or `versions` (name to version), `inputs` (table to its path and hash), `seed`.
    notes : sequence of str
        What a reader must know about the figures.
    absent : sequence of str
        What was asked for and could not be told, and why.

    Returns
    -------
    Report
        Plain data; `render_html` makes a page of it, `write` a folder.

    Raises
    ------
    InputError
        If there are no words in the language, or a test has no curves of its label.

    Examples
    --------
    >>> report = build(title="Churn of 2024", spells_counts={"spells": 1200, "churned": 700, "censored": 500})
    >>> [tile.value for tile in report.tiles], [section.id for section in report.sections]
    (['1,200', '700'], ['studied', 'method', 'reproduce'])
    """
    words = catalogue(lang)
    facts = dict(spells_facts or {})
    log = {**{k: v for k, v in facts.items() if k not in {"counts", "spells", "known_at"}}, **dict(log_facts or {})}
    unknown = [label for label in tests or {} if label not in (curves or {})]
    if unknown:
        raise InputError(
            f"The test {unknown[0]!r} has no curves of that label. Labels of curves: "
            f"{', '.join(curves or {}) or 'none'}."
        )
    material = Material(
        words=words,
        config=dict(config or {}),
        check=None if check is None else check.table,
        log=log,
        rejects=rejects,
        counts=dict(spells_counts or facts.get("counts") or {}),
        spells=facts,
        curves={str(label): Curves(result) for label, result in (curves or {}).items()},
        tests={str(label): result for label, result in (tests or {}).items()},
        cox=cox,
        sweep=sweep,
        provenance=dict(provenance or {}),
        notes=tuple(notes),
        lifecycle=lifecycle,
        structure=structure,
        profile=profile,
        spell_profile=spell_profile,
        bursts=bursts,
        channels=channels,
        reasons=reasons,
        reasons_by=reasons_by,
        experience=experience,
        monitor=monitor,
        shocks=shocks,
        idle_risk=idle_risk,
        idle_risk_by=idle_risk_by,
        tiers=tiers,
        value_by_day=value_by_day,
        risk_surface=risk_surface,
        tier_timeline=tier_timeline,
        backtest=backtest,
        alerts=alerts,
        lift=lift,
        lift_groups=lift_groups,
        lift_monitors=dict(lift_monitors or {}),
        absent=tuple(absent),
    )
    with in_words_of(words.messages):
        told = _subtitle(material), tiles(material), summary(material), _sections(material)
    return Report(
        shown(title),
        lang,
        *told,
        results=_results(material, check),
        config=material.config,
        provenance=material.provenance,
    )


def _sections(material: Material) -> tuple[Section, ...]:
    found = [
        studied(material),
        *who_sections(material),
        *curves_sections(material),
        model_section(material),
        *why_sections(material),
        warning_section(material),
        backtest_section(material),
        alerts_section(material),
        recall_section(material),
        sweep_section(material),
        method_section(material),
        reproduce_section(material),
    ]
    return tuple(section for section in found if section is not None)


def _subtitle(material: Material) -> Sentence:
    first, last = material.log.get("observed_from"), material.log.get("observed_until")
    if not first or not last or material.idle_days is None:
        return Sentence(())
    words = material.words
    days, activity = count(material.idle_days), activity_words(material)
    return words.say("subtitle", first=words.date(first), last=words.date(last), days=days, activity=activity)


def _results(material: Material, check: Any) -> dict[str, Any]:
    """Every result whole, as plain data."""
    found: dict[str, Any] = {"log": _facts(material.log), "spells": {"counts": plain(material.counts)}}
    found["spells"] |= plain({k: v for k, v in material.spells.items() if k not in {"counts", "rule"}})
    if isinstance(check, Result):
        found["check"] = check._to_plain()
    if material.rejects is not None and len(material.rejects):
        groups = material.rejects.groupby(["table", "reason"], sort=False, observed=True, as_index=False).size()
        found["rejects"] = plain(groups.rename(columns={"size": "n"}).to_dict("records"))
    found["curves"] = {label: curves.result._to_plain() for label, curves in material.curves.items()}
    found["tests"] = {label: test._to_plain() for label, test in material.tests.items()}
    for key in _RESULTS:
        result = getattr(material, key)
        if result is not None:
            found[key] = result._to_plain()
    if material.reasons is not None:
        found["reasons_incidence"] = material.reasons.incidence._to_plain()
    if material.alerts is not None:
        found["alerts"] = plain(material.alerts._facts())  # no user is named in a report
    found |= _lift_tables(material)
    for key in _TABLES:
        frame = getattr(material, key)
        if frame is not None:
            found[key] = columns_of(frame)
    return found


def _lift_tables(material: Material) -> dict[str, Any]:
    """What a lift has beside its table, and what could have been said while the campaigns ran."""
    found: dict[str, Any] = {}
    if material.lift is not None:
        found["lift_checks"] = columns_of(material.lift.checks)
        found["lift_balance"] = columns_of(material.lift.balance)
    if material.lift_groups is not None:
        found["lift_subgroups"] = columns_of(material.lift_groups.subgroups)
    if material.lift_monitors:
        found["lift_monitors"] = {name: each._to_plain() for name, each in material.lift_monitors.items()}
    return found


def _facts(log: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of the log with the rule as plain values."""
    rule = log.get("rule")
    held = rule if isinstance(rule, Mapping) else {k: getattr(rule, k, None) for k in ("idle_days", "activity")}
    facts: dict[str, Any] = plain({**log, "rule": held})
    return facts
