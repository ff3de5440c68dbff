"""Figures and tables of campaigns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.group_names import column_of
from churnsurv.report.lift_rows import ALL, is_adjusted, lift_rows, outcome_rows
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Table
from churnsurv.report.numbers import NOTHING, count, exists, money, p_value, quantity, ratio, returns, share
from churnsurv.report.pieces import columns_of, estimate, interval, plot_words, point_of, safe_name, table
from churnsurv.tables.said import said_group

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["checks_table", "curve_figures", "forest_figure", "group_blocks", "monitor_figure", "outcomes_table"]

Row = dict[Any, Any]

_DRAWN = ("return_probability", "days_to_return", "active_days", "net_value", "days_live", "hazard_ratio")
_FORMS: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "return_probability": returns,
        "risk_ratio": ratio,
        "users_per_return": returns,
        "days_to_return": quantity,
        "hazard_ratio": ratio,
    }
)
_ARMS = 4  # columns of the table of outcomes; of more arms each has its rows


def _form(outcome: str) -> Callable[[Any], str]:
    return _FORMS.get(outcome, money)


def _campaign(material: Material, campaign: str) -> str:
    return material.words.text("recall.all") if campaign == ALL else shown(campaign)


def _told(rows: list[Row], outcome: str, material: Material) -> str:
    """Arms and their estimates, for those who cannot see a figure."""
    words, form = material.words, _form(outcome)
    items = []
    for row in rows:
        point = point_of(row, "estimate")
        arm = shown(words.note(said_group(str(row["group"]))) if "group" in row else row["arm"])
        range_ = interval(point, form)
        key = "recall.item_alone" if range_ == NOTHING else "recall.item"
        items.append(words.text(key, arm=arm, value=form(point.estimate), range=range_))
    return words.commas(items)


def forest_figure(material: Material, campaign: str, taken: set[str]) -> list[Block]:
    """Each outcome by arm, a panel each."""
    lift, words = material.lift, material.words
    panels = []
    for outcome in _DRAWN:
        rows = outcome_rows(lift, campaign, outcome)
        if rows:
            told = {"outcome": words.text(f"plot_lift.{outcome}"), "items": _told(rows, outcome, material)}
            panels.append({"quantity": outcome, "alt": words.text("recall.forest_alt", **told)})
    frame = lift.table
    mine = frame[(frame["campaign"] == campaign) & frame["outcome"].isin([each["quantity"] for each in panels])]
    if not panels:
        return []
    kind = "forest_caption" if lift.design == "randomised" else "forest_observed"
    return [
        Figure(
            name=safe_name("lift", campaign, taken),
            kind="lift_forest",
            title=words.text("recall.forest", campaign=shown(campaign)),
            caption=words.text(f"recall.{kind}", control=shown(lift.control), days=count(lift.horizon)),
            alt=words.paragraph(str(each["alt"]) for each in panels),
            data=columns_of(mine),
            options={"panels": panels, "level": float(lift.level), "words": plot_words(words, "plot_lift")},
        )
    ]


def curve_figures(material: Material, campaign: str, taken: set[str]) -> list[Block]:
    """Who returned by day, and how many more than in the control."""
    lift, words = material.lift, material.words
    curves, differences = lift.curves, lift.over_time
    found: list[Block] = []
    for kind, frame, column, title in (
        ("return_curves", curves, "returned", "curves"),
        ("lift_over_time", differences, "difference", "over_time"),
    ):
        mine = frame[frame["campaign"] == campaign]
        if mine.empty:
            continue
        last = mine[mine["day"] == mine["day"].max()].to_dict("records")
        form = share if kind == "return_curves" else returns
        items = [words.text("recall.curves_item", arm=shown(row["arm"]), share=form(row[column])) for row in last]
        told = {"day": count(mine["day"].max()), "items": words.commas(items)}
        caption = f"recall.{title}_caption"
        control = {"control": shown(lift.control)} if kind == "lift_over_time" else {}
        found.append(
            Figure(
                name=safe_name(kind, campaign, taken),
                kind=kind,
                title=words.text(f"recall.{title}", campaign=shown(campaign)),
                caption=words.text(caption, **control),
                alt=words.text(f"recall.{title}_alt", **told),
                data=columns_of(mine),
                options={
                    "control": lift.control,
                    "level": float(lift.level),
                    "words": plot_words(words, "plot_recall"),
                },
            )
        )
    return found


def group_blocks(material: Material, campaign: str, taken: set[str]) -> list[Block]:
    """Returns by group of each column: a panel for each arm, and a table."""
    lift = material.lift_groups
    if lift is None:
        return []
    frame = lift.subgroups
    mine = frame[(frame["campaign"] == campaign) & (frame["outcome"] == "return_probability")]
    found: list[Block] = []
    for column, rows in mine.groupby("by", sort=False):
        rows = rows[rows["adjusted"] == rows["adjusted"].max()]
        found += [_groups_figure(material, campaign, str(column), rows, taken), _groups_table(material, campaign, rows)]
    return found


def _groups_figure(material: Material, campaign: str, column: str, rows: pd.DataFrame, taken: set[str]) -> Figure:
    lift, words = material.lift_groups, material.words
    panels = []
    for arm, groups in rows.groupby("arm", sort=False):
        items = _told(groups.to_dict("records"), "return_probability", material)
        alt = words.text("recall.groups_alt", arm=shown(arm), column=column_of(words, column), items=items)
        panels.append({"quantity": str(arm), "alt": alt})
    everybody = lift.table[(lift.table["campaign"] == campaign) & (lift.table["outcome"] == "return_probability")]
    return Figure(
        name=safe_name("lift_by", f"{column}_{campaign}", taken),
        kind="lift_groups",
        title=words.text("recall.groups", column=column_of(words, column), campaign=shown(campaign)),
        caption=words.text("recall.groups_caption", days=count(lift.horizon)),
        alt=words.paragraph(str(each["alt"]) for each in panels),
        data=columns_of(rows),
        options={
            "panels": panels,
            "overall": columns_of(everybody),
            "level": float(lift.level),
            "words": plot_words(words, "plot_lift"),
        },
    )


def _groups_table(material: Material, campaign: str, rows: pd.DataFrame) -> Table:
    words = material.words
    arms = rows["arm"].drop_duplicates().tolist()
    cells = {(row["group"], row["arm"]): row for row in rows.to_dict("records")}
    told = [
        [words.note(said_group(str(group))), *(_cell(cells.get((group, arm)), "return_probability") for arm in arms)]
        for group in rows["group"].drop_duplicates()
    ]
    same = {row["arm"]: row["heterogeneity_p_value"] for row in rows.to_dict("records")}
    told.append([words.text("recall.groups_p"), *(p_value(same[arm]) for arm in arms)])
    title = words.text(
        "recall.groups_table",
        days=count(material.lift_groups.horizon),
        column=column_of(words, rows["by"].iloc[0]),
        campaign=shown(campaign),
    )
    return table(title, [words.text("recall.group"), *(shown(arm) for arm in arms)], told)


def _cell(row: Row | None, outcome: str) -> str:
    if row is None or not exists(row["estimate"]):
        return NOTHING
    return estimate(point_of(row, "estimate"), _form(outcome))


def monitor_figure(material: Material, campaign: str, taken: set[str]) -> list[Block]:
    """What could have been said as the campaign ran."""
    monitor, words = material.lift_monitors.get(campaign), material.words
    if monitor is None:
        return []
    frame = monitor.table
    last = [{"estimate": row["estimate"], **row} for row in frame.groupby("arm", sort=False).tail(1).to_dict("records")]
    items = _told([row for row in last if exists(row["estimate"])], "hazard_ratio", material)
    return [
        Figure(
            name=safe_name("lift_monitor", campaign, taken),
            kind="lift_monitor",
            title=words.text("recall.monitor", campaign=shown(campaign)),
            caption=words.text("recall.monitor_caption"),
            alt=words.text("recall.monitor_alt", items=items),
            data=columns_of(frame),
            options={
                "smallest_lift": monitor.smallest_lift,
                "level": float(monitor.level),
                "words": plot_words(words, "plot_monitor"),
            },
        )
    ]


def outcomes_table(material: Material, campaign: str) -> Table:
    """Every outcome by arm."""
    lift, words = material.lift, material.words
    arms = [str(row["arm"]) for row in lift_rows(lift, campaign, lift.outcomes[0])]
    wide = len(arms) <= _ARMS
    headings = [words.text("recall.outcome"), *(shown(arm) for arm in arms)]
    if not wide:
        headings = [words.text("recall.check_arm"), headings[0], ""]
    told: list[list[str]] = []
    for outcome in lift.outcomes:
        cells = {str(row["arm"]): row for row in lift_rows(lift, campaign, outcome)}
        if not cells:
            continue
        named = words.text(f"plot_lift.{outcome}")
        if wide:
            told.append([named, *(_cell(cells.get(arm), outcome) for arm in arms)])
        else:
            told += [[arm, named, _cell(cells.get(arm), outcome)] for arm in arms]
    together = len(arms) > 1 and lift.adjust in {"holm", "dunnett", "bonferroni", "hommel"}
    note = words.text(
        "recall.table_note",
        control=shown(lift.control),
        adjusted=words.text("recall.table_adjusted") if is_adjusted(lift, campaign) else "",
        level=f"{100 * float(lift.level):g}%",
        together=words.text("recall.table_together") if together else "",
    )
    title = words.text("recall.table", campaign=_campaign(material, campaign))
    return table(title, headings, told, numeric_from=1 if wide else 2, note=note)


def checks_table(material: Material) -> Table:
    """Every check with its verdict, the broken ones first."""
    words, frame = material.words, material.lift.checks
    order = {"broken": 0, "look": 1}
    rows = sorted(frame.to_dict("records"), key=lambda row: order.get(row["verdict"], 2))
    keys = ("check", "check_campaign", "check_arm", "verdict", "found")
    told = [
        [
            words.note(row["check"]),
            row["campaign"],
            row["arm"] if exists(row["arm"]) else words.text("recall.every_arm"),
            words.text(f"recall.verdict.{row['verdict']}"),
            words.note(row["words"]),
        ]
        for row in rows
    ]
    headings = [words.text(f"recall.{key}") for key in keys]
    return table(words.text("recall.checks"), headings, told, numeric_from=5, note=words.text("recall.checks_note"))
