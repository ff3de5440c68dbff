"""Problems that users met: what to fix first, by reach and effect, and hazard ratios by how often and how lately."""

from __future__ import annotations

from typing import Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue, name, strong
from churnsurv.report.group_names import said
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Listing, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, exists, p_value, quantity, ratio, share
from churnsurv.report.pieces import (
    and_listed,
    columns_of,
    estimate,
    filled,
    interval,
    limits,
    noted,
    plot_words,
    point_of,
    table,
)

__all__ = ["problems_section", "problems_summary"]

Row = dict[Any, Any]

_LINK = "why-problems"
_ALL = "(all)"
_TOLD = 4
_ROWS = 40


def problems_section(material: Material) -> Section | None:
    """Return the section; None where problems were not looked at."""
    experience, words = material.experience, material.words
    if experience is None:
        return None
    kinds, whole = _ranked(experience)
    sentences = [*_first(material, kinds), *_next(material, kinds), *_whole(material, kinds, whole)]
    sentences.append(words.say("problems.observed"))
    blocks: list[Block] = [Listing(tuple(sentences)), _figure(material, experience, kinds)]
    blocks.append(_table(material, experience))
    if (experience.table["model"] != "any").any():
        blocks.append(_ratios(material, experience))
    blocks += noted(words, "problems.notes", [*experience.notes, *_absent(words, experience)])
    return Section(_LINK, words.text("problems.title"), tuple(blocks))


def problems_summary(material: Material) -> Sentence | None:
    """The problem with the largest share of churn, if that is clearly above none."""
    experience = material.experience
    if experience is None:
        return None
    words, (kinds, _) = material.words, _ranked(experience)
    row = _clear(kinds)
    if row is None:
        named = {"kinds": and_listed(words, [[name(each["kind"])] for each in kinds])}
        return Sentence(filled(words, "summary.problems_none", named).parts, _LINK)
    told = words.say("summary.problems", reach=share(row["reach_users"]), **_share(row))
    return Sentence(told.parts, _LINK)


def _ranked(experience: Any) -> tuple[list[Row], Row | None]:
    """The kinds, the largest share first, and all of them together."""
    rows = experience.ranking.to_dict("records")
    whole = next((row for row in rows if row["kind"] == _ALL), None)
    return [row for row in rows if row["kind"] != _ALL], whole


def _clear(kinds: list[Row]) -> Row | None:
    """The first kind whose share is clearly above none; larger ones that chance alone allows do not hide it."""
    return next((row for row in kinds if row["share_lower"] > 0), None)


def _share(row: Row) -> dict[str, Any]:
    point = point_of(row, "share", "share_lower", "share_upper")
    return {"kind": name(row["kind"]), "share": strong(_percent(point.estimate)), "range": limits(point, _percent)}


def _percent(value: Any) -> str:
    """A share that may lie below 0."""
    return f"-{share(-value)}" if exists(value) and value < 0 else share(value)


def _lost(row: Row) -> dict[str, Any]:
    point = point_of(row, "lost", "lost_lower", "lost_upper")
    return {"lost": strong(_users(point.estimate)), "lost_range": limits(point, _users)}


def _users(value: Any) -> str:
    """Users a month: whole where they are many."""
    return count(value) if exists(value) and abs(value) >= 10 else quantity(value)


def _first(material: Material, kinds: list[Row]) -> list[Sentence]:
    words, row = material.words, _clear(kinds)
    if row is None:
        return [words.say("problems.none")]
    point = point_of(row, "hazard_ratio", "hr_lower", "hr_upper")
    told = _share(row)
    first = words.say(
        "problems.first",
        kind=told["kind"],
        reach=share(row["reach_users"]),
        ratio=strong(ratio(point.estimate)),
        range=limits(point, ratio),
        share=told["share"],
        share_range=told["range"],
        **_lost(row),
    )
    found = [first]
    if len(kinds) > 1 and exists(row["top"]):
        found.append(words.say("problems.sure", top=strong(share(row["top"]))))
    return found


