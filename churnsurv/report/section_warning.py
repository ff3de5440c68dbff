"""Thresholds and tiers: how likely the silent churn, from which day on to warn, and how sure that is."""

from __future__ import annotations

from churnsurv.report.material import Material
from churnsurv.report.model import Block, Listing, Part, Section, Sentence
from churnsurv.report.pieces import noted
from churnsurv.report.section_warning_idle import idle_figures, idle_sentences, idle_summary, idle_tables
from churnsurv.report.section_warning_tiers import tier_figure, tier_sentences, tier_summary, tier_tables
from churnsurv.report.section_warning_value import (
    surface_figure,
    timeline_figure,
    timeline_sentences,
    value_figure,
    value_sentences,
)

__all__ = ["warning_section", "warning_summary"]

_LINK = "warning"


def warning_section(material: Material) -> Section | None:
    """Return the section; None where neither idle risk nor tiers are known."""
    if material.idle_risk is None and material.tiers is None:
        return None
    words = material.words
    blocks: list[Block] = []
    if material.idle_risk is not None:
        blocks.append(Listing((*idle_sentences(material), *value_sentences(material))))
        blocks += [*idle_figures(material), *value_figure(material)]
    if material.tiers is not None:
        blocks.append(Sentence((Part(words.text("tiers.heading"), "number"),)))
        blocks.append(Listing((*tier_sentences(material), *timeline_sentences(material))))
        blocks += [*tier_figure(material), *surface_figure(material), *timeline_figure(material)]
        blocks += tier_tables(material)
    if material.idle_risk is not None:
        blocks += idle_tables(material)
        blocks += noted(words, "idle.notes", material.idle_risk.notes)
        by = material.idle_risk_by
        further = [] if by is None else [note for note in by.notes if note not in material.idle_risk.notes]
        blocks += noted(words, "idle.notes_by", further)
    if material.tiers is not None:
        blocks += noted(words, "tiers.notes", material.tiers.notes)
    blocks += _limits(material)
    return Section(_LINK, words.text("warning.title"), tuple(blocks))


def warning_summary(material: Material) -> list[Sentence]:
    """The risk half way to churn, and the highest tier that has a rule; one sentence with a link."""
    found = [*idle_summary(material), *tier_summary(material)]
    return [material.words.joined(*found, link=_LINK)] if found else []


def _limits(material: Material) -> list[Block]:
    """What neither the risk nor the tiers can tell."""
    keys = ["warning.limit_effect"]
    if material.tiers is not None:
        keys.append("warning.limit_later" if material.backtest is None else "warning.limit_judged")
        if any(tier.objective.get("kind") == "value" for tier in material.tiers.tiers):
            keys.append("warning.limit_saving")
    keys.append("warning.limit_same")
    words = material.words
    heading = Sentence((Part(words.text("warning.limits"), "number"),))
    return [heading, Listing(tuple(words.say(key) for key in keys))]
