"""Reasons that users gave: shares weighted for who answers, bounds that need no assumption, and who answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue, Field, name, strong
from churnsurv.report.group_names import column_of, group_of, with_variable
from churnsurv.report.material import ENOUGH, Material
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, between, count, exists, p_value, ratio, share
from churnsurv.report.pieces import (
    and_listed,
    capital,
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

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["reasons_section", "reasons_summary"]

Row = dict[Any, Any]

_LINK = "why-reasons"
_TOLD = 4
_TABLED = 10  # reasons with rows of their own; the rest stand together
_STACKED = 6
_COLUMNS = 5
_ROWS = 24
_DAYS = (30, 90, 180)
_SIGNIFICANT = 0.05
_UNKNOWN = "unknown"


def reasons_section(material: Material) -> Section | None:
    """Return the section; None where nobody said why."""
    reasons, words = material.reasons, material.words
    if reasons is None:
        return None
    rows = _rows(reasons)
    sentences = [_known(material, reasons), _shares(material, reasons, rows), *_bounds(material, rows)]
    sentences += [*_by_group(material, rows[0]["reason"]), *_who_answers(material, reasons), *_agreement(material)]
    blocks: list[Block] = [Listing(tuple(sentences)), _figure(material, reasons, rows), _table(material, reasons, rows)]
    blocks += [_over_time(material, reasons, rows), _days_table(material, reasons, rows)]
    if material.reasons_by is not None:
        blocks.append(_groups_table(material, material.reasons_by))
    if len(reasons.response):
        blocks.append(_answers_table(material, reasons))
    blocks += noted(words, "reasons.notes", reasons.notes)
    return Section(_LINK, words.text("reasons.title"), tuple(blocks))


def reasons_summary(material: Material) -> Sentence | None:
    """How many said why, and the two most frequent reasons with what that rests on."""
    reasons, words = material.reasons, material.words
    if reasons is None:
        return None
    weighted = bool(reasons.weights_on)
    first = [_item(material, row, weighted=weighted) for row in _rows(reasons)[:2]]
    items = {"items": and_listed(words, first)}
    fields: dict[str, Field] = {
        "n": strong(count(reasons.counts["churns"])),
        "until": words.date(reasons.until),
        "known": strong(count(reasons.counts["known"])),
    }
    if not weighted:
        return Sentence(filled(words, "summary.reasons_plain", items, **fields).parts, _LINK)
    names = _names(material, reasons)
    return Sentence(filled(words, "summary.reasons", items, names=names, **fields).parts, _LINK)


def _rows(reasons: Any) -> list[Row]:
    """Reasons of all users, the most frequent one first."""
    frame: pd.DataFrame = reasons.table
    first = frame[frame["group"] == frame["group"].iloc[0]]
    rows: list[Row] = first.sort_values("weighted_share", ascending=False, kind="stable").to_dict("records")
    return rows


def _names(material: Material, reasons: Any) -> str:
    """What the chance of an answer depends on, in words."""
    words = material.words
    told = [words.text(key) if words.has(key := f"reasons.on_{each}") else shown(each) for each in reasons.weights_on]
    parts = and_listed(words, [[Part(each)] for each in told])
    return "".join(part.text for part in parts)


def _known(material: Material, reasons: Any) -> Sentence:
    counts, words = reasons.counts, material.words
    n, until = strong(count(counts["churns"])), words.date(reasons.until)
    if not counts["silent"]:
        return words.say("reasons.all_known", n=n, until=until)
    return words.say(
        "reasons.known",
        n=n,
        until=until,
        known=strong(count(counts["known"])),
        share=share(counts["known"] / counts["churns"]),
        silent=count(counts["silent"]),
    )


def _item(material: Material, row: Row, *, weighted: bool) -> tuple[Part, ...]:
    before = "weighted_" if weighted else ""
    point = point_of(row, f"{before}share", f"{before}lower", f"{before}upper")
    said = material.words.say(
        "reasons.item", share=strong(share(point.estimate)), range=limits(point, share), reason=name(row["reason"])
    )
    return said.parts


def _shares(material: Material, reasons: Any, rows: list[Row]) -> Sentence:
    words, weighted = material.words, bool(reasons.weights_on)
    items = [_item(material, row, weighted=weighted) for row in rows[:_TOLD]]
    if len(rows) > _TOLD:
        key = "reasons.item_more" if len(rows) <= _TABLED else "reasons.item_cut"
        items.append(words.say(key, n=count(len(rows) - _TOLD)).parts)
    key = "reasons.shares" if weighted else "reasons.shares_plain"
    return filled(words, key, {"items": and_listed(words, items, clauses=len(rows) > _TOLD)})


def _bounds(material: Material, rows: list[Row]) -> list[Sentence]:
    first = rows[0]
    if first["bound_lower"] == first["bound_upper"]:
        return []
    low, high = (strong(share(first[f"bound_{end}"])) for end in ("lower", "upper"))
    return [material.words.say("reasons.bounds", low=low, high=high, reason=name(first["reason"]))]


def _by_group(material: Material, reason: str) -> list[Sentence]:
    """Groups between which the most frequent reason differs most clearly, among those with enough answers."""
    found, words = material.reasons_by, material.words
    if found is None:
        return []
    answered = found.overlap.set_index("group")["n_answered"]
    frame: pd.DataFrame = found.table
    rows = [
        row
        for row in frame[frame["reason"] == reason].to_dict("records")
        if all(exists(row[each]) for each in _WEIGHTED) and answered[row["group"]] >= ENOUGH
    ]
    if len(rows) < 2:
        return []
    # A small group may have the largest share and limits too wide to tell: the pair with the widest gap counts.
    high, low = max(rows, key=lambda row: row["weighted_lower"]), min(rows, key=lambda row: row["weighted_upper"])
    apart = low["weighted_upper"] < high["weighted_lower"]
    if not apart:
        high, low = (choose(rows, key=lambda row: row["weighted_share"]) for choose in (max, min))
    points = {end: point_of(row, *_WEIGHTED) for end, row in (("high", high), ("low", low))}
    told = {f"{end}_share": strong(share(point.estimate)) for end, point in points.items()}
    told |= {f"{end}_range": limits(point, share) for end, point in points.items()}
    key = "reasons.groups" if apart else "reasons.groups_alike"
    names = {end: name(group_of(words, row["group"])) for end, row in (("high", high), ("low", low))}
    names["reason"] = name(reason)
    return [words.say(key, column=name(_columns(words, found.by)), **names, **told)]


_WEIGHTED = ("weighted_share", "weighted_lower", "weighted_upper")


def _who_answers(material: Material, reasons: Any) -> list[Sentence]:
    """The term surest to be far from 1, among those clear when all are allowed for."""
    rows, words = _response(reasons), material.words
    if not rows:
        return []
    clear = [row for row in rows if row["adjusted"] < _SIGNIFICANT]
    if not clear:
        return [words.say("reasons.answer_none", names=_names(material, reasons), n=count(len(rows)))]
    row = max(clear, key=lambda each: max(each["lower"], 1 / each["upper"] if each["upper"] > 0 else 0.0))
    point = point_of(row, "odds_ratio")
    fields = {"ratio": strong(ratio(point.estimate)), "range": limits(point, ratio)}
    if not exists(row["category"]):
        return [words.say("reasons.answer_number", term=_term(material, row), **fields)]
    named = {key: name(text) for key, text in _compared(words, row).items()}
    return [words.say("reasons.answer_category", **named, **fields)]


def _columns(words: Catalogue, columns: Sequence[str]) -> str:
    return " | ".join(column_of(words, each) for each in columns)


def _compared(words: Catalogue, row: Row) -> dict[str, str]:
    """A category of a variable and the one that it is compared with."""
    two = {key: group_of(words, row[key]) for key in ("category", "reference")}
    return {"variable": column_of(words, row["variable"]), **two}


def _response(reasons: Any) -> list[Row]:
    """The terms of who answers, with p-values adjusted for all of them by Holm's step-down."""
    rows: list[Row] = reasons.response.to_dict("records")
    surest, largest = sorted((row for row in rows if exists(row["p_value"])), key=lambda row: row["p_value"]), 0.0
    for place, row in enumerate(surest):
        row["adjusted"] = largest = max(largest, min(1.0, row["p_value"] * (len(surest) - place)))
    return [{"adjusted": float("nan"), **row} for row in rows]


