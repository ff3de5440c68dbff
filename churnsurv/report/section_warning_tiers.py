"""Warning tiers in words, a figure and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Part, Sentence, Table
from churnsurv.report.numbers import NOTHING, between, count, day, exists, number, quantity, share
from churnsurv.report.pieces import columns_of, estimate, limits, plot_words, point_of, table
from churnsurv.report.warning_words import objective_of, rule_of, saving_of, value_words, variable_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["rules_said", "tier_figure", "tier_sentences", "tier_summary", "tier_tables"]

Row = dict[Any, Any]

_ROWS = 40
_STATED = "as stated"  # what the first row of a tier's sensitivity says of its saving curve


def tier_sentences(material: Material) -> list[Sentence]:
    """What thresholds are against, then each tier: its rule, how it does, how sure it is, and what would change it."""
    words, scheme = material.words, material.tiers
    found = [
        words.say(
            "tiers.intro",
            n=strong(count(scheme.n_gaps)),
            m=count(scheme.n_users),
            share=strong(_base_rate(scheme)),
        )
    ]
    for row in scheme.table.to_dict("records"):
        found.append(_rule(material, row))
        if row["alerts"] > 0:
            found += _sure(material, str(row["tier"]))
            found += _less(material, row)
    return found


def tier_summary(material: Material) -> list[Sentence]:
    """The highest tier that has a rule."""
    scheme = material.tiers
    rows = [] if scheme is None else [row for row in scheme.table.to_dict("records") if row["alerts"] > 0]
    if not rows:
        return []
    fields = _figures(material, rows[0])
    key = "summary.tier" if exists(rows[0]["lead_days"]) else "summary.tier_no_lead"
    if material.backtest is not None:  # which says how it does, on days that it has not seen
        key = "summary.tier_rule"
    return [material.words.say(key, **{k: v for k, v in fields.items() if k not in ("objective", "alerts")})]


def _daily(row: Row) -> str:
    return number(round(float(row["alerts_per_day"]), 1))


def _base_rate(scheme: Any) -> str:
    return share(scheme.n_churned / scheme.n_gaps if scheme.n_gaps else None)


def _figures(material: Material, row: Row) -> dict[str, Part | str]:
    words, scheme = material.words, material.tiers
    point = point_of(row, "precision", "precision_lower", "precision_upper")
    return {
        "tier": name(row["tier"]),
        "objective": objective_of(words, scheme, row),
        "rule": name(rule_of(words, row["rule"])),
        "alerts": strong(_daily(row)),
        "precision": strong(share(point.estimate)),
        "range": limits(point, share),
        "base": _base_rate(scheme),
        "lead": strong(day(round(float(row["lead_days"]), 1)) if exists(row["lead_days"]) else NOTHING),
    }


def _rule(material: Material, row: Row) -> Sentence:
    words = material.words
    if row["alerts"] == 0:
        objective = objective_of(words, material.tiers, row)
        return words.say("tiers.empty", tier=name(row["tier"]), objective=objective)
    key = "tiers.rule" if exists(row["lead_days"]) else "tiers.rule_no_lead"
    found = words.say(key, **_figures(material, row))
    if not exists(row["value"]):
        return found
    point = point_of(row, "value", "value_lower", "value_upper")
    worth = words.say("tiers.rule_value", value=strong(quantity(point.estimate)), range=limits(point, quantity))
    return words.joined(found, worth)


def _sure(material: Material, tier: str) -> list[Sentence]:
    """How many rules may be the best, and when they alert."""
    frame = material.tiers.alternatives
    rows = frame[frame["tier"].astype(str) == tier]
    if rows.empty:
        return []
    n, first, last = int(rows["n_rules"].sum()), rows["first_day"].min(), rows["last_day"].max()
    if n == 1 or not exists(first):
        return [material.words.say("tiers.sure_one", tier=name(tier))] if n == 1 else []
    fields = {"first": count(first), "last": count(last)}
    return [material.words.say("tiers.sure", tier=name(tier), n=strong(count(n)), **fields)]


def _less(material: Material, tier: Row) -> list[Sentence]:
    """What the first variant that saves less would change."""
    frame = material.tiers.sensitivity
    rows = frame[frame["tier"].astype(str) == str(tier["tier"])].to_dict("records")
    stated = next((row for row in rows if row["saving"] == _STATED), None)
    less = [row for row in rows if stated is not None and row["chosen_value"] < stated["chosen_value"]]
    if not less:
        return []
    row = less[0]
    fields: dict[str, Part | str] = {"saving": saving_of(material.words, row["saving"]), "tier": name(tier["tier"])}
    if not exists(row["loss"]):
        return [material.words.say("tiers.less_nobody", **fields)]
    if row["rule"] == tier["rule"] or float(row["loss"]) <= 0:
        return [material.words.say("tiers.less_same", **fields)]
    loss = strong(share(row["loss"]))
    return [material.words.say("tiers.less", rule=name(rule_of(material.words, row["rule"])), loss=loss, **fields)]


# ------------------------------------------------------------------------------------------------- figure and tables


def tier_figure(material: Material) -> list[Block]:
    """Who is in which tier on which idle day; nothing where all tiers are empty, or cut a score, which has no bands."""
    words, scheme = material.words, material.tiers
    rows = [row for row in scheme.table.to_dict("records") if row["alerts"] > 0]
    if not rows or scheme.score is not None:
        return []
    bands = scheme.bands()
    variable = next((str(each) for each in bands["variable"] if exists(each)), None)
    caption = words.text("tiers.caption_alone")
    if variable is not None:
        caption = words.text("tiers.caption", variable=shown(variable_of(words, variable)))
    return [
        Figure(
            name="warning_tiers",
            kind="tier_bands",
            title=words.text("tiers.figure"),
            caption=caption,
            alt=words.text("tiers.alt", rules=rules_said(material)),
            data=columns_of(bands),
            options={
                "idle_days": scheme.idle_days,
                "words": plot_words(
                    words,
                    "plot_tiers",
                    **value_words(words, variables=scheme.grids, rules=(row["rule"] for row in rows)),
                ),
            },
        )
    ]


def rules_said(material: Material) -> str:
    """Return the tiers that have a rule, each with it, for those who cannot see a figure."""
    words, rows = material.words, material.tiers.table.to_dict("records")
    return words.semicolons(
        words.text("tiers.alt_rule", tier=shown(row["tier"]), rule=shown(rule_of(words, row["rule"])))
        for row in rows
        if row["alerts"] > 0
    )


def tier_tables(material: Material) -> list[Block]:
    """The tiers, how sure their thresholds are, what else may be best, and what hangs on the saving curve."""
    scheme = material.tiers
    found: list[Block] = [_tiers_table(material)]
    if scheme.bootstrap and len(scheme.thresholds):
        found.append(_thresholds_table(material, scheme.thresholds))
    if len(scheme.alternatives):
        found.append(_alternatives_table(material, scheme.alternatives))
    if len(scheme.sensitivity):
        found.append(_sensitivity_table(material, scheme.sensitivity))
    return found


def _tiers_table(material: Material) -> Table:
    words, scheme = material.words, material.tiers
    rows = scheme.table.to_dict("records")
    valued = any(exists(row["value"]) for row in rows)
    keys = ["tier", "rule_col", "alerts_per_day", "precision", "recall", "lead_recall", "lead_days"]
    headings = [words.text(f"tiers.{key}") for key in (*keys, *(["value"] if valued else []))]
    told = []
    for row in rows:
        cells = [row["tier"], rule_of(words, row["rule"]), _daily(row)]
        cells.append(estimate(point_of(row, "precision", "precision_lower", "precision_upper"), share))
        cells.append(share(row["recall"]))
        cells.append(estimate(point_of(row, "lead_recall", "lead_recall_lower", "lead_recall_upper"), share))
        cells.append(NOTHING if not exists(row["lead_days"]) else day(round(float(row["lead_days"]), 1)))
        if valued:
            point = point_of(row, "value", "value_lower", "value_upper")
            cells.append(estimate(point, quantity) if exists(point.estimate) else NOTHING)
        told.append(cells)
    first, last = (words.date(each) for each in scheme.window)
    note = words.text(
        "tiers.note",
        first=first,
        last=last,
        base=_base_rate(scheme),
        days=count(scheme.idle_days),
        level=_level(scheme),
    )
    return table(words.text("tiers.table"), headings, told, text_columns=(1,), note=note)


def _level(scheme: Any) -> str:
    return f"{100 * float(scheme.level):g}%"


def _thresholds_table(material: Material, frame: pd.DataFrame) -> Table:
    words = material.words
    headings = [words.text(f"tiers.{key}") for key in ("tier", "part", "threshold", "fitted", "frequency", "range")]
    told = [
        [
            row["tier"],
            words.headed(count(row["alternative"]), f"{variable_of(words, row['variable'])} {row['sign']}"),
            number(row["threshold"]),
            number(row["fitted"]),
            share(row["frequency"]),
            between(number(row["range_lower"]), number(row["range_upper"])),
        ]
        for row in frame.to_dict("records")
    ]
    note = words.text("tiers.thresholds_note", n=count(material.tiers.bootstrap))
    return table(words.text("tiers.thresholds"), headings, told, text_columns=(1,), note=note)


def _alternatives_table(material: Material, frame: pd.DataFrame) -> Table:
    words = material.words
    headings = [words.text(f"tiers.{key}") for key in ("tier", "form", "n_rules", "best_of", "value", "days")]
    told = [
        [
            row["tier"],
            rule_of(words, row["form"]),
            count(row["n_rules"]),
            rule_of(words, row["rule"]),
            quantity(row["value"]),
            NOTHING if not exists(row["first_day"]) else between(count(row["first_day"]), count(row["last_day"])),
        ]
        for row in frame.to_dict("records")[:_ROWS]
    ]
    note = words.text("tiers.may_be_note", level=_level(material.tiers))
    return table(words.text("tiers.may_be"), headings, told, text_columns=(1, 3), note=note)


def _sensitivity_table(material: Material, frame: pd.DataFrame) -> Table:
    words = material.words
    headings = [words.text(f"tiers.{key}") for key in ("tier", "saving", "best", "value", "chosen", "loss")]
    told = [
        [
            row["tier"],
            words.text("tiers.as_stated") if row["saving"] == _STATED else saving_of(words, row["saving"]),
            rule_of(words, row["rule"]),
            quantity(row["value"]),
            quantity(row["chosen_value"]),
            share(row["loss"]),
        ]
        for row in frame.to_dict("records")[:_ROWS]
    ]
    note = words.text("tiers.sensitivity_note")
    return table(words.text("tiers.sensitivity"), headings, told, text_columns=(1, 2), note=note)
