"""What channels are worth: what users bring against what they cost, with how sure that is."""

from __future__ import annotations

from typing import Any

from churnsurv.report.catalogue import name, strong
from churnsurv.report.group_names import column_of, group_of
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, day, exists, number, quantity, share
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

__all__ = ["value_section", "value_summary"]

Row = dict[Any, Any]

_LINK = "who-value"
_VERDICTS = ("keep", "watch", "drop")
_NAMED = 6
_ROWS = 60


def value_section(material: Material) -> Section | None:
    """Return the section; None where channels were not weighed."""
    found = material.channels
    if found is None:
        return None
    words = material.words
    horizon = count(found.horizon)
    rows = found.table.to_dict("records")
    priced = any(exists(row["value"]) for row in rows)
    blocks: list[Block] = [words.say("value.reading" if priced else "value.days_only", day=horizon)]
    told = _verdicts(material, found, rows)
    blocks += [Listing(tuple(told))] if told else []
    if priced or any(exists(row["days_until_churn"]) for row in rows):
        blocks.append(_figure(material, found, rows, priced=priced))
    blocks.append(_table(material, found, rows, priced=priced))
    blocks += noted(words, "value.notes", found.notes)
    return Section(_LINK, words.text("value.title"), tuple(blocks))


def value_summary(material: Material) -> Sentence | None:
    """Which channels to keep, watch and drop; None where there is no verdict."""
    found = material.channels
    rows = [] if found is None else found.table.to_dict("records")
    items = []
    for verdict in _VERDICTS:
        chosen = _of(rows, verdict)
        if chosen:
            listed = _listed(material, [_item(material, row) for row in chosen])
            items.append((*material.words.say(f"value.short_{verdict}").parts, *listed))
    if not items:
        return None
    parts: list[Part] = []
    for place, item in enumerate(items):
        parts += [*([Part(material.words.messages["semicolon"])] if place else []), *item]
    return Sentence(filled(material.words, "summary.value", {"items": parts}, day=count(found.horizon)).parts, _LINK)


def _verdicts(material: Material, found: Any, rows: list[Row]) -> list[Sentence]:
    """One sentence a verdict, with the channels that are clearest first."""
    words, told = material.words, []
    for verdict in _VERDICTS:
        chosen = _of(rows, verdict)
        if not chosen:
            continue
        items = _listed(material, [_item(material, row) for row in chosen])
        told.append(filled(words, f"value.{verdict}", {"items": items}, keep=number(found.keep)))
    unknown = [row for row in rows if not exists(row["value"]) and any(exists(r["value"]) for r in rows)]
    if unknown:
        items = _listed(material, [(name(group_of(words, row["channel"])),) for row in unknown])
        told.append(filled(words, "value.unknown", {"items": items}))
    return told


def _of(rows: list[Row], verdict: str) -> list[Row]:
    """Rows of a verdict, the largest value first; of those to drop the smallest."""
    chosen = [row for row in rows if row["verdict"] == verdict]
    return sorted(chosen, key=lambda row: row["value"] if verdict == "drop" else -row["value"])


def _item(material: Material, row: Row) -> tuple[Part, ...]:
    point = point_of(row, "value", "value_lower", "value_upper")
    channel = name(group_of(material.words, row["channel"]))
    fields = {"channel": channel, "value": strong(quantity(point.estimate))}
    if not exists(point.lower):
        return material.words.say("value.item_alone", **fields).parts
    return material.words.say("value.item", range=limits(point, quantity), **fields).parts


def _listed(material: Material, items: list[tuple[Part, ...]]) -> tuple[Part, ...]:
    """The first few as a list, and how many more there are."""
    left = len(items) - _NAMED
    further = [material.words.say("value.more", n=count(left)).parts] if left > 0 else []
    return and_listed(material.words, [*items[:_NAMED], *further])


def _figure(material: Material, found: Any, rows: list[Row], *, priced: bool) -> Figure:
    words = material.words
    column = "value" if priced else "days_until_churn"
    form = quantity if priced else day
    told = [
        words.text(
            "value.alt_channel",
            channel=group_of(words, row["channel"]),
            value=estimate(point_of(row, column, f"{column}_lower", f"{column}_upper"), form),
        )
        for row in rows[:12]
        if exists(row[column])
    ]
    title = words.text("value.figure" if priced else "value.figure_days", day=count(found.horizon))
    caption = words.text("value.caption", keep=number(found.keep)) if priced else ""
    return Figure(
        name="channel_value",
        kind="channel_value",
        title=title,
        caption=caption,
        alt=words.text("value.alt", title=title, channels=words.semicolons(told)),
        data=columns_of(found.table),
        options={"keep": found.keep, "level": found.level, "words": plot_words(words, "plot_value")},
    )


def _verdict(material: Material, row: Row) -> str:
    """The verdict and how sure it is; the chance is of an approximate law, and never all or nothing."""
    if not exists(row["verdict"]):
        return NOTHING
    word = material.words.text(f"plot_value.{row['verdict']}")
    if not exists(row["sure"]):
        return word
    sure = share(min(max(float(row["sure"]), 1e-6), 1 - 1e-6))
    return material.words.text("value.verdict_sure", verdict=word, sure=sure)


def _table(material: Material, found: Any, rows: list[Row], *, priced: bool) -> Table:
    """Every figure of every channel, the verdict first; columns that no channel has are left out."""
    words = material.words
    forms: tuple[tuple[str, Any], ...] = (
        *(("value", quantity), ("margin", quantity), ("cost_per_user", quantity)),
        *(("conversion", share), ("days_until_churn", day), ("active_days", day)),
    )
    forms = tuple((key, form) for key, form in forms if any(exists(row[key]) for row in rows))
    headings = [
        capital(column_of(words, found.by)),
        words.text("value.users"),
        *([words.text("value.verdict")] if priced else []),
    ]
    headings += [words.text(f"value.{key}", day=count(found.horizon)) for key, _ in forms]
    told = []
    for row in rows[:_ROWS]:
        cells = [group_of(words, row["channel"]), count(row["n_users"]), *([_verdict(material, row)] if priced else [])]
        cells += [_estimate(row, key, form) for key, form in forms]
        told.append(cells)
    note = words.text("value.note", level=f"{100 * found.level:g}%", day=count(found.horizon))
    if priced:
        note = words.paragraph([words.text("value.sure", keep=number(found.keep)), note])
    return table(words.text("value.table"), headings, told, note=note)


def _estimate(row: Row, key: str, form: Any) -> str:
    if f"{key}_lower" not in row:
        return str(form(row[key]))
    return estimate(point_of(row, key, f"{key}_lower", f"{key}_upper"), form)
