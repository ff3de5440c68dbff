"""When users churn: curves with numbers at risk, medians, shares on given days, and the log-rank test beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.material import Curves, Material, Point
from churnsurv.report.model import Block, Figure, Section, Sentence, Table
from churnsurv.report.numbers import count, day, exists, ratio, share
from churnsurv.report.pieces import columns_of, estimate, plot_words, safe_name, table, test_fields

__all__ = ["curves_sections", "section_id"]

_ROWS = 100
_ALT_GROUPS = 8


def curves_sections(material: Material) -> list[Section]:
    """Return one section for all users, then one for each column that splits them."""
    taken: set[str] = set()
    ids: set[str] = set()
    sections = []
    for label, curves in material.curves.items():
        overall = curves.groups == ["all"]
        title = material.words.text("curves.title_all")
        if not overall:
            title = material.words.text("curves.title", column=shown(label))
        blocks: list[Block] = [_figure(material, label, curves, taken)]
        sizes: Mapping[str, float] = {}
        if label in material.tests:
            sizes = _sizes(material.tests[label])
            blocks.append(_test(material, material.tests[label], sizes))
        blocks.append(_table(material, curves, sizes, overall=overall))
        sections.append(Section(section_id(label, ids), title, tuple(blocks)))
    return sections


def section_id(label: str, taken: set[str]) -> str:
    """Return the id of the section of a label; the same labels in the same order give the same ids."""
    return safe_name("curves", label, taken).replace("_", "-")


def _figure(material: Material, label: str, curves: Curves, taken: set[str]) -> Figure:
    words = material.words
    until = curves.shown_until()
    origin = words.text("curves.origin_spells" if material.spells.get("spells") == "all" else "curves.origin_users")
    caption = words.text("curves.caption", level=f"{100 * curves.level:g}%", noun=material.noun)
    if until < max(curves.last_day.values()):
        caption += " " + words.text("curves.caption_until", day=day(until))
    return Figure(
        name=safe_name("survival", label, taken),
        kind="survival_curves",
        title=words.text("curves.figure", origin=origin),
        caption=caption,
        alt=_alt(material, curves, until),
        data=columns_of(curves.table),
        options={
            "level": curves.level,
            "horizon": until,
            "words": plot_words(words, time=words.messages["plot.time"].replace("{origin}", origin)),
        },
    )


def _alt(material: Material, curves: Curves, until: float) -> str:
    words, groups = material.words, curves.groups
    on = min(float(material.horizon), until)
    told = []
    for group in groups[:_ALT_GROUPS]:
        point = curves.at(group, on)
        if point is not None:
            told.append(words.text("curves.alt_group", group=shown(group), share=share(point.estimate), day=day(on)))
    if len(groups) > _ALT_GROUPS:
        told.append(words.text("curves.alt_more", n=count(len(groups) - _ALT_GROUPS)))
    return words.text("curves.alt", until=day(until), groups="; ".join(told))


def _table(material: Material, curves: Curves, sizes: Mapping[str, float], *, overall: bool) -> Table:
    words = material.words
    days = [on for on in material.days if any(on <= last for last in curves.last_day.values())]
    groups = curves.groups
    notes = [words.text("curves.note")]
    if len(groups) > _ROWS:
        largest = set(sorted(groups, key=lambda group: -curves.n(group))[:_ROWS])
        notes.insert(0, words.text("curves.more_rows", n=count(_ROWS), m=count(len(groups))))
        groups = [group for group in groups if group in largest]
    noun = material.noun
    columns = [
        *(() if overall else (words.text("curves.group"),)),
        words.text("curves.n", noun=noun[:1].upper() + noun[1:]),
        words.text("curves.half"),
        *(words.text("curves.active", day=day(on)) for on in days),
        words.text("curves.churned"),
        *((words.text("curves.ratio"),) if sizes else ()),
    ]
    rows = [_row(material, curves, group, days, sizes, overall=overall) for group in groups]
    used = "\n".join(cell for row in rows for cell in row)
    if all(words.text(f"curves.{key}") not in used for key in ("not_reached", "not_followed")):
        notes.pop()
    if sizes:
        notes.append(words.text("curves.ratio_note"))
    return table(words.text("curves.table"), columns, rows, numeric_from=0 if overall else 1, note=" ".join(notes))


def _row(
    material: Material,
    curves: Curves,
    group: str,
    days: list[int],
    sizes: Mapping[str, float],
    *,
    overall: bool,
) -> list[str]:
    words = material.words
    row = [] if overall else [group]
    row += [count(curves.n(group)), _median(material, curves.median(group))]
    for on in days:
        point = curves.at(group, on)
        row.append(words.text("curves.not_followed") if point is None else estimate(point, share))
    row.append(count(curves.n_churned(group)))
    return [*row, ratio(sizes.get(group))] if sizes else row


def _median(material: Material, point: Point) -> str:
    if not exists(point.estimate):
        return material.words.text("curves.not_reached")
    if not exists(point.upper) and exists(point.lower):
        return f"{day(point.estimate)} ({material.words.text('curves.beyond', low=day(point.lower))})"
    return estimate(point, day)


def _sizes(result: Any) -> dict[str, float]:
    """Churns observed for each churn expected if all groups were alike: how far a group is from the others."""
    return {
        str(row["group"]): float(row["observed"]) / float(row["expected"])
        for row in result.table.to_dict("records")
        if exists(row["expected"]) and row["expected"] > 0
    }


def _test(material: Material, result: Any, sizes: Mapping[str, float]) -> Sentence:
    """The test in a sentence, the size of the difference beside its p-value."""
    if len(sizes) < 2:
        return test_fields(material.words, result, "test.short")
    low, high = min(sizes, key=lambda group: sizes[group]), max(sizes, key=lambda group: sizes[group])
    return test_fields(
        material.words,
        result,
        "test.sentence",
        low=strong(ratio(sizes[low])),
        low_group=name(low),
        high=strong(ratio(sizes[high])),
        high_group=name(high),
    )
