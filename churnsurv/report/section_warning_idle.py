"""Idle risk in words, figures and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.material import Material, Point
from churnsurv.report.model import Figure, Part, Sentence, Table
from churnsurv.report.numbers import NOTHING, between, count, day, exists, share
from churnsurv.report.pieces import (
    and_listed,
    capital,
    columns_of,
    estimate,
    filled,
    limits,
    plot_words,
    point_of,
    table,
)
from churnsurv.report.warning_words import by_words, group_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["idle_figures", "idle_sentences", "idle_summary", "idle_tables"]

Row = dict[Any, Any]

_DAYS = (3, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180)
_TOLD = (7, 14, 21, 45, 90)
_ROWS = 40
_MOST_LINES = 12


def idle_sentences(material: Material) -> list[Sentence]:
    """The risk after so many silent days, where it crosses stated risks, how soon users are back, and by group."""
    risk = material.idle_risk
    found = [_silent(material, risk), *_base(material, risk), *_crossings(material, risk), *_intervals(material, risk)]
    if material.idle_risk_by is not None:
        found += _groups(material, material.idle_risk_by)
    if material.tiers is None:
        found.append(material.words.say("idle.no_tiers"))
    return found


def idle_summary(material: Material) -> list[Sentence]:
    """The risk of a user half way to churn."""
    risk = material.idle_risk
    if risk is None:
        return []
    rows = _rows(risk.table, _first_group(risk), late=_main(risk))
    half = int(risk.rule.idle_days) // 2
    days = [d for d in rows if d <= half]
    return [material.words.say("summary.idle", **_fields(risk, rows[max(days)]))]


def _main(risk: Any) -> bool:
    """Whether the registration gaps are what is told first: only where there are no others."""
    return bool(risk.table["registration_gap"].all())


def _first_group(risk: Any) -> str:
    return str(risk.table["group"].iloc[0])


def _rows(frame: pd.DataFrame, group: str, *, late: bool) -> dict[int, Row]:
    """The rows of one curve by idle day."""
    mine = frame[(frame["group"].astype(str) == group) & (frame["registration_gap"] == late)]
    return {int(row["idle_days"]): row for row in mine.to_dict("records") if exists(row["churn"])}


def _fields(risk: Any, row: Row) -> dict[str, Part | str]:
    point = point_of(row, "churn")
    return {
        "days": strong(count(row["idle_days"])),
        "share": strong(share(point.estimate)),
        "range": limits(point, share),
        "left": count(int(risk.rule.idle_days) - row["idle_days"]),
    }


def _told_days(risk: Any, rows: dict[int, Row]) -> list[int]:
    """Up to three days to tell: weeks where the rule has weeks, else its quarters."""
    idle = int(risk.rule.idle_days)
    weeks = [d for d in _TOLD if d < idle and d in rows]
    quarters = sorted({max(round(idle * q), 1) for q in (0.25, 0.5, 0.75)} & set(rows))
    return weeks[-3:] if len(weeks) > 1 else quarters or sorted(rows)[:1]


def _silent(material: Material, risk: Any) -> Sentence:
    rows = _rows(risk.table, _first_group(risk), late=_main(risk))
    first, *others = (_fields(risk, rows[d]) for d in _told_days(risk, rows))
    items: list[Part] = []
    for each in others:
        items += [Part(material.words.messages["semicolon"]), *material.words.say("idle.silent_item", **each).parts]
    return filled(
        material.words, "idle.silent", {"items": items}, **{f"first_{key}": value for key, value in first.items()}
    )


def _base(material: Material, risk: Any) -> list[Sentence]:
    found = []
    for late, key in ((False, "idle.all"), (True, "idle.registration")):
        row = _rows(risk.table, _first_group(risk), late=late).get(0)
        if row is not None:
            point = point_of(row, "churn")
            n, value = strong(count(row["n_gaps"])), strong(share(point.estimate))
            found.append(material.words.say(key, n=n, share=value, range=limits(point, share)))
    return found


def _crossings(material: Material, risk: Any) -> list[Sentence]:
    frame = risk.crossings
    mine = frame[(frame["group"].astype(str) == _first_group(risk)) & (frame["registration_gap"] == _main(risk))]
    items = [_crossing(material, row) for row in mine.to_dict("records") if exists(row["idle_day"])]
    if not items:
        return []
    return [filled(material.words, "idle.crossings", {"items": and_listed(material.words, items, clauses=True)})]


def _crossing(material: Material, row: Row) -> tuple[Part, ...]:
    fields = {"risk": Part(_risk(row["probability"])), "day": strong(day(row["idle_day"]))}
    if not exists(row["lower"]):
        return material.words.say("idle.crossing_alone", **fields).parts
    if not exists(row["upper"]):
        return material.words.say("idle.crossing_open", low=day(row["lower"]), **fields).parts
    span = Part(between(day(row["lower"]), day(row["upper"])), "keep")
    return material.words.say("idle.crossing", range=span, **fields).parts


def _risk(probability: float) -> str:
    return f"{100 * float(probability):g}%"


def _intervals(material: Material, risk: Any) -> list[Sentence]:
    frame = risk.intervals
    mine = frame[frame["group"].astype(str) == _first_group(risk)]
    by = {round(float(row["probability"]), 3): point_of(row, "days") for row in mine.to_dict("records")}
    if any(not exists(by[p].estimate) if p in by else True for p in (0.5, 0.9)):
        return []
    half, most = by[0.5], by[0.9]
    return [
        material.words.say(
            "idle.intervals",
            half=strong(day(half.estimate)),
            half_range=limits(half, day),
            most=strong(day(most.estimate)),
            most_range=limits(most, day),
        )
    ]


def _groups(material: Material, risk: Any) -> list[Sentence]:
    """The groups whose risk half way to churn is highest and lowest."""
    half = max(int(risk.rule.idle_days) // 2, 1)
    frame = risk.table
    late = _main(risk)
    mine = frame[(frame["registration_gap"] == late) & (frame["idle_days"] == half) & frame["lower"].notna()]
    if len(mine) < 2:
        return []
    rows = sorted(mine.to_dict("records"), key=lambda row: float(row["churn"]))
    column = Part(by_words(material.words, risk), "name")
    fields: dict[str, Part | str] = {"column": column, "days": strong(count(half))}
    for key, row in (("low", rows[0]), ("high", rows[-1])):
        point = point_of(row, "churn")
        fields |= {
            key: name(group_of(material.words, risk, row["group"])),
            f"{key}_share": strong(share(point.estimate)),
            f"{key}_range": limits(point, share),
        }
    return [material.words.say("idle.groups", **fields)]


# --------------------------------------------------------------------------------------------------------- figures


def idle_figures(material: Material) -> list[Figure]:
    """The risk by idle day: of all users, and by group."""
    words = material.words
    bands = _bands(material)
    caption = words.paragraph(
        [words.text("idle.caption"), *([] if bands is None else [words.text("idle.caption_bands")])]
    )
    found = [_figure(material, material.idle_risk, "idle_risk", words.text("idle.figure"), caption, bands)]
    by = material.idle_risk_by
    if by is not None and len(by.groups) > 1:
        title = words.text("idle.figure_by", column=by_words(words, by))
        found.append(_figure(material, by, "idle_risk_by", title, words.text("idle.caption_by")))
    return found


def _bands(material: Material) -> pd.DataFrame | None:
    """Who is in which tier when; None where nobody ever is, or tiers are cuts of a score, which has no bands."""
    cuts_score = material.tiers is not None and material.tiers.score is not None
    bands = None if material.tiers is None or cuts_score else material.tiers.bands()
    return bands if bands is not None and bands["first_day"].notna().any() else None


def _figure(
    material: Material, risk: Any, file: str, title: str, caption: str, bands: pd.DataFrame | None = None
) -> Figure:
    words = material.words
    return Figure(
        name=file,
        kind="idle_risk",
        title=title,
        caption=caption,
        alt=words.text("idle.alt", lines=words.semicolons(_alt_lines(material, risk))),
        data=columns_of(risk.table),
        options={
            "level": risk.level,
            "crossings": columns_of(risk.crossings),
            "bands": None if bands is None else columns_of(bands),
            "words": plot_words(words, "plot_idle"),
        },
    )


def _alt_lines(material: Material, risk: Any) -> list[str]:
    words, found = material.words, []
    pairs = dict.fromkeys(zip(risk.table["group"].astype(str), risk.table["registration_gap"], strict=True))
    several = len({group for group, _ in pairs}) > 1
    for group, late in pairs:
        if several and late and not _main(risk):
            continue
        rows = _rows(risk.table, group, late=bool(late))
        told = [
            words.text("idle.alt_point", share=share(rows[d]["churn"]), day=count(d)) for d in _told_days(risk, rows)
        ]
        said = words.text("idle.since" if late else "idle.later")
        if several:
            said = shown(group_of(words, risk, group))
        found.append(words.text("idle.alt_line", group=said, shares=words.commas(told)))
    return found[:_MOST_LINES]


# ---------------------------------------------------------------------------------------------------------- tables


def idle_tables(material: Material) -> list[Table]:
    """Risk on chosen days, crossings and login intervals, of all users and by group."""
    risks = [material.idle_risk, *([material.idle_risk_by] if material.idle_risk_by is not None else [])]
    found = [_days_table(material), _crossings_table(material, risks)]
    intervals = _intervals_table(material, risks)
    return [*found, *([intervals] if intervals is not None else [])]


def _days_table(material: Material) -> Table:
    words, risk = material.words, material.idle_risk
    idle, group = int(risk.rule.idle_days), _first_group(risk)
    curves = {late: _rows(risk.table, group, late=late) for late in (False, True)}
    there = [late for late in curves if curves[late]]
    headings = [words.text("idle.day"), words.text("idle.left")]
    for late in there:
        after = "_since" if late and len(there) > 1 else ""
        headings += [words.text(f"idle.n{after}"), words.text(f"idle.churn{after}")]
        headings += [] if after else [words.text("idle.hazard")]
    told = []
    for d in sorted({0, *(each for each in _DAYS if each < idle), idle - 1}):
        cells = [words.text("idle.days_cell", day=count(d)), count(idle - d)]
        for late in there:
            row = curves[late].get(d)
            cells += _cells(row, hazard=not (late and len(there) > 1))
        told.append(cells)
    return table(words.text("idle.table"), headings, told, note=words.text("idle.table_note"))


def _cells(row: Row | None, *, hazard: bool) -> list[str]:
    if row is None:
        return [NOTHING] * (3 if hazard else 2)
    found = [count(row["n_gaps"]), estimate(point_of(row, "churn"), share)]
    if hazard:
        found.append(estimate(point_of(row, "return_hazard", "hazard_lower", "hazard_upper"), share))
    return found


def _crossings_table(material: Material, risks: list[Any]) -> Table:
    words = material.words
    wanted = list(material.idle_risk.probabilities)
    by_line: dict[str, dict[float, Row]] = {}
    for risk in risks:
        for row in risk.crossings.to_dict("records"):
            by_line.setdefault(_line_name(material, risk, row), {})[float(row["probability"])] = row
    told = [
        [line, *(_crossing_cell(rows.get(p)) for p in wanted)]
        for line, rows in by_line.items()
        if any(exists(row["idle_day"]) for row in rows.values())
    ]
    note = _note(material, "idle.crossings_note", len(told))
    headings = [words.text("idle.group"), *(_risk(p) for p in wanted)]
    return table(words.text("idle.crossings_table"), headings, told[:_ROWS], note=note)


def _line_name(material: Material, risk: Any, row: Row) -> str:
    words = material.words
    said = words.text("idle.since" if row["registration_gap"] else "idle.later")
    if not risk.by:
        return capital(said)
    return words.text("idle.line", group=_group_name(material, risk, row["group"]), gaps=said)


def _group_name(material: Material, risk: Any, group: object) -> str:
    """A group with the columns that it is of."""
    return material.words.headed(by_words(material.words, risk), shown(group_of(material.words, risk, group)))


def _note(material: Material, key: str, n_rows: int) -> str:
    """The note of a table; before it that rows are left out, where they are."""
    words = material.words
    cut = [words.text("idle.more_rows", n=count(_ROWS), m=count(n_rows))] if n_rows > _ROWS else []
    return words.paragraph([*cut, words.text(key)])


def _crossing_cell(row: Row | None) -> str:
    if row is None or not exists(row["idle_day"]):
        return NOTHING
    return estimate(Point(row["idle_day"], row["lower"], row["upper"]), day)


def _intervals_table(material: Material, risks: list[Any]) -> Table | None:
    words, told = material.words, []
    wanted: list[float] = []
    for risk in risks:
        for group, rows in risk.intervals.groupby("group", sort=False, observed=True):
            by = {float(row["probability"]): row for row in rows.to_dict("records")}
            wanted = wanted or sorted(by)
            said = _group_name(material, risk, group) if risk.by else capital(words.text("idle.later"))
            told.append([said, *(NOTHING if p not in by else estimate(point_of(by[p], "days"), day) for p in wanted)])
    if not told:
        return None
    headings = [words.text("idle.group"), *(words.text("idle.intervals_col", share=_risk(p)) for p in wanted)]
    note = _note(material, "idle.intervals_note", len(told))
    return table(words.text("idle.intervals_table"), headings, told[:_ROWS], note=note)
