"""Returns watched day by day: alarms, since when, how large, and which users carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.report.catalogue import Field, name, strong
from churnsurv.report.group_names import column_of, group_of, said
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, day, exists, ratio, share
from churnsurv.report.pieces import columns_of, estimate, limits, noted, plot_words, point_of, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["monitor_section", "monitor_summary", "texts_of_days"]

Row = dict[Any, Any]

_LINK = "why-monitor"
_ALL = "(all)"
_TOLD = 3
_ROWS = 40


def monitor_section(material: Material) -> Section | None:
    """Return the section; None where returns were not watched."""
    monitor, words = material.monitor, material.words
    if monitor is None:
        return None
    open_now = _strongest(monitor.open_alarms)
    sentences = [_watched(material, monitor), *_earlier(material, monitor)]
    for row in open_now[:_TOLD]:
        sentences += [_open(material, monitor, row), *_carried(material, monitor, row)]
    over = monitor.alarms[monitor.alarms["ended_on"].notna()]
    sentences += [_closed(material, monitor, row) for row in _strongest(over)[: max(_TOLD - len(open_now), 0)]]
    sentences += _soon(material, monitor)
    blocks: list[Block] = [Listing(tuple(sentences)), _figure(material, monitor)]
    if len(monitor.alarms):
        blocks.append(_alarms_table(material, monitor))
    blocks.append(_groups_table(material, monitor))
    blocks += noted(words, "monitor.notes", monitor.notes)
    return Section(_LINK, words.text("monitor.title"), tuple(blocks))


def monitor_summary(material: Material) -> Sentence | None:
    """The strongest alarm that is open; None without one."""
    monitor = material.monitor
    rows = [] if monitor is None else _strongest(monitor.open_alarms)
    if not rows:
        return None
    row, words = rows[0], material.words
    key = "summary.alarm" if len(rows) == 1 else "summary.alarms"
    n = {} if len(rows) == 1 else {"n": strong(count(len(rows)))}
    return Sentence(words.say(key, **n, **_size(material, monitor, row)).parts, _LINK)


def _strongest(alarms: pd.DataFrame) -> list[Row]:
    """Alarms by how many returns are missing; those of groups first, which the chart of all users leaves out."""
    rows: list[Row] = alarms.sort_values("missing", ascending=False, kind="stable").to_dict("records")
    return sorted(rows, key=lambda row: str(row["group"]) == _ALL)


def _size(material: Material, monitor: Any, row: Row) -> dict[str, Any]:
    point = point_of(row, "ratio")
    return {
        "begun": material.words.date(row["begun"]),
        "group": _group(material, monitor, row["group"], without=_left_out(monitor, row)),
        "ratio": strong(ratio(point.estimate)),
        "range": limits(point, ratio),
    }


def _left_out(monitor: Any, row: Row) -> bool:
    """Whether another chart had an alarm on days that an alarm counts: the chart of all users leaves it out on them."""
    others = monitor.alarms[monitor.alarms["group"] != row["group"]]
    after = others["ended_on"].isna() | (others["ended_on"] >= row["begun"])
    before = (others["alarm_on"] <= row["ended_on"]) if exists(row["ended_on"]) else others["alarm_on"].notna()
    return bool((after & before).any())


def _left_out_now(monitor: Any) -> bool:
    return bool((monitor.open_alarms["group"] != _ALL).any())


def _whole(monitor: Any, group: object) -> bool:
    """Whether a chart is of all users: the one of all, or the only one there was on any day."""
    return str(group) == _ALL or len(set(monitor.table["group"])) == 1


def _group(material: Material, monitor: Any, group: object, *, without: bool) -> Part:
    """How a chart is named within a sentence; `without`: groups with an alarm do not count in that of all users."""
    if _whole(monitor, group):
        return Part(_plain(material, monitor, group, without=without))
    return Part(_of_group(material, group))


def _of_group(material: Material, group: object) -> str:
    return material.words.text("monitor.group", group=name(group_of(material.words, group)))


def _watched(material: Material, monitor: Any) -> Sentence:
    words = material.words
    charts, alarms = len(monitor.groups), len(monitor.alarms)
    false = monitor.false_alarms
    return words.say(
        f"monitor.{'none' if not alarms else 'one' if alarms == 1 else 'some'}",
        first=words.date(monitor.first_day),
        last=words.date(monitor.last_day),
        charts=words.text("monitor.chart") if charts == 1 else words.text("monitor.charts", n=count(charts)),
        false=words.text("monitor.false") if false == 1 else words.text("monitor.falses", n=f"{false:g}"),
        **({"n": strong(count(alarms)), "open": strong(count(len(monitor.open_alarms)))} if alarms else {}),
    )


def _earlier(material: Material, monitor: Any) -> list[Sentence]:
    """Alarms that were raised before the days watched, and were open on some of them."""
    words, first = material.words, monitor.first_day
    days = [each for each in monitor.alarms["alarm_on"] if (each.year, each.month, each.day) < first.timetuple()[:3]]
    if not days:
        return []
    if len(days) == 1:
        return [words.say("monitor.earlier", alarm=words.date(days[0]), first=words.date(first))]
    return [words.say("monitor.earlier_some", n=strong(count(len(days))), first=words.date(first))]


def _open(material: Material, monitor: Any, row: Row) -> Sentence:
    words = material.words
    return words.say(
        "monitor.open",
        low=words.date(row["begun_lower"]),
        high=words.date(row["begun_upper"]),
        alarm=words.date(row["alarm_on"]),
        missing=strong(count(row["missing"])),
        missing_range=limits(point_of(row, "missing", "missing_lower", "missing_upper"), count),
        **_size(material, monitor, row),
    )


def _carried(material: Material, monitor: Any, row: Row) -> list[Sentence]:
    """Of each split the value with the largest part of the missing returns."""
    frame, words = monitor.carriers, material.words
    mine = frame[(frame["group"] == row["group"]) & (frame["alarm_on"] == row["alarm_on"]) & (frame["missing"] > 0)]
    found = []
    for split, rows in mine.groupby("split", sort=False):
        most = rows.loc[rows["share"].idxmax()]
        if exists(most["share"]) and 0 < most["share"] < 1:
            fields = {
                "split": name(column_of(words, split)),
                "value": name(group_of(words, most["value"])),
                "share": strong(share(most["share"])),
            }
            found.append(words.say("monitor.carried", **fields))
    return found


def _closed(material: Material, monitor: Any, row: Row) -> Sentence:
    words = material.words
    alarm, ended = words.date(row["alarm_on"]), words.date(row["ended_on"])
    return words.say("monitor.closed", alarm=alarm, ended=ended, **_size(material, monitor, row))


def _soon(material: Material, monitor: Any) -> list[Sentence]:
    """How soon the smallest drop would be noticed, in the chart of all users or the only one."""
    rows = monitor.groups.to_dict("records")
    row = next((each for each in rows if each["group"] == _ALL), rows[0])
    if not exists(row["half_found"]):
        return []
    group = _group(material, monitor, row["group"], without=_left_out_now(monitor))
    half = material.words.text("why.day") if row["half_found"] == 1 else ""
    half = half or material.words.text("why.days", n=day(row["half_found"]))
    fields: dict[str, Field] = {"drop": share(monitor.smallest_drop), "group": group, "half": strong(half)}
    if not exists(row["most_found"]):
        return [material.words.say("monitor.soon_half", **fields)]
    return [material.words.say("monitor.soon", most=strong(day(row["most_found"])), **fields)]


def _figure(material: Material, monitor: Any) -> Figure:
    """The chart of the strongest alarm, an open one first; without one that of all users."""
    words, frame = material.words, monitor.table
    names = list(dict.fromkeys(frame["group"]))
    rows = [*_strongest(monitor.open_alarms), *_strongest(monitor.alarms)]
    group = next((row["group"] for row in rows), _ALL)
    group = group if group in names else names[-1]
    mine = frame[frame["group"] == group]
    alarms = monitor.alarms[monitor.alarms["group"] == group]
    told = [words.text("monitor.alt_alarm", alarm=words.date(each)) for each in alarms["alarm_on"]]
    plotted = plot_words(words, "plot_returns")
    plotted |= {"returns": plotted["all"]} if _whole(monitor, group) else {}
    title = _plain(material, monitor, group, without=False)
    caption = words.text("monitor.caption")
    if group == _ALL and any(_left_out(monitor, row) for row in alarms.to_dict("records")):
        caption = words.paragraph([caption, words.text("monitor.caption_without")])
    return Figure(
        name="returns",
        kind="churn_monitor",
        title=words.text("monitor.figure", group=title),
        caption=caption,
        alt=words.text(
            "monitor.alt",
            group=title,
            first=words.date(monitor.first_day),
            last=words.date(monitor.last_day),
            observed=count(mine["observed"].sum()),
            expected=count(mine["expected"].sum()),
            alarms=words.semicolons(told) or words.text("monitor.alt_none"),
        ),
        data=columns_of(texts_of_days(mine)),
        options={
            "level": monitor.level,
            "alarms": columns_of(texts_of_days(alarms)),
            "words": {key: text for key, text in plotted.items() if key != "all"},
        },
    )


def _plain(material: Material, monitor: Any, group: object, *, without: bool) -> str:
    if not _whole(monitor, group):
        return group_of(material.words, group)
    return material.words.text("why.other_users" if without and str(group) == _ALL else "why.all_users")


def texts_of_days(frame: pd.DataFrame) -> pd.DataFrame:
    """Days as texts; those that do not exist as nulls."""
    made = {}
    for column in frame.columns:
        if str(frame[column].dtype).startswith("datetime64"):
            days = frame[column].dt.strftime("%Y-%m-%d").astype(object)
            made[column] = days.where(frame[column].notna(), None)
    return frame.assign(**made)


def _alarms_table(material: Material, monitor: Any) -> Table:
    words = material.words
    rows = monitor.alarms.iloc[::-1].to_dict("records")
    told = []
    for row in rows[:_ROWS]:
        begun = words.text(
            "monitor.between",
            day=words.date(row["begun"]),
            low=words.date(row["begun_lower"]),
            high=words.date(row["begun_upper"]),
        )
        ended = words.date(row["ended_on"]) if exists(row["ended_on"]) else words.text("monitor.still")
        after = point_of(row, "after_ratio", "after_lower", "after_upper")
        points = [estimate(point_of(row, "ratio"), ratio), estimate(after, ratio)]
        dates = [words.date(row["alarm_on"]), ended, begun]
        missing = estimate(point_of(row, "missing", "missing_lower", "missing_upper"), count)
        chart = _plain(material, monitor, row["group"], without=_left_out(monitor, row))
        told.append([chart, *dates, *points, missing])
    keys = ("name", "raised", "ended", "begun", "ratio", "after", "missing")
    note = words.text("monitor.alarms_note", level=f"{100 * monitor.level:g}%")
    if len(rows) > _ROWS:
        note = words.paragraph([words.text("why.more_rows", n=count(_ROWS), m=count(len(rows))), note])
    headings = [words.text(f"monitor.{key}") for key in keys]
    return table(words.text("monitor.alarms"), headings, told, text_columns=(1, 2, 3), note=note)


def _groups_table(material: Material, monitor: Any) -> Table:
    words, rows = material.words, monitor.groups.to_dict("records")
    pooled = any(exists(row["pooled"]) for row in rows)
    told = []
    for row in rows[:_ROWS]:
        cells = [_plain(material, monitor, row["group"], without=_left_out_now(monitor))]
        cells += [said(words, row["pooled"]) if exists(row["pooled"]) else NOTHING] if pooled else []
        cells += [count(row["at_risk"]), day(round(row["returns"], 1))]
        told.append([*cells, day(row["half_found"]), day(row["most_found"])])
    keys = ("name", *(("pooled",) if pooled else ()), "at_risk", "returns", "half", "most")
    note = words.text("monitor.groups_note", drop=share(monitor.smallest_drop))
    if _left_out_now(monitor) and any(row["group"] == _ALL for row in rows):
        note = words.paragraph([note, words.text("monitor.groups_without")])
    headings = [words.text(f"monitor.{key}") for key in keys]
    return table(words.text("monitor.groups"), headings, told, text_columns=(1,) if pooled else (), note=note)
