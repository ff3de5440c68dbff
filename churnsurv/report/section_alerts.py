"""Who is in a warning tier at the end of the log: how many, since when, what has changed, and what is to be expected.

No user is named: a report is passed on, and whom to contact stands in the list of the daily run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.report.catalogue import name, strong
from churnsurv.report.material import Material, Point
from churnsurv.report.model import Block, Listing, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, day, share
from churnsurv.report.pieces import and_listed, estimate, filled, limits, noted, table
from churnsurv.report.warning_words import rule_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["alerts_section", "alerts_summary"]

_LINK = "alerts"
_ROWS = 20
_CHANGES = ("new", "upgraded", "lowered", "continued")


def alerts_section(material: Material) -> Section | None:
    """Return the section; None without alerts, or where nobody is in a tier and nobody has left one."""
    found, words = material.alerts, material.words
    if found is None:
        return None
    frame = _living(found)
    told = [_how_many(material, frame), *_changed(material), *_expected(material, frame), words.say("alerts.list")]
    blocks: list[Block] = [Listing(tuple(told))]
    if len(frame):
        blocks += [_tiers_table(material, frame), _reasons_table(material, frame)]
    blocks += noted(words, "alerts.notes", _notes(found))
    return Section(_LINK, words.text("alerts.title", date=words.date(found.as_of)), tuple(blocks))


def alerts_summary(material: Material) -> list[Sentence]:
    """How many are in a tier, and how many of them would churn."""
    found = material.alerts
    if found is None or not found.counts["in_tier"]:
        return []
    frame = _living(found)
    return [material.words.joined(_how_many(material, frame), *_expected(material, frame), link=_LINK)]


def _living(found: Any) -> pd.DataFrame:
    """The rows of users who are in a tier."""
    frame = found.table
    living: pd.DataFrame = frame[frame["status"].astype(str) != "resolved"]
    return living


def _how_many(material: Material, frame: pd.DataFrame) -> Sentence:
    found, words = material.alerts, material.words
    fields = {"date": words.date(found.as_of), "living": count(found.counts["living"])}
    if not len(frame):
        return words.say("alerts.nobody", **fields)
    items = [
        words.say("alerts.in_tier", n=strong(count(found.in_tier[tier])), tier=name(tier)).parts for tier in found.tiers
    ]
    return filled(
        words,
        "alerts.how_many",
        {"tiers": and_listed(words, items)},
        n=strong(count(len(frame))),
        share=share(len(frame) / found.counts["living"]),
        **fields,
    )


def _changed(material: Material) -> list[Sentence]:
    """What is other than the day before."""
    counts, words = material.alerts.counts, material.words
    told = [words.say(f"alerts.{key}", n=count(counts[key])).parts for key in _CHANGES if counts[key]]
    sentences = [filled(words, "alerts.changes", {"items": and_listed(words, told, clauses=True)})] if told else []
    if counts["resolved"]:
        ways = ("resolved_by_activity", "resolved_by_churn", "resolved_by_state")
        left = [words.say(f"alerts.{way}", n=count(counts[way])).parts for way in ways if counts[way]]
        items = and_listed(words, left)
        sentences.append(filled(words, "alerts.resolved", {"items": items}, n=strong(count(counts["resolved"]))))
    return sentences


def _expected(material: Material, frame: pd.DataFrame) -> list[Sentence]:
    """The sum of the risks, between the sums of their limits."""
    known = frame[frame["risk"].notna()]
    if known.empty:
        return []
    point = Point(*(float(known[each].sum()) for each in ("risk", "risk_lower", "risk_upper")))
    n, words = strong(count(point.estimate)), material.words
    return [words.say("alerts.expected", n=n, range=limits(point, count), of=count(len(known)))]


def _mean(rows: pd.DataFrame) -> Point:
    return Point(*(float(rows[each].mean()) for each in ("risk", "risk_lower", "risk_upper")))


def _tiers_table(material: Material, frame: pd.DataFrame) -> Table:
    words, found = material.words, material.alerts
    rows = []
    for tier in found.tiers:
        mine = frame[frame["tier"].astype(str) == tier]
        if mine.empty:
            rows.append((tier, count(0), count(0), NOTHING, NOTHING, NOTHING))
            continue
        fresh = int((mine["status"].astype(str) == "new").sum())
        idle, left = (day(float(mine[each].median())) for each in ("idle_days", "days_left"))
        risk = estimate(_mean(mine), share) if mine["risk"].notna().any() else NOTHING
        rows.append((tier, count(len(mine)), count(fresh), idle, left, risk))
    headings = [words.text(f"alerts.{key}") for key in ("tier", "n", "fresh", "idle", "left", "risk")]
    return table(words.text("alerts.table"), headings, rows, note=words.text("alerts.table_note", level=_level(found)))


def _reasons_table(material: Material, frame: pd.DataFrame) -> Table:
    """By what holds: the conditions that bring most users into a tier."""
    words = material.words
    known = frame[frame["fired"].notna()]
    groups = sorted(known.groupby(["tier", "fired"], observed=True), key=lambda each: (-len(each[1]), str(each[0])))
    rows = []
    for (tier, fired), mine in groups[:_ROWS]:
        risk = estimate(_mean(mine), share) if mine["risk"].notna().any() else NOTHING
        rows.append((rule_of(words, fired), str(tier), count(len(mine)), risk))
    note = words.text("alerts.more_rows", n=count(_ROWS), m=count(len(groups))) if len(groups) > _ROWS else ""
    headings = [words.text(f"alerts.{key}") for key in ("fired", "tier", "n", "risk")]
    return table(words.text("alerts.reasons"), headings, rows, text_columns=(1,), note=note)


def _level(found: Any) -> str:
    return f"{100 * found.level:g}%"


def _notes(found: Any) -> list[str]:
    """What the result says of itself, but for money, of which this section does not speak."""
    return [note for note in found.notes if not note.startswith("No margin was given")]