def _term(material: Material, row: Row) -> str:
    """The term of a number, with its variable in words."""
    words, key = material.words, f"reasons.short_{row['variable']}"
    names = {row["variable"]: words.text(key)} if words.has(key) else {}
    return shown(with_variable(words, row["term"], names))


def _agreement(material: Material) -> list[Sentence]:
    rows = material.reasons.agreement
    found = []
    for row in rows[rows["measure"] == "agreement"].to_dict("records"):
        point = point_of(row, "estimate")
        if exists(point.estimate):
            value = strong(share(point.estimate))
            fields: dict[str, Field] = {"n": count(row["n"]), "share": value, "range": limits(point, share)}
            found.append(material.words.say("reasons.agreement", **fields))
    return found


def _figure(material: Material, reasons: Any, rows: list[Row]) -> Figure:
    words, frame, weighted = material.words, reasons.table, bool(reasons.weights_on)
    items = []
    for row in rows[:_TABLED]:
        point = point_of(row, *_WEIGHTED)
        fields = {"share": share(point.estimate), "range": interval(point, share)}
        items.append(words.text("reasons.alt_item", reason=shown(row["reason"]), **fields))
    said = plot_words(words, "plot_reasons")
    said |= {} if weighted else {"weighted": said["plain"], "plain": words.text("reasons.no_weights")}
    return Figure(
        name="reasons",
        kind="reason_shares",
        title=words.text("reasons.figure"),
        caption=_cut(material, words.text(_key("reasons.caption", weighted)), rows, _TABLED, "reasons.cut_figure"),
        alt=words.text(_key("reasons.alt", weighted), items=words.semicolons(items)),
        data=columns_of(frame[frame["reason"].isin([row["reason"] for row in rows[:_TABLED]])]),
        options={"level": reasons.level, "words": said},
    )


