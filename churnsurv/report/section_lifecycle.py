"""Users by lifecycle stage on the last day, and how they moved from stage to stage; a part of who churns."""

from __future__ import annotations

from typing import Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue, name, strong
from churnsurv.report.group_names import group_of
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Table
from churnsurv.report.numbers import NOTHING, count, number, share
from churnsurv.report.pieces import and_listed, columns_of, filled, plot_words, table

__all__ = ["lifecycle_blocks"]


def lifecycle_blocks(material: Material, life: Any) -> list[Block]:
    """Return the living and churned users of each stage on the day, and how often users moved."""
    words, rows = material.words, life.table.to_dict("records")
    day, churned = words.date(life.date), sum(int(row["churned"]) for row in rows)
    items = [
        words.say(
            "life.item",
            n=strong(count(row["churned"])),
            stage=name(group_of(words, row["stage"])),
            share=share(row["churned"] / churned) if churned else NOTHING,
        ).parts
        for row in rows
    ]
    users = count(life.counts["users"])
    sentence = filled(
        words,
        "life.sentence",
        {"items": and_listed(words, items)},
        date=day,
        churned=strong(count(churned)),
        n=users,
    )
    told = [
        words.text(
            "life.alt_stage",
            stage=group_of(words, row["stage"]),
            living=count(row["living"]),
            churned=count(row["churned"]),
        )
        for row in rows
    ]
    figure = Figure(
        name="lifecycle",
        kind="lifecycle",
        title=words.text("life.figure", date=day),
        caption=_stage_rule(words, life.stages),
        alt=words.text("life.alt", stages=words.semicolons(told)),
        data=columns_of(life.table),
        options={"date": None, "words": plot_words(words, "plot_life")},
    )
    return [sentence, figure, _moves(material, life)]


def _stage_rule(words: Catalogue, stages: Any) -> str:
    """What the stages are cut from, and where each starts."""
    label = f"variable.{stages.by}"
    by = words.text(label) if words.has(label) else shown(stages.by)
    starts = [
        words.text("life.start", stage=shown(stage), start=number(start)) for stage, start in stages.starts.items()
    ]
    return words.text("life.caption", by=by[:1].lower() + by[1:], starts=words.commas(starts))


def _moves(material: Material, life: Any) -> Table:
    words = material.words
    kept = {"(registered)": words.text("life.registered"), "(churned)": words.text("life.churned")}
    rows = [
        [
            *(kept.get(row[end], group_of(words, row[end])) for end in ("from_stage", "to_stage")),
            *map(count, (row["transitions"], row["users"])),
        ]
        for row in life.transitions.to_dict("records")
    ]
    headings = [words.text(f"life.{key}") for key in ("from", "to", "times", "users")]
    return table(words.text("life.moves"), headings, rows, numeric_from=2, note=words.text("life.moves_note"))
