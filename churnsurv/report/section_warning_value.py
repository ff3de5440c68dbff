"""What contacts are worth by day, where the rules lie on the risk, and who is in the tiers over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Sentence
from churnsurv.report.numbers import count, exists, quantity, share
from churnsurv.report.pieces import and_listed, columns_of, filled, limits, plot_words, point_of
from churnsurv.report.section_warning_tiers import rules_said
from churnsurv.report.warning_words import objective_of, value_words, variable_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "surface_figure",
    "timeline_figure",
    "timeline_sentences",
    "value_figure",
    "value_sentences",
]

Row = dict[Any, Any]

_STATED = "as stated"
_NEAR = 0.95  # of the highest value


def value_sentences(material: Material) -> list[Sentence]:
    """The best single day, how flat the top is, on which days a contact loses, and what other savings would give."""
    frame = material.value_by_day
    if frame is None:
        return []
    found = []
    for late in (False, True):
        mine = frame[frame["registration_gap"] == late].sort_values("idle_day")
        stated = mine[mine["saving"] == _STATED]
        if stated.empty:
            continue
        best = stated[stated["best"]].to_dict("records")
        if not best:
            found.append(material.words.say(f"worth_day.nobody{_kind(late)}"))
            continue
        found.append(_best(material, stated, best[0], late=late))
        if not late:
            found += _other_savings(material, mine)
    return found


def _kind(late: bool) -> str:
    """The ending of keys for gaps that began at registration."""
    return "_since" if late else ""


def _best(material: Material, stated: pd.DataFrame, best: Row, *, late: bool) -> Sentence:
    words, point = material.words, point_of(best, "value", "value_lower", "value_upper")
    days, values = stated["idle_day"].to_numpy(), stated["value"].to_numpy(np.float64)
    near = days[values >= _NEAR * point.estimate]
    said = words.say(
        f"worth_day.best{_kind(late)}",
        day=strong(count(best["idle_day"])),
        value=strong(quantity(point.estimate)),
        range=limits(point, quantity),
        churn=share(best["churn_probability"]),
    )
    if late:
        return said
    told = [said, _near(material, count(near[0]), count(near[-1]))]
    losing = [(key, day) for key, day in (("first", days[0]), ("last", days[-1])) if values[list(days).index(day)] < 0]
    if losing:
        gains = days[values > 0]
        key = "worth_day.loses" if len(losing) == 2 else f"worth_day.loses_{losing[0][0]}"
        told.append(words.say(key, first=count(gains[0]), last=count(gains[-1])))
    return words.joined(*told)


def _near(material: Material, first: str, last: str) -> Sentence:
    """On which days contacts are worth nearly as much as on the best one, itself among them."""
    if first == last:
        return material.words.say("worth_day.flat_one")
    return material.words.say("worth_day.flat", first=first, last=last)


def _other_savings(material: Material, rows: pd.DataFrame) -> list[Sentence]:
    """The best days under the saving curves that are tried."""
    tried = rows[rows["saving"] != _STATED]
    if tried.empty:
        return []
    days = tried.loc[tried["best"], "idle_day"]
    n, nobody = tried["saving"].nunique(), tried["saving"].nunique() - len(days)
    if not len(days):
        return [material.words.say("worth_day.others_nobody")]
    one = "_one" if days.min() == days.max() else ""
    key = f"worth_day.others{one}" if nobody == 0 else f"worth_day.others_some{one}"
    fields = {"first": count(days.min()), "last": count(days.max()), "n": count(n), "m": count(nobody)}
    return [material.words.say(key, **fields)]


def value_figure(material: Material) -> list[Block]:
    """Value by first-contact day."""
    frame, words = material.value_by_day, material.words
    if frame is None:
        return []
    stated = frame[frame["saving"] == _STATED]
    lines = []
    for late, rows in stated.groupby("registration_gap", sort=False):
        told = rows[rows["best"]].to_dict("records")
        point = words.text("worth_day.alt_nobody")
        if told:
            point = words.text("worth_day.alt_best", day=count(told[0]["idle_day"]), value=quantity(told[0]["value"]))
        lines.append(
            words.text("idle.alt_line", group=words.text("idle.since" if late else "idle.later"), shares=point)
        )
    return [
        Figure(
            name="value_by_day",
            kind="value_by_day",
            title=words.text("worth_day.figure"),
            caption=words.text("worth_day.caption", worth=shown(_worth(material))),
            alt=words.text("worth_day.alt", lines=words.semicolons(lines)),
            data=columns_of(frame),
            options={"level": float(material.idle_risk.level), "words": plot_words(words, "plot_value_day")},
        )
    ]


def _worth(material: Material) -> str:
    """The highest tier with a value objective, as the table of the tiers says it."""
    kinds = {tier.name: tier.objective.get("kind") for tier in material.tiers.tiers}
    rows = material.tiers.table.to_dict("records")
    words = material.words
    return next(
        words.text("worth_day.worth", tier=str(row["tier"]), objective=objective_of(words, material.tiers, row))
        for row in rows
        if kinds.get(row["tier"]) == "value"
    )


def surface_figure(material: Material) -> list[Block]:
    """The risk by idle days and band, with the rules."""
    risk, words = material.risk_surface, material.words
    if risk is None:
        return []
    (variable,) = risk.by
    said = shown(variable_of(words, variable))
    return [
        Figure(
            name="risk_surface",
            kind="risk_surface",
            title=words.text("surface.figure", variable=said),
            caption=words.text("surface.caption", variable=said),
            alt=words.text("surface.alt", variable=said, rules=rules_said(material)),
            data=columns_of(risk.table),
            options={
                "rules": columns_of(material.tiers.bands(variable)),
                "missing": material.tiers.missing.get(variable),
                "words": plot_words(words, "plot_surface", **value_words(words, variables=material.tiers.grids)),
            },
        )
    ]


def timeline_sentences(material: Material) -> list[Sentence]:
    """Who is in the tiers on the last date."""
    frame, words = material.tier_timeline, material.words
    if frame is None:
        return []
    last = frame[frame["date"] == frame["date"].max()]
    rows = [row for row in last.to_dict("records") if exists(row["tier"])]
    living = int(last["n_users"].sum())
    if not living:
        return []
    items = [
        words.say(
            "timeline.item", tier=name(row["tier"]), n=strong(count(row["n_users"])), share=share(row["share"])
        ).parts
        for row in rows
    ]
    date = words.date(str(last["date"].iloc[0]))
    return [
        filled(words, "timeline.last", {"items": and_listed(words, items, clauses=True)}, date=date, n=count(living))
    ]


def timeline_figure(material: Material) -> list[Block]:
    """Users in each tier by date."""
    frame, words = material.tier_timeline, material.words
    if frame is None or frame["date"].nunique() < 2 or frame["tier"].isna().all():
        return []
    told = frame[frame["tier"].notna()]
    most = told.loc[told.groupby("tier", sort=False)["n_users"].idxmax()].to_dict("records")
    lines = [
        words.text(
            "timeline.alt_item", tier=shown(row["tier"]), n=count(row["n_users"]), date=words.date(str(row["date"]))
        )
        for row in most
    ]
    return [
        Figure(
            name="tier_timeline",
            kind="tier_timeline",
            title=words.text("timeline.figure"),
            caption=words.text("timeline.caption", date=words.date(str(material.tiers.known_until))),
            alt=words.text("timeline.alt", lines=words.semicolons(lines)),
            data=columns_of(frame),
            options={
                "known_until": str(material.tiers.known_until),
                "words": plot_words(words, "plot_timeline"),
            },
        )
    ]
