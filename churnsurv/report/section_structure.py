"""Where churn sits: by lifecycle stage, acquisition channel and month of registration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.group_names import column_of, group_of
from churnsurv.report.material import ENOUGH, Material, Point
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, exists, share
from churnsurv.report.pieces import (
    and_listed,
    capital,
    columns_of,
    estimate,
    filled,
    limits,
    noted,
    plot_words,
    point_of,
    table,
)
from churnsurv.report.section_lifecycle import lifecycle_blocks

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["structure_section", "structure_summary"]

Row = dict[Any, Any]

_LINK = "who"
_ROWS = 24
_MONTHS = 12  # what months say of churn stands in curves and bursts
_ALT_CELLS = 10
_STAGES = 4
_OTHER = "other"  # months of few users together are no month


def structure_section(material: Material) -> Section | None:
    """Return the section; None where neither the structure nor the lifecycle is known."""
    structure, life = material.structure, material.lifecycle
    blocks: list[Block] = []
    if structure is not None:
        blocks += _told(material, structure)
        blocks += [_map(material, structure)] if not structure.cross.empty else []
        blocks += [_table(material, structure, variable) for variable in structure.by]
        blocks += [_cross(material, structure)] if not structure.cross.empty else []
    if life is not None:
        blocks += lifecycle_blocks(material, life)
    if structure is not None:
        blocks += noted(material.words, "who.notes", structure.notes)
    return Section(_LINK, material.words.text("who.title"), tuple(blocks)) if blocks else None


def structure_summary(material: Material) -> Sentence | None:
    """The stage, or else the channel, that most of the churned left in, and who churns most there."""
    structure = material.structure
    if structure is None:
        return None
    words, variable = material.words, structure.by[0]
    rows = _of(structure.table, variable)
    most = max(rows, key=lambda row: row["share"])
    group, point = name(group_of(words, most["group"])), point_of(most, "share", "share_lower", "share_upper")
    value, span, n = strong(share(point.estimate)), limits(point, share), strong(count(structure.n_churned))
    if variable != "stage":
        found = words.say(
            "summary.group", n=n, group=group, column=name(column_of(words, variable)), share=value, range=span
        )
        return Sentence(found.parts, _LINK)
    told = [words.say("summary.stage", n=n, stage=group, share=value, range=span)]
    ranked = _ranked(structure.cross, str(most["group"]))
    if len(ranked) > 1:
        first = point_of(ranked[0], "churned")
        there = {"share": strong(share(first.estimate)), "range": limits(first, share)}
        channel = name(group_of(words, ranked[0]["channel"]))
        told.append(words.say("summary.stage_channel", channel=channel, day=count(structure.cross_horizon), **there))
    return words.joined(*told, link=_LINK)


# -------------------------------------------------------------------------------------------------------- the story


def _told(material: Material, structure: Any) -> list[Block]:
    found: list[Sentence] = []
    if "stage" in structure.by:
        found.append(_stages(material, structure))
        found += [_worst(material, structure, stage) for stage in _stage_order(structure.cross)[:_STAGES]]
    for variable in structure.by:
        if variable == "cohort":
            found += _month(material, structure)
        elif variable != "stage":
            found.append(_extremes(material, structure, variable))
    sentences = tuple(sentence for sentence in found if sentence.parts)
    return [Listing(sentences)] if sentences else []


def _stages(material: Material, structure: Any) -> Sentence:
    """Which stages the churned left in."""
    items = []
    for row in _of(structure.table, "stage"):
        point = point_of(row, "share", "share_lower", "share_upper")
        fields = {"share": strong(share(point.estimate)), "range": limits(point, share), "stage": name(row["group"])}
        items.append(material.words.say("who.stages_item", **fields).parts)
    lists = {"items": and_listed(material.words, items)}
    return filled(material.words, "who.stages", lists, n=strong(count(structure.n_churned)))


def _worst(material: Material, structure: Any, stage: str) -> Sentence:
    """The channel that churns most in a stage, and the next: said to be alike where their limits overlap."""
    ranked = _ranked(structure.cross, stage)
    if len(ranked) < 2:
        return Sentence(())
    first, second = (point_of(row, "churned") for row in ranked[:2])
    apart = first.lower > second.upper
    return material.words.say(
        "who.worst" if apart else "who.worst_alike",
        stage=name(stage),
        channel=name(group_of(material.words, ranked[0]["channel"])),
        share=strong(share(first.estimate)),
        range=limits(first, share),
        day=count(structure.cross_horizon),
        next=name(group_of(material.words, ranked[1]["channel"])),
        next_share=strong(share(second.estimate)),
        next_range=limits(second, share),
    )


def _extremes(material: Material, structure: Any, variable: str) -> Sentence:
    """The groups of a column that churn most and least by the longest horizon that all of them reach."""
    known = structure.horizons[structure.horizons["variable"] == variable]
    sizes = {row["group"]: row["n_users"] for row in _of(structure.table, variable)}
    large = [group for group, n in sizes.items() if n >= ENOUGH]
    known = known[known["group"].isin(large)]
    reached = known.groupby("horizon")["group"].nunique()
    days = [int(day) for day, n in reached.items() if n == len(large) > 1]
    if not days:
        return Sentence(())
    rows = known[known["horizon"] == max(days)].to_dict("records")
    high, low = max(rows, key=lambda row: row["churned"]), min(rows, key=lambda row: row["churned"])
    high_point, low_point = point_of(high, "churned"), point_of(low, "churned")
    return material.words.say(
        "who.extremes",
        column=name(column_of(material.words, variable)),
        day=count(max(days)),
        high=name(group_of(material.words, high["group"])),
        high_share=strong(share(high_point.estimate)),
        high_range=_range(material, high_point),
        low=name(group_of(material.words, low["group"])),
        low_share=strong(share(low_point.estimate)),
        low_range=_range(material, low_point),
    )


def _range(material: Material, point: Point) -> Part:
    if exists(point.lower) and exists(point.upper):
        return limits(point, share)
    return Part(material.words.text("summary.no_interval", share=share(point.estimate)), "keep")


def _month(material: Material, structure: Any) -> list[Sentence]:
    """The month of registration with most of the churned, beside its share of all users."""
    rows = [row for row in _of(structure.table, "cohort") if str(row["group"]) != _OTHER]
    if not rows:
        return []
    most = max(rows, key=lambda row: row["share"])
    point = point_of(most, "share", "share_lower", "share_upper")
    found = material.words.say(
        "who.month",
        share=strong(share(point.estimate)),
        range=limits(point, share),
        month=name(most["group"]),
        all=share(most["n_users"] / structure.n_users),
    )
    return [found]


# ------------------------------------------------------------------------------------------------ figures and tables


def _map(material: Material, structure: Any) -> Figure:
    words, cross = material.words, structure.cross
    cells = cross.sort_values("share", ascending=False, kind="stable").to_dict("records")
    told = [
        words.text(
            "who.alt_cell",
            stage=shown(row["stage"]),
            channel=group_of(words, row["channel"]),
            share=share(row["share"]),
        )
        for row in cells[:_ALT_CELLS]
    ]
    return Figure(
        name="churn_structure",
        kind="churn_structure",
        title=words.text("who.map"),
        caption=words.text("who.map_caption"),
        alt=words.text("who.map_alt", cells=words.semicolons(told)),
        data=columns_of(cross),
        options={"horizon": structure.cross_horizon, "words": plot_words(words, "plot_structure")},
    )


def _table(material: Material, structure: Any, variable: str) -> Table:
    """Shares and churn by horizon of the groups of one variable; the largest where there are many."""
    words = material.words
    rows = _of(structure.table, variable)
    points = {
        (row["group"], int(row["horizon"])): point_of(row, "churned")
        for row in structure.horizons.to_dict("records")
        if row["variable"] == variable
    }
    notes = []
    most = _MONTHS if variable == "cohort" else _ROWS
    if len(rows) > most:
        largest = sorted(rows, key=lambda row: -row["share"])[:most]
        notes.append(words.text("who.more_rows", n=count(most), m=count(len(rows))))
        rows = [row for row in rows if row in largest]
    key = variable if variable in {"stage", "channel", "cohort"} else "other"
    headings = [words.text(f"who.of_{key}") if key != "other" else capital(column_of(words, variable))]
    headings += [words.text(f"who.{each}") for each in ("users", "churned", "share")]
    headings += [words.text("who.by_day", day=count(day)) for day in structure.horizon_days]
    told = []
    for row in rows:
        cells = [group_of(words, row["group"]), count(row["n_users"]), count(row["n_churned"])]
        cells.append(estimate(point_of(row, "share", "share_lower", "share_upper"), share))
        for day in structure.horizon_days:
            point = points.get((row["group"], day))
            cells.append(words.text("curves.not_followed") if point is None else estimate(point, share))
        told.append(cells)
    notes.append(words.text("who.stage_note" if variable == "stage" else "who.group_note"))
    title = words.text(f"who.table_{key}", column=shown(variable))
    return table(title, headings, told, note=words.paragraph(notes))


def _cross(material: Material, structure: Any) -> Table:
    words = material.words
    rows = structure.cross.to_dict("records")
    notes = [words.text("who.cross_note")]
    if len(rows) > 2 * _ROWS:
        largest = sorted(rows, key=lambda row: -row["share"])[: 2 * _ROWS]
        notes.insert(0, words.text("who.more_rows", n=count(2 * _ROWS), m=count(len(rows))))
        rows = [row for row in rows if row in largest]
    keys = ["stage", "channel", "users", "churned", "share"]
    headings = [words.text(f"who.{key}") for key in keys]
    known = structure.cross_horizon is not None
    headings += [words.text("who.by_day", day=count(structure.cross_horizon)), words.text("who.rank")] if known else []
    told = []
    for row in rows:
        cells = [row["stage"], group_of(words, row["channel"]), count(row["n_users"]), count(row["n_churned"])]
        cells.append(estimate(point_of(row, "share", "share_lower", "share_upper"), share))
        if known:
            cells += [estimate(point_of(row, "churned"), share) if exists(row["churned"]) else NOTHING]
            cells += [count(row["rank"])]
        told.append(cells)
    return table(words.text("who.cross"), headings, told, numeric_from=2, note=words.paragraph(notes))


# ---------------------------------------------------------------------------------------------------------- look-ups


def _of(frame: pd.DataFrame, variable: str) -> list[Row]:
    rows: list[Row] = frame[frame["variable"] == variable].to_dict("records")
    return rows


def _stage_order(cross: pd.DataFrame) -> Sequence[str]:
    return list(dict.fromkeys(cross["stage"].astype(str)))


def _ranked(cross: pd.DataFrame, stage: str) -> list[Row]:
    """Cells of a stage whose churn is known with its limits, most first."""
    rows = [row for row in cross.to_dict("records") if str(row["stage"]) == stage]
    known = [row for row in rows if exists(row["churned"]) and exists(row["lower"]) and exists(row["upper"])]
    return sorted(known, key=lambda row: -row["churned"])
