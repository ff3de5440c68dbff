"""The result of a study handed to the report room, in the words of its contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from churnsurv.errors import InputError, did_you_mean
from churnsurv.study.config_sections import FORMATS
from churnsurv.study.progress import stages

if TYPE_CHECKING:
    from churnsurv.report import Report
    from churnsurv.study.result import StudyResult

__all__ = ["to_report", "write_report"]


def to_report(result: StudyResult, *, lang: str) -> Report:
    """Return the report as plain data."""
    from churnsurv.report import build

    log, spells = result.log, result.spells
    absent = (*result.who.notes, *result.why.notes, *result.warning.notes, *result.campaigns.notes)
    return build(
        title=result.config.title,
        config=result.config.to_dict(),
        lang=lang,
        check=result.check,
        log_facts={
            "rule": {"idle_days": log.rule.idle_days, "activity": log.rule.activity},
            "observed_from": log.observed_from,
            "observed_until": log.observed_until,
            "timestamps": result.config.timestamps,
            "time_zone": result.config.time_zone,
            "counts": dict(log.counts),
        },
        rejects=log.rejects,
        spells_counts=dict(spells.counts),
        spells_facts=spells._facts(),
        curves=result.curves,
        tests=result.tests,
        cox=result.cox,
        sweep=result.sweep,
        lifecycle=result.who.lifecycle,
        structure=result.who.structure,
        profile=result.who.profile,
        spell_profile=result.who.spell_profile,
        bursts=result.who.bursts,
        channels=result.who.channels,
        reasons=result.why.reasons,
        reasons_by=result.why.reasons_by,
        experience=result.why.experience,
        monitor=result.why.monitor,
        shocks=result.why.shocks,
        idle_risk=result.warning.risk,
        idle_risk_by=result.warning.risk_by,
        tiers=result.warning.tiers,
        value_by_day=result.warning.value,
        risk_surface=result.warning.surface,
        tier_timeline=result.warning.timeline,
        backtest=result.warning.backtest,
        lift=result.campaigns.lift,
        lift_groups=result.campaigns.groups,
        lift_monitors=result.campaigns.monitors,
        provenance=result.provenance,
        notes=[note for note in result.notes if note not in absent],
        absent=absent,
    )


def write_report(
    result: StudyResult, folder: Path, *, formats: tuple[str, ...], lang: str, progress: bool = False
) -> Path:
    """Write the report into a folder, whole or not at all, and return its page."""
    from churnsurv.report import write

    for name in formats:
        if name not in FORMATS:
            raise InputError(
                f"There is no format {name!r}.{did_you_mean(name, FORMATS)} Formats: {', '.join(FORMATS)}."
            )
    if not formats:
        raise InputError(f"formats is empty. Formats: {', '.join(FORMATS)}.")
    with stages(("write the report",), progress=progress) as stage:
        stage()
        page: Path = write(to_report(result, lang=lang), folder)
    return page
