"""The result of a study handed to the report room, in the words of its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churnsurv.study.progress import stages

if TYPE_CHECKING:
    from churnsurv.report import Report
    from churnsurv.study.result import StudyResult
    from churnsurv.study.study import Study

__all__ = ["Written", "report_study", "to_report", "write_report"]


#: Sections that a study may have, in the order of a report, but for those of its curves.
_SECTIONS = (
    *("studied", "who", "who-profile", "who-bursts", "who-value", "model"),
    *("why-reasons", "why-problems", "why-monitor", "why-shocks"),
    *("warning", "backtest", "alerts", "campaigns", "rule", "method", "reproduce"),
)


def to_report(result: StudyResult, *, lang: str, made: Mapping[str, Any] | None = None) -> Report:
    """Return the report as plain data; `made` is what there is to know of how it is written."""
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
        alerts=result.warning.alerts,
        lift=result.campaigns.lift,
        lift_groups=result.campaigns.groups,
        lift_monitors=result.campaigns.monitors,
        provenance={**result.provenance, **({"report": made} if made else {})},
        notes=[note for note in result.notes if note not in absent],
        absent=absent,
    )


@dataclass(frozen=True, slots=True)
class Written:
    """Where a report stands: the page to open, and every page; and its summary in sentences."""

    page: Path
    pages: tuple[Path, ...]
    findings: tuple[str, ...]


def report_study(
    study: Study,
    folder: str | Path | None = None,
    *,
    formats: Sequence[str] | str | None = None,
    lang: str | None = None,
    sections: Sequence[str] | str | None = None,
    progress: bool = False,
) -> Written:
    """Run a study and write its report; see `Study.report`."""
    from churnsurv.report.catalogue import catalogue
    from churnsurv.report.folder import require_formats, require_place
    from churnsurv.report.model import chosen_sections

    said = lang or study.config.lang
    place = Path(folder) if folder is not None else _place(study, part=sections is not None)
    # All that can be refused is refused before a long run.
    chosen = require_formats(study.config.formats if formats is None else formats)
    catalogue(said)
    if sections is not None:
        chosen_sections(sections, _section_ids(study))
    require_place(place)
    result = study.run(progress=progress)
    return write_report(result, place, formats=chosen, lang=said, sections=sections, progress=progress)


def _place(study: Study, *, part: bool) -> Path:
    """The study's own folder; a part goes beside it, so that it never replaces the whole."""
    whole = study.folder.resolve()
    return whole.with_name(f"{whole.name}-part") if part else whole


def _section_ids(study: Study) -> list[str]:
    """The ids of all sections that the study can have."""
    from churnsurv.report.section_curves import section_id

    taken: set[str] = set()
    return [*_SECTIONS, *(section_id(label, taken) for label in ("all", *study.config.by))]


def write_report(
    result: StudyResult,
    folder: Path,
    *,
    formats: Sequence[str] | str,
    lang: str,
    sections: Sequence[str] | str | None = None,
    progress: bool = False,
) -> Written:
    """Write the report into a folder, whole or not at all."""
    from churnsurv.report import write
    from churnsurv.report.folder import FORMATS, require_formats

    chosen = require_formats(formats)
    with stages(("write the report",), progress=progress) as stage:
        stage()
        made: dict[str, Any] = {"lang": lang, "formats": list(chosen)}
        if sections is not None:
            made["sections"] = [sections] if isinstance(sections, str) else list(sections)
        report = to_report(result, lang=lang, made=made)
        if sections is not None:
            report = report.only(sections)
        page = write(report, folder, chosen)
    pages = tuple(page.with_name(FORMATS[name]) for name in chosen)
    return Written(page, pages, tuple(sentence.quoted(lang) for sentence in report.summary))
