"""How the tiers did on days that they had not seen, beside other rules, nobody and everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue, name, strong
from churnsurv.report.material import Material
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, day, exists, number, p_value, quantity, share
from churnsurv.report.pieces import and_listed, columns_of, estimate, filled, limits, noted, plot_words, point_of, table
from churnsurv.report.warning_words import rule_of, value_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backtest_section", "backtest_summary"]

Row = dict[Any, Any]

_LINK = "backtest"
_FITTED, _NOBODY, _EVERYBODY, _BEST = "fitted", "nobody", "everybody", "most accurate"
_ALERTS = " alerts a day"  # how the policies of a capacity end
_ROWS = 60


def backtest_section(material: Material) -> Section | None:
    """Return the section; None without a backtest."""
    test, words = material.backtest, material.words
    if test is None:
        return None
    sentences = [
        _how(material),
        *(_tier(material, row) for row in _tiers(test)),
        *_compared(material),
        *_capacities(material),
        *_accuracy(material),
    ]
    blocks: list[Block] = [
        Listing(tuple(sentences)),
        *_value_figure(material),
        *_gains_figure(material),
        _policies_table(material),
        *_differences_table(material),
        _accuracy_table(material),
        *_rules_table(material),
        *noted(words, "backtest.notes", test.notes),
    ]
    return Section(_LINK, words.text("backtest.title"), tuple(blocks))


def backtest_summary(material: Material) -> list[Sentence]:
    """The highest tier that contacts anybody, on later days, and against the fixed rule or nobody."""
    test, words = material.backtest, material.words
    row = None if test is None else next((row for row in _tiers(test) if row["alerts"] > 0), None)
    if row is None:
        return []
    point = point_of(row, "precision", "precision_lower", "precision_upper")
    lead = {"lead": strong(_days(row["lead_days"]))} if exists(row["lead_days"]) else {}
    told = words.say(
        "summary.backtest" if lead else "summary.backtest_no_lead",
        tier=name(row["tier"]),
        precision=strong(share(point.estimate)),
        range=limits(point, share),
        base=share(row["base_rate"]),
        alerts=_daily(row),
        **lead,
    )
    other = _fixed(test.differences, str(row["tier"]))
    further = [] if other is None else [_difference(material, other, "backtest.summary")]
    return [words.joined(told, *further, link=_LINK)]


def _fixed(frame: pd.DataFrame, tier: str) -> Row | None:
    """Against a rule that somebody stated, else against contacting nobody."""
    rows = frame[frame["tier"].astype(str) == tier].to_dict("records")
    stated = [row for row in rows if row["compared_with"] not in (_NOBODY, _EVERYBODY)]
    return next(iter([*stated, *(row for row in rows if row["compared_with"] == _NOBODY)]), None)


# --------------------------------------------------------------------------------------------------------- sentences


def _all(test: Any) -> list[Row]:
    """The rows of all origins together."""
    frame = test.table
    rows: list[Row] = frame[frame["origin"].isna()].to_dict("records")
    return rows


def _tiers(test: Any) -> list[Row]:
    """The fitted tiers, highest first."""
    return [row for row in _all(test) if row["policy"] == _FITTED and exists(row["tier"])]


def _how(material: Material) -> Sentence:
    test, words = material.backtest, material.words
    key = "backtest.how_frozen" if test.frozen else "backtest.how"
    return filled(
        words,
        key,
        {"origins": and_listed(words, [[Part(words.date(origin))] for origin in test.origins])},
        n=count(len(test.origins)),
        days=count(test.test_days),
        gaps=strong(count(test.n_gaps)),
        base=strong(share(test.n_churned / test.n_gaps if test.n_gaps else None)),
    )


def _daily(row: Row) -> str:
    return number(round(float(row["alerts_per_day"]), 1))


def _days(value: Any) -> str:
    return day(round(float(value), 1)) if exists(value) else NOTHING


def _tier(material: Material, row: Row) -> Sentence:
    words = material.words
    if row["alerts"] == 0:
        return words.say("backtest.tier_empty", tier=name(row["tier"]))
    point = point_of(row, "precision", "precision_lower", "precision_upper")
    lead = {"lead": strong(_days(row["lead_days"]))} if exists(row["lead_days"]) else {}
    told = words.say(
        "backtest.tier" if lead else "backtest.tier_no_lead",
        tier=name(row["tier"]),
        alerts=strong(_daily(row)),
        precision=strong(share(point.estimate)),
        range=limits(point, share),
        base=share(row["base_rate"]),
        recall=share(row["recall"]),
        **lead,
    )
    if not exists(row["value"]):
        return told
    worth = point_of(row, "value", "value_lower", "value_upper")
    further = words.say("backtest.tier_value", value=strong(quantity(worth.estimate)), range=limits(worth, quantity))
    return words.joined(told, further)


def _difference(material: Material, row: Row, room: str) -> Sentence:
    """One row of the differences: more, less, or not told apart."""
    point = point_of(row, "estimate")
    way = "alike"
    if exists(point.lower) and exists(point.upper):
        way = "more" if point.lower > 0 else "less" if point.upper < 0 else "alike"
    shown_as = quantity(abs(point.estimate)) if way != "alike" else quantity(point.estimate)
    if way == "less":
        point = type(point)(-point.estimate, -point.upper, -point.lower)
    return material.words.say(
        f"{room}_{way}",
        tier=name(row["tier"]),
        value=strong(shown_as),
        range=limits(point, quantity),
        other=_other(material, str(row["compared_with"])),
    )


def _other(material: Material, policy: str) -> str:
    """A policy in the middle of a sentence."""
    known = {_NOBODY: "backtest.nobody", _EVERYBODY: "backtest.everybody"}
    if policy in known:
        return material.words.text(known[policy])
    return material.words.text("backtest.rule_named", rule=shown(rule_of(material.words, policy)))


def _compared(material: Material) -> list[Sentence]:
    rows = material.backtest.differences.to_dict("records")
    return [_difference(material, row, "backtest.worth") for row in rows if exists(row["estimate"])]


def _capacities(material: Material) -> list[Sentence]:
    found = []
    for row in _all(material.backtest):
        policy = str(row["policy"])
        if not policy.endswith(_ALERTS) or not exists(row["recall"]):
            continue
        found.append(
            material.words.say(
                "backtest.capacity",
                n=strong(policy.removesuffix(_ALERTS)),
                recall=strong(share(row["recall"])),
                lead_recall=share(row["lead_recall"]),
                alerts=_daily(row),
            )
        )
    return found


def _accuracy(material: Material) -> list[Sentence]:
    """The longer horizon first: within a week nearly everything is right."""
    found, idle = [], int(material.backtest.churn_rule.idle_days)
    frame = material.backtest.accuracy
    for horizon in sorted({int(each) for each in frame["horizon"]}, reverse=True):
        rows = {str(row["policy"]): row for row in frame[frame["horizon"] == horizon].to_dict("records")}
        if _FITTED not in rows or _BEST not in rows:
            continue
        key = "backtest.accuracy" if horizon == idle else "backtest.accuracy_short"
        fields: dict[str, Part | str] = {
            "horizon": count(horizon),
            "always_no": strong(share(rows[_FITTED]["always_no"])),
            "fitted": strong(share(rows[_FITTED]["accuracy"])),
        }
        if horizon == idle:
            fields["best"] = strong(share(rows[_BEST]["accuracy"]))
        else:
            fields["safe"] = count(idle - horizon)
        found.append(material.words.say(key, **fields))
    return found


# --------------------------------------------------------------------------------------------------- figures, tables


def _value_figure(material: Material) -> list[Block]:
    """Value by origin, or precision where nothing says what an alert is worth; none of a single number."""
    test, words = material.backtest, material.words
    frame = test.table
    named = frame["policy"] != _NOBODY
    quantity_of = next(
        (
            each
            for each in ("value", "precision")
            if (frame.loc[named & frame["origin"].notna(), each].fillna(0.0) > 0).any()
        ),
        None,
    )
    if quantity_of is None:
        return []
    told = [
        words.text("backtest.alt_item", tier=shown(row["tier"]), share=share(row["precision"])) for row in _tiers(test)
    ]
    return [
        Figure(
            name="backtest_by_origin",
            kind="backtest",
            title=words.text(f"backtest.figure_{quantity_of}"),
            caption=words.text(f"backtest.caption_{quantity_of}"),
            alt=words.text("backtest.alt", days=count(test.test_days), tiers=words.semicolons(told)),
            data=columns_of(frame),
            options={
                "quantity_of": quantity_of,
                "test_days": test.test_days,
                "level": float(test.level),
                "words": _figure_words(words, test),
            },
        )
    ]


def _figure_words(words: Catalogue, test: Any) -> dict[str, str]:
    return plot_words(words, "plot_backtest", **value_words(words, rules=test.table["policy"].unique()))


def _gains_figure(material: Material) -> list[Block]:
    test, words = material.backtest, material.words
    frame = test.gains
    if len(frame) < 2:
        return []
    half = frame[frame["recall"] >= 0.5].to_dict("records")
    alt = [words.text("backtest.alt_gains_half", n=number(half[0]["alerts_per_day"]))] if half else []
    return [
        Figure(
            name="backtest_gains",
            kind="backtest_gains",
            title=words.text("backtest.figure_gains"),
            caption=words.text("backtest.caption_gains"),
            alt=words.paragraph([words.text("backtest.alt_gains"), *alt]),
            data=columns_of(frame),
            options={"points": columns_of(test.table), "words": _figure_words(words, test)},
        )
    ]


def _policy(material: Material, row: Row) -> str:
    """A row of the tables by name."""
    words, policy = material.words, str(row["policy"])
    if policy == _FITTED:
        tier = row.get("tier")
        return words.text("backtest.tier_named", tier=str(tier)) if exists(tier) else words.text("backtest.any")
    if policy.endswith(_ALERTS):
        return words.text("backtest.capacity_cell", n=policy.removesuffix(_ALERTS))
    return {
        _NOBODY: words.text("backtest.nobody_cell"),
        _EVERYBODY: words.text("backtest.everybody_cell"),
        _BEST: words.text("backtest.best_cell"),
    }.get(policy) or rule_of(words, policy)


def _policies_table(material: Material) -> Table:
    words, test = material.words, material.backtest
    rows = _all(test)
    if len(_tiers(test)) == 1:  # any tier is that tier
        rows = [row for row in rows if row["policy"] != _FITTED or exists(row["tier"])]
    valued = any(exists(row["value"]) for row in rows)
    keys = ["alerts_per_day", "precision", "recall", "lead_recall", "lead_days", *(["value"] if valued else [])]
    headings = [words.text("backtest.policy"), *(words.text(f"tiers.{key}") for key in keys)]
    told = [
        [
            _policy(material, row),
            _daily(row),
            _estimate(row, "precision", share),
            share(row["recall"]),
            _estimate(row, "lead_recall", share),
            _days(row["lead_days"]),
            *([_estimate(row, "value", quantity)] if valued else []),
        ]
        for row in rows
    ]
    note = words.text("backtest.policies_note", base=share(test.n_churned / test.n_gaps), level=_level(test))
    return table(words.text("backtest.policies"), headings, told, note=note)


def _estimate(row: Row, column: str, form: Any) -> str:
    if not exists(row[column]):
        return NOTHING
    return estimate(point_of(row, column, f"{column}_lower", f"{column}_upper"), form)


def _level(test: Any) -> str:
    return f"{100 * float(test.level):g}%"


def _differences_table(material: Material) -> list[Block]:
    words, test = material.words, material.backtest
    rows = test.differences.to_dict("records")
    if not rows:
        return []
    headings = [words.text(f"backtest.{key}") for key in ("tier_col", "other_col", "difference", "p")]
    told = [
        [
            row["tier"],
            _policy(material, {"policy": row["compared_with"]}),
            estimate(point_of(row, "estimate"), quantity),
            p_value(row["adjusted_p_value"]),
        ]
        for row in rows
    ]
    note = words.text("backtest.differences_note", level=_level(test))
    return [table(words.text("backtest.differences"), headings, told, text_columns=(1,), note=note)]


def _accuracy_table(material: Material) -> Table:
    words = material.words
    keys = ("horizon", "policy", "base_rate", "always_no", "accuracy_col", "foretold_right", "found")
    headings = [words.text(f"backtest.{key}") for key in keys]
    told = [
        [
            words.text("backtest.within", days=count(row["horizon"])),
            _policy(material, row),
            *(share(row[column]) for column in ("base_rate", "always_no", "accuracy", "precision", "recall")),
        ]
        for row in material.backtest.accuracy.to_dict("records")
    ]
    note = words.text("backtest.accuracy_note")
    return table(words.text("backtest.accuracy_table"), headings, told, text_columns=(1,), note=note)


def _rules_table(material: Material) -> Sequence[Block]:
    """The rule of each tier at each origin; a ready scheme has the same ones always."""
    words, test = material.words, material.backtest
    if test.frozen:
        return []
    frame = test.stability.drop_duplicates(["origin", "tier"])
    headings = [words.text(f"backtest.{key}") for key in ("origin_col", "tier_col", "rule_col")]
    rows = frame.to_dict("records")
    told = [[words.date(str(row["origin"])), row["tier"], rule_of(words, row["rule"])] for row in rows]
    return [table(words.text("backtest.rules"), headings, told[:_ROWS], numeric_from=3)]
