"""Who churns: stages and channels, behaviour, bursts of registrations, and what channels are worth."""

from __future__ import annotations

from churnsurv.report.material import Material
from churnsurv.report.model import Section, Sentence
from churnsurv.report.section_bursts import bursts_section, bursts_summary
from churnsurv.report.section_profile import profile_section, profile_summary
from churnsurv.report.section_structure import structure_section, structure_summary
from churnsurv.report.section_value import value_section, value_summary

__all__ = ["who_sections", "who_summary"]


def who_sections(material: Material) -> list[Section]:
    """Return the sections that there is something to tell in."""
    found = [
        structure_section(material),
        profile_section(material),
        bursts_section(material),
        value_section(material),
    ]
    return [section for section in found if section is not None]


def who_summary(material: Material) -> list[Sentence]:
    """Return the most telling sentence of each section."""
    found = [
        structure_summary(material),
        profile_summary(material),
        bursts_summary(material),
        value_summary(material),
    ]
    return [sentence for sentence in found if sentence is not None]
