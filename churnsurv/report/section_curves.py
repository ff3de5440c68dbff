"""When users churn: curves with numbers at risk, medians, shares on given days, and the log-rank test beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churnsurv.report.catalogue import name, strong
from churnsurv.report.group_names import column_of
from churnsurv.report.material import ENOUGH, Curves, Material, Point
from churnsurv.report.model import Block, Figure, Part, Section, Sentence, Table
from churnsurv.report.numbers import bracketed, count, day, exists, ratio, share
from churnsurv.report.pieces import (
    columns_of,
    estimate,
    group_words,
    limits,
    p_words,
    plot_words,
    safe_name,
    table,
    test_fields,
)

__all__ = ["curves_link", "curves_sections", "groups_apart", "groups_sentence", "overall_sentence", "section_id"]

_ROWS = 100
_ALT_GROUPS = 8
_SIGNIFICANT = 0.05


def curves_sections(material: Material) -> list[Section]:
    """Return one section for all users, then one for each column that splits them."""
    taken: set[str] = set()
    ids: set[str] = set()
    sections = []
    for label, curves in material.curves.items():
        overall = curves.groups == ["all"]
        title = material.words.text("curves.title_all")
        if not overall:
            title = material.words.text("curves.title", column=column_of(material.words, label))
        told = overall_sentence(material) if curves is material.overall else groups_sentence(material, label, curves)
        blocks: list[Block] = [*([] if told is None else [told]), _figure(material, label, curves, taken)]
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


def curves_link(material: Material, wanted: Curves) -> str:
    """Return the id of the section of curves."""
    ids: set[str] = set()
    links = {id(curves): section_id(label, ids) for label, curves in material.curves.items()}
    return links[id(wanted)]


def overall_sentence(material: Material) -> Sentence | None:
    """The day by which half have churned, and the share still active on the day of comparison."""
    curves, words = material.overall, material.words
    if curves is None:
        return None
    noun, median = material.noun, curves.median("all")
    if not exists(median.estimate):
        found = words.say("summary.half_not", noun=noun, day=strong(day(curves.last_day["all"])))
    elif not exists(median.upper):
        found = words.say("summary.half_open", noun=noun, day=strong(day(median.estimate)), low=day(median.lower))
    else:
        on = strong(day(median.estimate))
        found = words.say("summary.half", noun=noun, day=on, range=limits(median, day))
    point = curves.at("all", material.horizon)
    if point is None:
        return found
    value, at = strong(share(point.estimate)), count(material.horizon)
    return words.joined(found, words.say("summary.survival", share=value, range=_range(material, point), day=at))


def groups_sentence(material: Material, label: str, curves: Curves) -> Sentence | None:
    """Lowest and highest group on the day of comparison; where the test sees no difference, only the span."""
    words = material.words
    on, extremes = _extremes(material, curves)
    if extremes is None or on <= 0:
        return None
    low, low_point, high, high_point = extremes
    test = material.tests.get(label)
    key = "summary.groups_untested"
    further = {}
    if test is not None and exists(test.p_value):
        key = "summary.groups" if test.p_value < _SIGNIFICANT else "summary.groups_alike"
        further["p"] = p_words(test.p_value)
    among = (
        ""
        if curves.ranked == curves.groups
        else words.text("summary.among", n=count(ENOUGH), noun=material.counted_noun)
    )
    return words.say(
        key,
        column=name(column_of(words, label)),
        among=among,
        noun=material.noun,
        day=day(on),
        low=name(group_words(material, low)),
        low_share=strong(share(low_point.estimate)),
        low_range=_range(material, low_point),
        high=name(group_words(material, high)),
        high_share=strong(share(high_point.estimate)),
        high_range=_range(material, high_point),
        **further,
    )


def groups_apart(material: Material, label: str, curves: Curves) -> float:
    """How far the intervals of the lowest and the highest group are apart; below 0 where nothing is clear."""
    _, extremes = _extremes(material, curves)
    test = material.tests.get(label)
    if extremes is None or (test is not None and not test.p_value < _SIGNIFICANT):
        return -1.0
    _, low, _, high = extremes
    gap = high.lower - low.upper
    return float(gap) if exists(gap) else 0.0


def _extremes(material: Material, curves: Curves) -> tuple[float, tuple[str, Point, str, Point] | None]:
    """The lowest and the highest group, on the day of comparison or else on the last that all groups have."""
    on = float(material.horizon)
    extremes = curves.extremes(on)
    if extremes is None:
        on = min(curves.last_day[group] for group in curves.ranked)
        extremes = curves.extremes(on)
    return on, extremes


def _range(material: Material, point: Point) -> Part:
    """The limits of a share; at 0% and 100% the interval does not exist, and the sentence says so."""
    if exists(point.lower) and exists(point.upper):
        return limits(point, share)
    return Part(material.words.text("summary.no_interval", share=share(point.estimate)), "keep")


def _figure(material: Material, label: str, curves: Curves, taken: set[str]) -> Figure:
    words = material.words
    until = curves.shown_until()
    origin = words.text("curves.origin_spells" if material.spells.get("spells") == "all" else "curves.origin_users")
    caption = [words.text("curves.caption", level=f"{100 * curves.level:g}%", noun=material.noun)]
    if until < max(curves.last_day.values()):
        caption.append(words.text("curves.caption_until", day=day(until)))
    return Figure(
        name=safe_name("survival", label, taken),
        kind="survival_curves",
        title=words.text("curves.figure", origin=origin),
        caption=words.paragraph(caption),
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
            said = group_words(material, group)
            told.append(words.text("curves.alt_group", group=said, share=share(point.estimate), day=day(on)))
    if len(groups) > _ALT_GROUPS:
        told.append(words.text("curves.alt_more", n=count(len(groups) - _ALT_GROUPS)))
    return words.text("curves.alt", until=day(until), groups=words.semicolons(told))


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
    return table(
        words.text("curves.table"), columns, rows, numeric_from=0 if overall else 1, note=words.paragraph(notes)
    )


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
    row = [] if overall else [group_words(material, group)]
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
        return day(point.estimate) + bracketed(material.words.text("curves.beyond", low=day(point.lower)))
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
        low_group=name(group_words(material, low)),
        high=strong(ratio(sizes[high])),
        high_group=name(group_words(material, high)),
    )
