"""What the campaigns brought back: returns, money and staying, arm against control, after the checks of the design."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from churnsurv.notes import Note
from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.lift_rows import (
    ALL,
    broken_checks,
    campaigns_of,
    is_adjusted,
    lift_rows,
    outcome_rows,
)
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Listing, Part, Section, Sentence
from churnsurv.report.numbers import NOTHING, count, exists, money, quantity, returns
from churnsurv.report.pieces import and_listed, filled, interval, limits, noted, point_of
from churnsurv.report.section_recall_figures import (
    checks_table,
    curve_figures,
    forest_figure,
    group_blocks,
    monitor_figure,
    outcomes_table,
)
from churnsurv.tables.said import said_covariate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["recall_section", "recall_summary"]

Row = dict[Any, Any]

_LINK = "campaigns"
_RETURNED = "return_probability"
_DRAWN = 3  # campaigns with figures; the tables have all


def recall_section(material: Material) -> Section | None:
    """Return the section; None without a campaign."""
    lift, words = material.lift, material.words
    if lift is None:
        return None
    broken = broken_checks(lift)
    checks = checks_table(material)
    blocks: list[Block] = []
    if broken:  # before any figure that somebody might take for an effect
        blocks += [_broken(material, broken), checks]
    taken: set[str] = set()
    for place, campaign in enumerate(campaigns_of(lift)):
        blocks += [_heading(material, campaign), Listing(tuple(_sentences(material, campaign)))]
        if place < _DRAWN and campaign != ALL:
            blocks += [*forest_figure(material, campaign, taken), *curve_figures(material, campaign, taken)]
            blocks += [*group_blocks(material, campaign, taken), *monitor_figure(material, campaign, taken)]
        blocks.append(outcomes_table(material, campaign))
    if not broken:
        blocks.append(checks)
    told = [note for note in lift.notes if not _says(note, "Not to be read as an experiment")]
    blocks += noted(words, "recall.notes", _once(told))
    return Section(_LINK, words.text("recall.title"), tuple(blocks))


def recall_summary(material: Material) -> list[Sentence]:
    """What the surest arm brought back, and what it was worth; that a check is broken where one is."""
    lift = material.lift
    if lift is None:
        return []
    words, broken = material.words, broken_checks(lift)
    campaign = campaigns_of(lift)[0]
    fields = {"campaign": _campaign(material, campaign)}
    if broken:
        check = words.note(broken[0]["check"])
        return [words.joined(words.say("summary.recall_broken", check=check, **fields), link=_LINK)]
    rows = [row for row in lift_rows(lift, campaign, _RETURNED) if exists(row["lower"])]
    if not rows:
        return []
    best = max(rows, key=lambda row: float(row["lower"]))
    if lift.design == "randomised" and not best["lower"] > 0:
        return [words.joined(words.say("summary.recall_none", **fields), link=_LINK)]
    key = "summary.recall_clear_one" if len(rows) == 1 else "summary.recall_clear"
    key = key if lift.design == "randomised" else "summary.recall_observed"
    point = point_of(best, "estimate")
    said = words.say(
        key,
        arm=name(best["arm"]),
        difference=strong(_more(material, point.estimate)),
        range=limits(point, returns),
        days=count(lift.horizon),
        **fields,
    )
    further = []
    for outcome, key in (("net_value", "summary.recall_money"), ("days_live", "summary.recall_stay")):
        for row in outcome_rows(lift, campaign, outcome):
            if row["arm"] == best["arm"] and lift.design == "randomised":
                value = point_of(row, "estimate")
                told = {"value": strong(money(value.estimate)), "range": limits(value, money)}
                further.append(words.say(key, **told))
    return [words.joined(said, *further, link=_LINK)]


def _once(notes: list[str]) -> list[str]:
    """Of one user who decides on an amount the larger share alone, where it is told with and without adjustment."""
    found: dict[object, str] = {}
    for place, note in enumerate(notes):
        if not isinstance(note, Note) or "one user makes up" not in note.template:
            found[place] = note
            continue
        key = tuple(note.fields[each] for each in ("campaign", "arm", "outcome"))
        before = found.get(key)
        if not isinstance(before, Note) or _percent(note) > _percent(before):
            found[key] = note
    return list(found.values())


def _percent(note: Note) -> float:
    return float(note.fields["share"].rstrip("%"))


def _says(text: str, beginning: str) -> bool:
    """Whether a note is the one with this beginning."""
    return isinstance(text, Note) and text.template.startswith(beginning)


def _campaign(material: Material, campaign: str) -> Part:
    """How a campaign is named at the beginning of a sentence."""
    if campaign == ALL:
        return Part(material.words.text("recall.all"))
    return Part(material.words.text("recall.campaign", campaign=name(campaign)))


def _heading(material: Material, campaign: str) -> Sentence:
    return Sentence((Part(_campaign(material, campaign).text, "number"),))


def _broken(material: Material, broken: list[Row]) -> Sentence:
    words, said = material.words, []
    for row in broken:
        where = words.commas(str(row[key]) for key in ("campaign", "arm") if exists(row[key]))
        told = {"check": words.note(row["check"]), "where": shown(where), "words": shown(words.note(row["words"]))}
        said.append(words.say("recall.broken_first", **told))
    heading = Part(words.headed(words.text("recall.broken_heading"), ""), "number")
    return Sentence((heading, *words.joined(*said).parts))


def _sentences(material: Material, campaign: str) -> list[Sentence]:
    """Who was compared, what each arm brought, and what that is worth."""
    lift, rows = material.lift, lift_rows(material.lift, campaign, _RETURNED)
    found = [_who(material, rows)] if rows else []
    wrong = any(row["campaign"] == campaign or campaign == ALL for row in broken_checks(lift))
    found += [_returned(material, row, wrong=wrong) for row in rows]
    found += _days(material, campaign)
    found += _money(material, campaign)
    found += _stay(material, campaign)
    found += _monitored(material, campaign)
    if campaign != campaigns_of(lift)[0]:
        return found
    found.append(material.words.say("recall.assigned"))  # what holds for all campaigns is said once
    if is_adjusted(lift, campaign):
        names = material.words.commas(shown(material.words.note(said_covariate(each))) for each in lift.covariates)
        found.append(material.words.say("recall.adjusted", names=names))
    return found


def _who(material: Material, rows: list[Row]) -> Sentence:
    lift, words = material.lift, material.words
    n = sum(int(row["n_arm"]) for row in rows)
    key = "recall.who" if lift.design == "randomised" else "recall.who_observed"
    arms = and_listed(words, [[name(row["arm"])] for row in rows])
    return filled(
        words,
        key,
        {"arms": arms},
        n=strong(count(n)),
        m=strong(count(rows[0]["n_control"])),
        control=name(lift.control),
    )


def _more(material: Material, value: float) -> str:
    """So many more or fewer."""
    return material.words.text("recall.fewer" if value < 0 else "recall.more", n=returns(abs(value)))


def _returned(material: Material, row: Row, *, wrong: bool) -> Sentence:
    lift, words, point = material.lift, material.words, point_of(row, "estimate")
    fields: dict[str, Any] = {"arm": name(row["arm"]), "days": count(lift.horizon)}
    if not exists(point.estimate) or not exists(point.lower):
        return words.say("recall.untold", arm=name(row["arm"]))
    clear = point.lower > 0 or point.upper < 0
    if lift.design == "randomised" and not wrong and not clear:
        return words.say(
            "recall.unclear", low=_more(material, point.lower), high=strong(_more(material, point.upper)), **fields
        )
    fields |= {
        "difference": strong(_more(material, point.estimate)),
        "range": limits(point, returns),
        "control": name(lift.control),
    }
    if wrong:
        return words.say("recall.broken", **fields)
    if lift.design != "randomised":
        return words.say("recall.observed", **fields)
    values = {"value": returns(row["arm_value"]), "control_value": returns(row["control_value"])}
    return words.say("recall.clear", **fields, **values)


def _items(material: Material, rows: list[Row], form: Callable[[Any], str]) -> tuple[Part, ...]:
    """Each arm with its estimate and limits."""
    items = []
    for row in rows:
        point = point_of(row, "estimate")
        range_ = interval(point, form)
        told = {"arm": name(row["arm"]), "value": strong(form(point.estimate)), "range": Part(range_, "keep")}
        items.append(material.words.say("recall.item_alone" if range_ == NOTHING else "recall.item", **told).parts)
    return and_listed(material.words, items)


def _days(material: Material, campaign: str) -> list[Sentence]:
    rows = outcome_rows(material.lift, campaign, "days_to_return")
    if not rows:
        return []
    items = {"items": _items(material, rows, quantity)}
    return [filled(material.words, "recall.days", items, days=count(material.lift.horizon))]


def _money(material: Material, campaign: str) -> list[Sentence]:
    rows = outcome_rows(material.lift, campaign, "net_value")
    if not rows:
        return []
    lift, words = material.lift, material.words
    lacking = next((note.template for note in lift.notes if _says(note, "net_value has no ")), "")
    paid = ["costs of contacts" not in lacking, "rewards" not in lacking]
    key = {(True, True): "both", (True, False): "cost", (False, True): "rewards"}.get((paid[0], paid[1]))
    less = words.text(f"recall.less_{key}") if key else ""
    items = {"items": _items(material, rows, money)}
    return [filled(words, "recall.money", items, days=count(lift.horizon), less=less)]


def _stay(material: Material, campaign: str) -> list[Sentence]:
    lift, words, idle = material.lift, material.words, material.idle_days
    rows = outcome_rows(lift, campaign, "days_live")
    if rows:
        items = {"items": _items(material, rows, money)}
        return [filled(words, "recall.stay", items, days=count(lift.horizon), idle=count(idle))]
    if idle is None or lift.horizon >= 2 * idle or campaign != campaigns_of(lift)[0]:
        return []
    return [words.say("recall.stay_short", days=count(lift.horizon), needed=count(2 * idle))]


def _monitored(material: Material, campaign: str) -> list[Sentence]:
    """What somebody who looked every day could have said, and when."""
    monitor = material.lift_monitors.get(campaign)
    if monitor is None:
        return []
    frame: pd.DataFrame = monitor.table
    words, found, undecided = material.words, [], []
    for arm, rows in frame.groupby("arm", sort=False):
        decided = rows[rows["decision"] != "go on"]
        if decided.empty:
            undecided.append([name(arm)])
            continue
        first = decided.iloc[0]
        key = "recall.monitor_lift" if first["decision"] == "lift" else "recall.monitor_none"
        found.append(words.say(key, arm=name(arm), day=strong(words.date(str(first["day"])))))
    if undecided:
        arms, last = and_listed(words, undecided), words.date(str(frame["day"].max()))
        found.append(filled(words, "recall.monitor_open", {"arms": arms}, day=last))
    return found