def _key(key: str, weighted: bool) -> str:
    return key if weighted else f"{key}_plain"


def _cut(material: Material, text: str, rows: list[Row], most: int, key: str) -> str:
    """A note or caption, with what was cut where there are more reasons than are told one by one."""
    if len(rows) <= most:
        return text
    return material.words.paragraph([material.words.text(key, n=count(most), m=count(len(rows))), text])


def _others(material: Material, rows: list[Row], most: int) -> str:
    return material.words.text("reasons.others", n=count(len(rows) - most))


def _pooled(frame: pd.DataFrame, gone: Collection[str], label: str) -> pd.DataFrame:
    """The incidences with those of some causes summed under a label, after the others; sums have no limits."""
    import pandas as pd

    mine = frame["cause"].isin(gone)
    changes = frame[mine].sort_values("time", kind="stable")
    step = changes.groupby("cause", observed=True)["incidence"].diff().fillna(changes["incidence"])
    total = step.groupby(changes["time"]).sum().cumsum()
    rest = pd.DataFrame({"cause": label, "time": total.index, "incidence": total.to_numpy()})
    rest = rest.assign(group=frame["group"].iloc[0], lower=np.nan, upper=np.nan)
    kept = frame.loc[~mine, rest.columns]
    unknown = kept["cause"] == _UNKNOWN
    return pd.concat([kept[~unknown], rest, kept[unknown]], ignore_index=True)


def _over_time(material: Material, reasons: Any, rows: list[Row]) -> Figure:
    words, frame = material.words, reasons.incidence.table
    if len(rows) > _STACKED:
        gone = {row["reason"] for row in rows[_STACKED:]}
        frame = _pooled(frame.astype({"cause": object}), gone, _others(material, rows, _STACKED))
    day = int(reasons.horizon or frame["time"].max())
    items = [
        words.text("reasons.alt_share", reason=_cause(material, cause), share=share(value))
        for cause in dict.fromkeys(frame["cause"])
        if exists(value := _at(frame[frame["cause"] == cause], day)["incidence"])
    ]
    return Figure(
        name="reasons_over_time",
        kind="stacked_incidence",
        title=words.text("reasons.over_time"),
        caption=_cut(material, words.text("reasons.over_time_caption"), rows, _STACKED, "reasons.cut"),
        alt=words.text("reasons.over_time_alt", day=count(day), items=words.semicolons(items)),
        data=columns_of(frame),
        options={"horizon": reasons.horizon, "words": plot_words(words, "plot_over_time")},
    )


def _cause(material: Material, cause: object) -> str:
    return material.words.text("reasons.unknown") if cause == _UNKNOWN else shown(cause)


def _at(rows: pd.DataFrame, day: float) -> Row:
    """The row of a step curve that holds on a day."""
    ordered = rows.sort_values("time", kind="stable")
    place = int(np.searchsorted(ordered["time"].to_numpy(dtype=np.float64), day, side="right")) - 1
    if place < 0:
        return {"incidence": 0.0, "lower": float("nan"), "upper": float("nan")}
    found: Row = ordered.iloc[place].to_dict()
    return found


