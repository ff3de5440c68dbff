"""Bursts of registrations: when they were, whose, and how their users churn."""

from __future__ import annotations

from typing import Any

from churnsurv.report.catalogue import name, strong
from churnsurv.report.group_names import column_of, group_of
from churnsurv.report.material import Material, Point
from churnsurv.report.model import Block, Figure, Listing, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, exists, p_value, ratio, share
from churnsurv.report.pieces import capital, columns_of, estimate, limits, noted, plot_words, point_of, table

__all__ = ["bursts_section", "bursts_summary"]

Row = dict[Any, Any]

_LINK = "who-bursts"
_ANY = "any burst"
_TOLD = 3
_ROWS = 40
_COLUMNS = 5


def bursts_section(material: Material) -> Section | None:
    """Return the section; None where bursts were not looked for."""
    bursts = material.bursts
    if bursts is None:
        return None
    words = material.words
    sentences = _told(material, bursts)
    blocks: list[Block] = [Listing(tuple(sentences)), _figure(material, bursts)]
    if len(bursts.table):
        blocks.append(_table(material, bursts))
        if len(bursts.groups):
            blocks.append(_groups(material, bursts))
    blocks += noted(words, "bursts.notes", bursts.notes)
    return Section(_LINK, words.text("bursts.title"), tuple(blocks))


def bursts_summary(material: Material) -> Sentence | None:
    """How many registrations came in bursts, and how their users churn; None without bursts."""
    bursts = material.bursts
    if bursts is None or bursts.table.empty:
        return None
    hazard = _hazard(material, bursts)
    told = [_count(material, bursts), *([hazard] if hazard is not None else [])]
    return material.words.joined(*told, link=_LINK)


def _told(material: Material, bursts: Any) -> list[Sentence]:
    words = material.words
    if bursts.table.empty:
        return [words.say("bursts.none", n=strong(count(bursts.n_users)), days=count(len(bursts.days)))]
    rows = sorted(bursts.table.to_dict("records"), key=lambda row: row["expected"] - row["registrations"])
    told = [_count(material, bursts), *(_one(material, row) for row in rows[:_TOLD])]
    hazard = _hazard(material, bursts)
    return [*told, hazard] if hazard is not None else told


def _count(material: Material, bursts: Any) -> Sentence:
    rows = bursts.table
    return material.words.say(
        "bursts.one" if len(rows) == 1 else "bursts.some",
        bursts=strong(count(len(rows))),
        days=count(int(bursts.days["burst"].sum())),
        all=count(len(bursts.days)),
        n=strong(count(rows["registrations"].sum())),
        users=count(bursts.n_users),
        expected=count(rows["expected"].sum()),
    )


def _one(material: Material, row: Row) -> Sentence:
    words = material.words
    point = point_of(row, "excess", "excess_lower", "excess_upper")
    event = exists(row["event"])
    return words.say(
        "bursts.each_named" if event else "bursts.each",
        days=_days(material, row),
        n=strong(count(row["registrations"])),
        expected=count(row["expected"]),
        excess=strong(count(point.estimate)),
        range=limits(point, count),
        **({"event": name(row["event"])} if event else {}),
    )


def _days(material: Material, row: Row) -> str:
    first, last = (material.words.date(row[key]) for key in ("start", "end"))
    return first if first == last else material.words.text("bursts.span", first=first, last=last)


def _hazard(material: Material, bursts: Any) -> Sentence | None:
    """The hazard ratio of all users of bursts, as the association that it is."""
    rows = bursts.hazard[bursts.hazard["category"] == _ANY].to_dict("records")
    if not rows or not exists(rows[0]["hazard_ratio"]):
        return None
    point = point_of(rows[0], "hazard_ratio", "hr_lower", "hr_upper")
    adjusted = len(set(bursts.hazard["variable"])) > 1
    key = "bursts.hazard" if point.lower > 1 or point.upper < 1 else "bursts.hazard_unclear"
    found = material.words.say(key, ratio=strong(ratio(point.estimate)), range=limits(point, ratio))
    if not adjusted:
        return found
    return material.words.joined(
        found, material.words.say("bursts.adjusted", by=name(column_of(material.words, bursts.by)))
    )


