"""Why they leave: reasons that users gave, problems they met, returns watched day by day, and returns after dates."""

from __future__ import annotations

from churnsurv.report.material import Material
from churnsurv.report.model import Section, Sentence
from churnsurv.report.section_why_monitor import monitor_section, monitor_summary
from churnsurv.report.section_why_problems import problems_section, problems_summary
from churnsurv.report.section_why_reasons import reasons_section, reasons_summary
from churnsurv.report.section_why_shocks import shocks_section, shocks_summary

__all__ = ["why_sections", "why_summary"]


def why_sections(material: Material) -> list[Section]:
    """Return the sections that there is something to tell in."""
    found = [
        reasons_section(material),
        problems_section(material),
        monitor_section(material),
        shocks_section(material),
    ]
    return [section for section in found if section is not None]


def why_summary(material: Material) -> list[Sentence]:
    """Return one sentence of each section; of the monitor only where an alarm is open."""
    found = [
        reasons_summary(material),
        problems_summary(material),
        monitor_summary(material),
        shocks_summary(material),
    ]
    return [sentence for sentence in found if sentence is not None]