def _table(material: Material, reasons: Any, rows: list[Row]) -> Table:
    words, level = material.words, f"{100 * reasons.level:g}%"
    weighted = ("weighted",) if reasons.weights_on else ()
    told = []
    for row in rows[:_TABLED]:
        possible = between(share(row["bound_lower"]), share(row["bound_upper"]))
        points = [point_of(row, "share"), *(point_of(row, *_WEIGHTED) for _ in weighted)]
        told.append([row["reason"], count(row["n"]), *(estimate(point, share) for point in points), possible])
    if rest := rows[_TABLED:]:
        names = ("share", *("weighted_share" for _ in weighted), "bound_lower")
        *shares, low = (sum(row[each] for row in rest if exists(row[each])) for each in names)
        # What is possible for any reason is its own churns, and all of the silent besides.
        high = min(low + rest[0]["bound_upper"] - rest[0]["bound_lower"], 1.0)
        cells = [count(sum(row["n"] for row in rest)), *map(share, shares), between(share(low), share(high))]
        told.append([_others(material, rows, _TABLED), *cells])
    headings = [words.text(f"reasons.{key}") for key in ("reason", "n", "plain", *weighted, "possible")]
    if reasons.weights_on:
        note = words.text("reasons.table_note", level=level, names=_names(material, reasons))
    else:
        note = words.text("reasons.table_note_plain", level=level)
    note = _cut(material, note, rows, _TABLED, "reasons.cut")
    return table(words.text("reasons.table"), headings, told, note=note)


def _days_table(material: Material, reasons: Any, rows: list[Row]) -> Table:
    """Weighted incidences on some days."""
    words = material.words
    frame = reasons.weighted_incidence
    if len(frame):
        frame = frame[frame["group"] == frame["group"].iloc[0]]
    last = int(reasons.horizon or frame["time"].max())
    days = [day for day in sorted({*_DAYS, material.horizon, last}) if day <= last]
    told = []
    if len(rows) > _TABLED:
        gone = {row["reason"] for row in rows[_TABLED:]}
        frame = _pooled(frame.astype({"cause": object}), gone, _others(material, rows, _TABLED))
    others = [_others(material, rows, _TABLED)] if len(rows) > _TABLED else []
    for cause in [*(row["reason"] for row in rows[:_TABLED]), *others]:
        mine = frame[frame["cause"] == cause]
        told.append([cause, *(estimate(point_of(_at(mine, day), "incidence"), share) for day in days)])
    headings = [words.text("reasons.reason"), *(words.text("reasons.day", day=count(day)) for day in days)]
    key = _key("reasons.days_note", bool(reasons.weights_on))
    note = _cut(material, words.text(key, level=f"{100 * reasons.level:g}%"), rows, _TABLED, "reasons.cut")
    return table(words.text("reasons.days"), headings, told, note=note)


def _groups_table(material: Material, found: Any) -> Table:
    words = material.words
    column = _columns(words, found.by)
    order = [row["reason"] for row in _rows(material.reasons)][:_COLUMNS]
    overlap = {row["group"]: row for row in found.overlap.to_dict("records")}
    wide: dict[str, dict[str, Row]] = {}
    for row in found.table.to_dict("records"):
        wide.setdefault(row["group"], {})[row["reason"]] = row
    told = []
    for group, rows in list(wide.items())[:_ROWS]:
        points = [estimate(point_of(rows[each], *_WEIGHTED), share) if each in rows else NOTHING for each in order]
        told.append([group_of(words, group), count(overlap[group]["n"]), count(overlap[group]["n_answered"]), *points])
    note = words.text("reasons.by_note", level=f"{100 * found.level:g}%")
    if len(wide) > _ROWS:
        note = words.paragraph([words.text("why.more_rows", n=count(_ROWS), m=count(len(wide))), note])
    headings = [
        capital(column),
        words.text("reasons.churns"),
        words.text("reasons.answered"),
        *map(shown, order),
    ]
    title = words.text(_key("reasons.by", bool(found.weights_on)), column=column)
    return table(title, headings, told, note=note)


def _answers_table(material: Material, reasons: Any) -> Table:
    words = material.words
    told = []
    for row in _response(reasons)[:_ROWS]:
        term = _term(material, row)
        if exists(row["category"]):
            term = words.text("reasons.against", **_compared(words, row))
        told.append([term, estimate(point_of(row, "odds_ratio"), ratio), p_value(row["adjusted"])])
    headings = [words.text(f"reasons.{key}") for key in ("term", "odds", "p")]
    note = words.text("reasons.answers_note", level=f"{100 * reasons.level:g}%", n=count(len(reasons.response)))
    if len(reasons.response) > _ROWS:
        note = words.paragraph([words.text("why.more_rows", n=count(_ROWS), m=count(len(reasons.response))), note])
    return table(words.text("reasons.answers"), headings, told, note=note)