def _next(material: Material, kinds: list[Row]) -> list[Sentence]:
    """Kinds with a larger share that is not clear, and those that follow; where none is clear, the largest ones."""
    words, clear = material.words, _clear(kinds)
    if clear is None:
        told = [("problems.each", kinds[:_TOLD])]
    else:
        place = kinds.index(clear)
        told = [("problems.larger", kinds[:place][:_TOLD]), ("problems.next", kinds[place + 1 :][:_TOLD])]
    found = []
    for key, rows in told:
        items = [words.say("problems.next_item", **_share(row)).parts for row in rows]
        found += [filled(words, key, {"items": and_listed(words, items)})] if items else []
    return found


def _whole(material: Material, kinds: list[Row], whole: Row | None) -> list[Sentence]:
    if whole is None or len(kinds) < 2:
        return []
    told = _share(whole)
    return [material.words.say("problems.all", share=told["share"], range=told["range"], **_lost(whole))]


def _figure(material: Material, experience: Any, kinds: list[Row]) -> Figure:
    words = material.words
    items = []
    for row in kinds:
        point = point_of(row, "share", "share_lower", "share_upper")
        told = {"share": _percent(point.estimate), "range": interval(point, _percent)}
        items.append(words.text("reasons.alt_item", reason=shown(row["kind"]), **told))
    return Figure(
        name="problems",
        kind="experience",
        title=words.text("problems.figure"),
        caption=words.text("problems.caption"),
        alt=words.text("problems.alt", items=words.semicolons(items)),
        data=columns_of(experience.ranking),
        options={"level": experience.level, "words": plot_words(words, "plot_problems")},
    )


def _table(material: Material, experience: Any) -> Table:
    words = material.words
    told = []
    for row in experience.ranking.to_dict("records")[:_ROWS]:
        whole = row["kind"] == _ALL
        kind = words.text("problems.all_kinds") if whole else row["kind"]
        hazard = NOTHING if whole else estimate(point_of(row, "hazard_ratio", "hr_lower", "hr_upper"), ratio)
        taken = estimate(point_of(row, "share", "share_lower", "share_upper"), _percent)
        lost = estimate(point_of(row, "lost", "lost_lower", "lost_upper"), _users)
        top = share(row["top"]) if exists(row["top"]) else NOTHING
        told.append([kind, share(row["reach_users"]), share(row["reach_gaps"]), hazard, taken, lost, top])
    keys = ("kind", "reach", "gaps", "ratio", "share", "lost", "top")
    note = words.text("problems.table_note", level=f"{100 * experience.level:g}%")
    return table(words.text("problems.table"), [words.text(f"problems.{key}") for key in keys], told, note=note)


def _ratios(material: Material, experience: Any) -> Table:
    """How often and how lately; what any problem of the day goes with stands in the other table."""
    words, frame = material.words, experience.table
    rows = frame[frame["model"] != "any"].to_dict("records")
    told = []
    for row in rows[:_ROWS]:
        hazard = estimate(point_of(row, "hazard_ratio"), ratio)
        compared = words.text(
            "problems.against", what=said(words, row["what"]), reference=said(words, row["reference"])
        )
        told.append([row["kind"], compared, count(row["n_exposed"]), hazard, p_value(row["adjusted_p_value"])])
    note = words.text("problems.ratios_note", level=f"{100 * experience.level:g}%")
    if len(rows) > _ROWS:
        note = words.paragraph([words.text("why.more_rows", n=count(_ROWS), m=count(len(rows))), note])
    headings = [words.text(f"problems.{key}") for key in ("kind", "what", "exposed", "ratio", "p")]
    return table(words.text("problems.ratios"), headings, told, text_columns=(1,), note=note)


def _absent(words: Catalogue, experience: Any) -> list[str]:
    """What has no estimate, one line each."""
    return [
        words.text(
            "problems.absent", kind=shown(row["kind"]), what=said(words, row["what"]), why=said(words, row["why"])
        )
        for row in experience.absent.to_dict("records")
    ]
