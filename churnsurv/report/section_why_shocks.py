"""Returns after dates: against those expected, users lost, how long, and dates on which nothing was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Field, name, strong
from churnsurv.report.group_names import group_of, said
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, day, exists, p_value, ratio, share
from churnsurv.report.pieces import (
    columns_of,
    estimate,
    interval,
    limits,
    noted,
    plot_words,
    point_of,
    safe_name,
    table,
)
from churnsurv.report.section_why_monitor import texts_of_days

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["shocks_section", "shocks_summary"]

Row = dict[Any, Any]

_LINK = "why-shocks"
_ALL, _TOUCHED, _EVERY = "(all)", "(touched)", "all days"
_DRAWN = 3  # dates with figures; the tables have all
_ROWS = 40
_SIGNIFICANT = 0.05


def shocks_section(material: Material) -> Section | None:
    """Return the section; None where no date was looked at."""
    shocks, words = material.shocks, material.words
    if shocks is None:
        return None
    sentences = [words.say("shocks.assumed")]
    figures: list[Block] = []
    taken: set[str] = set()
    for place, row in enumerate(_mains(shocks)):
        sentences += _told(material, shocks, row)
        if place < _DRAWN:
            figures.append(_figure(material, shocks, row, taken))
    blocks: list[Block] = [Listing(tuple(sentences)), *figures]
    blocks += [_table(material, shocks), _lost_table(material, shocks)]
    blocks += noted(words, "shocks.notes", shocks.notes)
    return Section(_LINK, words.text("shocks.title"), tuple(blocks))


def shocks_summary(material: Material) -> Sentence | None:
    """The date with the surest effect; the first one where none is clear."""
    shocks = material.shocks
    rows = [] if shocks is None else [row for row in _mains(shocks) if exists(row["hazard_ratio"])]
    if not rows:
        return None
    words = material.words
    row = min(rows, key=lambda each: each["adjusted_p_value"])
    point = point_of(row, "hazard_ratio")
    fields: dict[str, Any] = {
        "name": name(row["name"]),
        "date": words.date(row["date"]),
        "ratio": strong(ratio(point.estimate)),
        "range": limits(point, ratio),
    }
    lost = _lost_of(shocks, row)
    if not _clear(row) or lost is None:
        return Sentence(words.say("summary.shock_none", **fields).parts, _LINK)
    key, number = _users(lost)
    key = "summary.shock" if key == "lost" else "summary.shock_kept"
    if number.lower <= 0 <= number.upper:
        key, number = "summary.shock_unclear", point_of(lost, "lost")
    fields |= {"group": _group(material, row["group"]), "n": strong(count(number.estimate))}
    fields |= {"lost_range": limits(number, count), "until": words.date(lost["until"])}
    return Sentence(words.say(key, **fields).parts, _LINK)


def _mains(shocks: Any) -> list[Row]:
    """Of each date the mean of all days, of all users that it can have touched."""
    frame: pd.DataFrame = shocks.table
    whole = frame[(frame["users"] == "living") & (frame["window"] == _EVERY)]
    rows: list[Row] = whole.drop_duplicates("name").to_dict("records")
    return rows


def _group(material: Material, group: object) -> Part:
    """How the users are named within a sentence."""
    words, key = material.words, {_ALL: "why.all_users", _TOUCHED: "why.touched"}.get(str(group))
    return Part(words.text(key) if key else words.text("monitor.group", group=name(group_of(words, group))))


def _plain(material: Material, group: object) -> str:
    key = {_ALL: "why.all_users", _TOUCHED: "why.touched"}.get(str(group))
    return material.words.text(key) if key else group_of(material.words, group)


def _row_of(frame: pd.DataFrame, row: Row, **where: str) -> Row | None:
    """The first row of the same date and group."""
    mine = frame[(frame["name"] == row["name"]) & (frame["group"] == row["group"])]
    for column, value in where.items():
        mine = mine[mine[column] == value]
    return None if mine.empty else mine.iloc[0].to_dict()


def _clear(row: Row) -> bool:
    """Whether the ratio is clear once all that was looked at is allowed for: the one verdict on a date."""
    return bool(row["adjusted_p_value"] < _SIGNIFICANT)


def _lost_of(shocks: Any, row: Row) -> Row | None:
    found = _row_of(shocks.lost, row)
    return found if found is not None and exists(found["lost"]) else None


def _users(lost: Row) -> tuple[str, Any]:
    """Whether users were lost or kept, and how many, as a number above 0."""
    point = point_of(lost, "lost")
    if point.estimate >= 0:
        return "lost", point
    return "kept", type(point)(-point.estimate, -point.upper, -point.lower)


def _told(material: Material, shocks: Any, row: Row) -> list[Sentence]:
    """What is known of one date, as one item of the list."""
    told = [_effect(material, row)]
    if exists(row["hazard_ratio"]):
        told += [*_lost(material, shocks, row), *_lasted(material, shocks, row)]
        told += [*_untouched(material, shocks, row), *_placebo(material, shocks, row)]
    return [material.words.joined(*told)]


def _effect(material: Material, row: Row) -> Sentence:
    words, point = material.words, point_of(row, "hazard_ratio")
    named: dict[str, Field] = {"name": name(row["name"]), "date": words.date(row["date"])}
    if not exists(point.estimate):
        return words.say("shocks.none", **named)
    return words.say(
        "shocks.effect" if _clear(row) else "shocks.effect_unclear",
        days=_days(material, (row["last"] - row["first"]).days + 1),
        group=_group(material, row["group"]),
        ratio=strong(ratio(point.estimate)),
        range=limits(point, ratio),
        **named,
    )


def _lost(material: Material, shocks: Any, row: Row) -> list[Sentence]:
    lost, words = _lost_of(shocks, row), material.words
    if lost is None:
        return []
    key, point = _users(lost)
    alone = not point.lower <= 0 <= point.upper
    if not alone or not _clear(row):
        key, point = "lost_alone" if alone else "lost_unclear", point_of(lost, "lost")
    fields: dict[str, Field] = {"n": strong(count(point.estimate)), "range": limits(point, count)}
    fields["until"] = words.date(lost["until"])
    found = [words.say(f"shocks.{key}", **fields)]
    back = point_of(lost, "brought_back", "back_lower", "back_upper")
    if exists(back.estimate) and back.lower > 0:
        found.append(words.say("shocks.back", n=strong(count(back.estimate)), range=limits(back, count)))
    return found


def _lasted(material: Material, shocks: Any, row: Row) -> list[Sentence]:
    lasted, words = _row_of(shocks.duration, row), material.words
    if lasted is None or not lasted["found"] or not exists(lasted["days"]):
        return []
    point = point_of(lasted, "days", "days_lower", "days_upper")
    if lasted["lasting"]:
        return [words.say("shocks.lasting", days=strong(_days(material, point.lower)))]
    return [words.say("shocks.lasted", days=strong(_days(material, point.estimate)), range=limits(point, day))]


def _days(material: Material, n: float) -> str:
    return material.words.text("why.day") if n == 1 else material.words.text("why.days", n=day(n))


def _untouched(material: Material, shocks: Any, row: Row) -> list[Sentence]:
    against = _row_of(shocks.untouched, row, measure="against untouched", window=_EVERY)
    if against is None or not exists(against["hazard_ratio"]):
        return []
    point = point_of(against, "hazard_ratio")
    groups = material.words.commas([group_of(material.words, each) for each in shocks.untouched_groups])
    fields: dict[str, Field] = {"groups": groups, "ratio": strong(ratio(point.estimate)), "range": limits(point, ratio)}
    return [material.words.say("shocks.untouched", **fields)]


def _placebo(material: Material, shocks: Any, row: Row) -> list[Sentence]:
    if not exists(row["placebo_p_value"]):
        return []
    frame = shocks.placebo
    n = frame.loc[frame["name"] == row["name"], "date"].nunique()
    return [material.words.say("shocks.placebo", n=count(n), share=strong(share(row["placebo_p_value"])))]


def _figure(material: Material, shocks: Any, row: Row, taken: set[str]) -> Figure:
    words = material.words
    mine = {}
    for key, frame in (("days", shocks.daily), ("windows", shocks.table), ("placebo", shocks.placebo)):
        rows = frame[(frame["name"] == row["name"]) & (frame["group"] == row["group"])]
        mine[key] = rows[rows["users"] == "living"] if key == "windows" else rows
    told = []
    for each in mine["windows"].to_dict("records"):
        point = point_of(each, "hazard_ratio")
        if each["window"] != _EVERY and exists(point.estimate):
            fields = {"ratio": ratio(point.estimate), "range": interval(point, ratio)}
            told.append(words.text("shocks.alt_item", window=said(words, each["window"]), **fields))
    plotted = plot_words(words, "plot_shocks")
    plotted |= {"title": plotted["all"]} if row["group"] == _ALL else {}
    return Figure(
        name=safe_name("date", str(row["name"]), taken),
        kind="shock_effect",
        title=words.text("shocks.figure", name=shown(row["name"])),
        caption=words.text("shocks.caption", level=f"{100 * shocks.level:g}%"),
        alt=words.text(
            "shocks.alt", name=shown(row["name"]), items=words.semicolons(told) or words.text("shocks.alt_none")
        ),
        data=columns_of(texts_of_days(mine["days"])),
        options={
            "level": shocks.level,
            "windows": columns_of(texts_of_days(mine["windows"])),
            "placebo": columns_of(texts_of_days(mine["placebo"])),
            "words": {key: text for key, text in plotted.items() if key != "all"},
        },
    )


def _table(material: Material, shocks: Any) -> Table:
    """Windows of all users that each date can have touched; groups stand in the table of users lost."""
    words, frame = material.words, shocks.table
    rows = [
        row
        for main in _mains(shocks)
        for row in frame[
            (frame["name"] == main["name"]) & (frame["group"] == main["group"]) & (frame["users"] == "living")
        ].to_dict("records")
    ]
    told = []
    for row in rows[:_ROWS]:
        window = words.text("shocks.all_days") if row["window"] == _EVERY else said(words, row["window"])
        ratios = [estimate(point_of(row, "hazard_ratio"), ratio), p_value(row["adjusted_p_value"])]
        counts = [count(row["expected"]), count(row["observed"])]
        told.append([row["name"], window, *counts, *ratios, p_value(row["placebo_p_value"])])
    note = words.text("shocks.table_note", level=f"{100 * shocks.level:g}%")
    headings = [
        words.text(f"shocks.{key}") for key in ("name", "window", "expected", "observed", "ratio", "p", "placebo_p")
    ]
    note = _cut(material, note, len(rows))
    return table(words.text("shocks.table"), headings, told, text_columns=(1,), note=note)


def _lost_table(material: Material, shocks: Any) -> Table:
    """Each date and group: the mean of all days, users lost, and how long."""
    words, rows = material.words, shocks.lost.to_dict("records")
    told = []
    for row in rows[:_ROWS]:
        whole = _row_of(shocks.table, row, users="living", window=_EVERY)
        hazard = NOTHING if whole is None else estimate(point_of(whole, "hazard_ratio"), ratio)
        lasted = _row_of(shocks.duration, row)
        days = NOTHING
        if lasted is not None and lasted["found"]:
            point = point_of(lasted, "days", "days_lower", "days_upper")
            days = words.text("shocks.at_least", n=day(point.lower)) if lasted["lasting"] else estimate(point, day)
        missed = estimate(point_of(row, "missed", "missed_lower", "missed_upper"), count)
        lost = estimate(point_of(row, "lost"), count)
        told.append([row["name"], _plain(material, row["group"]), hazard, missed, lost, words.date(row["until"]), days])
    note = _cut(material, words.text("shocks.lost_note", level=f"{100 * shocks.level:g}%"), len(rows))
    headings = [
        words.text(f"shocks.{key}") for key in ("name", "group", "ratio", "missed", "users_lost", "until", "days")
    ]
    return table(words.text("shocks.lost_table"), headings, told, text_columns=(1,), note=note)


def _cut(material: Material, note: str, n: int) -> str:
    """The note of a table, with what was cut where something was."""
    if n <= _ROWS:
        return note
    return material.words.paragraph([material.words.text("why.more_rows", n=count(_ROWS), m=count(n)), note])