def _figure(material: Material, bursts: Any) -> Figure:
    words, level = material.words, f"{100 * bursts.level:g}%"
    days = bursts.days
    told = [
        words.text("bursts.alt_burst", days=_days(material, row), n=count(row["registrations"]))
        for row in bursts.table.to_dict("records")[:10]
    ]
    first, last = words.date(bursts.first_day), words.date(bursts.last_day)
    alt = words.text(
        "bursts.alt", first=first, last=last, bursts=words.semicolons(told) or words.text("bursts.alt_none")
    )
    return Figure(
        name="registrations",
        kind="cohort_bursts",
        title=words.text("bursts.figure"),
        caption=words.text("bursts.caption", level=level),
        alt=alt,
        data=columns_of(days.assign(date=days["date"].dt.strftime("%Y-%m-%d"))),
        options={
            "level": bursts.level,
            "bursts": columns_of(bursts.table),
            "words": plot_words(words, "plot_bursts"),
        },
    )


def _table(material: Material, bursts: Any) -> Table:
    words = material.words
    rows = bursts.table.to_dict("records")
    notes = []
    if len(rows) > _ROWS:
        notes.append(words.text("bursts.more_rows", n=count(_ROWS), m=count(len(rows))))
        largest = sorted(rows, key=lambda row: row["expected"] - row["registrations"])[:_ROWS]
        rows = [row for row in rows if row in largest]
    named = any(exists(row["event"]) for row in rows)
    hazards = _hazards(bursts)
    keys = ["days", *(["event"] if named else []), "registrations", "expected", "excess", "times", "p"]
    headings = [words.text(f"bursts.{key}") for key in keys]
    headings += [words.text("bursts.ratio")] if hazards else []
    told = []
    for row in rows:
        cells = [_days(material, row), *([_event(material, row)] if named else [])]
        cells += [count(row["registrations"]), count(row["expected"])]
        cells.append(estimate(point_of(row, "excess", "excess_lower", "excess_upper"), count))
        cells += [ratio(row["ratio"]), p_value(row["adjusted_p_value"])]
        if hazards:
            point = hazards.get(_category(row))
            cells.append(NOTHING if point is None else estimate(point, ratio))
        told.append(cells)
    if hazards:
        notes.append(words.text("bursts.ratio_note"))
    return table(
        words.text("bursts.table"), headings, told, text_columns=(1,) if named else (), note=words.paragraph(notes)
    )


def _event(material: Material, row: Row) -> str:
    if not exists(row["event"]):
        return NOTHING
    return material.words.commas([str(row[key]) for key in ("event", "event_kind") if exists(row[key])])


def _category(row: Row) -> str:
    first, last = (str(row[key])[:10] for key in ("start", "end"))
    return first if first == last else f"{first} to {last}"


def _hazards(bursts: Any) -> dict[str, Point]:
    """Hazard ratio of each burst by its days; of the only one that of all."""
    found = {
        str(row["category"]): point_of(row, "hazard_ratio", "hr_lower", "hr_upper")
        for row in bursts.hazard.to_dict("records")
        if row["variable"] == "burst" and exists(row["hazard_ratio"])
    }
    if len(bursts.table) == 1 and _ANY in found:
        return {_category(bursts.table.iloc[0].to_dict()): found[_ANY]}
    return {category: point for category, point in found.items() if category != _ANY}


def _groups(material: Material, bursts: Any) -> Table:
    """Whose users came in the largest bursts, beside their share outside."""
    words, groups = material.words, bursts.groups
    spans = groups.groupby(["start", "end"], sort=False)["registrations"].sum().nlargest(_COLUMNS).index.sort_values()
    wide: dict[str, dict[Any, Row]] = {}
    for row in groups.to_dict("records"):
        wide.setdefault(row["group"], {})[(row["start"], row["end"])] = row
    headings = [capital(column_of(words, bursts.by)), words.text("bursts.outside")]
    headings += [_days(material, {"start": start, "end": end}) for start, end in spans]
    told = []
    for group, rows in list(wide.items())[:_ROWS]:
        outside = next(iter(rows.values()))["share_outside"]
        cells = [group_of(words, group), share(outside)]
        for span in spans:
            point = point_of(rows[span], "share", "share_lower", "share_upper") if span in rows else None
            cells.append(NOTHING if point is None else estimate(point, share))
        told.append(cells)
    return table(words.text("bursts.groups"), headings, told, note=words.text("bursts.groups_note"))
