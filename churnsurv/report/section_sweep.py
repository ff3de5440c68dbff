"""How the answers move with the churn rule: one small figure for each quantity, all rules side by side in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from churnsurv.plots.sweep import rule_sweep_quantities
from churnsurv.plots.text import shown
from churnsurv.report.material import Material, Point
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, day, exists, ratio, share
from churnsurv.report.pieces import columns_of, estimate, plot_words, table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMS", "sweep_points", "sweep_section"]

# Quantity to how its numbers read, in the order of the columns.
FORMS: dict[str, Callable[[Any], str]] = {
    "n_spells": count,
    "churned": share,
    "survival": share,
    "median": day,
    "return_share": share,
    "hazard_ratio": ratio,
}
_TERMS = 100
_ALT_POINTS = 10


def sweep_section(material: Material) -> Section | None:
    """Return the section; None without a sweep."""
    if material.sweep is None:
        return None
    words = material.words
    frame = material.sweep.table
    blocks: list[Block] = [words.say("sweep.reading", days=count(material.idle_days))]
    blocks.append(_side_by_side(material, frame))
    panels = [quantity for quantity in rule_sweep_quantities(frame) if quantity != "n_spells"]
    blocks += [_figure(material, frame, panels)] if panels else []
    terms = _ratios(material, frame)
    blocks += [terms] if terms is not None else []
    blocks += _notes(material, frame)
    return Section("rule", words.text("sweep.title"), tuple(blocks))


def sweep_points(frame: pd.DataFrame, quantity: str, group: str = "all") -> dict[int, Point]:
    """Return the estimates of a quantity by idle days; rules without an estimate are left out."""
    rows = frame[(frame["quantity"] == quantity) & (frame["group"].astype(str) == group)]
    return {
        int(row["idle_days"]): Point(*(_float(row[name]) for name in ("estimate", "lower", "upper")))
        for row in rows.sort_values("idle_days").to_dict("records")
        if exists(row["estimate"])
    }


def _float(value: Any) -> float:
    return float(value) if exists(value) else float("nan")


def quantity_words(material: Material, quantity: str) -> str:
    """Return what a quantity is, in words."""
    words = material.words
    kind, _, variable = quantity.partition(": ")
    if variable:
        return words.text("sweep.hazard_ratio_of", variable=shown(variable))
    if words.has(f"sweep.{kind}"):
        return words.text(f"sweep.{kind}", day=count(material.horizon))
    return kind.replace("_", " ")


def _side_by_side(material: Material, frame: pd.DataFrame) -> Table:
    """Rules as rows, the quantities of all users as columns."""
    words = material.words
    there = [name for name in FORMS if name != "hazard_ratio" and sweep_points(frame, name)]
    rows = []
    for idle in sorted({int(value) for value in frame["idle_days"]}):
        chosen = idle == material.idle_days
        cells = [words.text("sweep.chosen", days=count(idle)) if chosen else count(idle)]
        for name in there:
            point = sweep_points(frame, name).get(idle)
            cells.append(NOTHING if point is None else estimate(point, FORMS[name]))
        rows.append(cells)
    columns = [words.text("sweep.idle_days"), *(quantity_words(material, name) for name in there)]
    return table(words.text("sweep.table"), columns, rows)


def _ratios(material: Material, frame: pd.DataFrame) -> Table | None:
    words = material.words
    terms = list(dict.fromkeys(frame.loc[frame["quantity"] == "hazard_ratio", "group"].astype(str)))
    if not terms:
        return None
    rules = sorted({int(value) for value in frame["idle_days"]})
    rows = []
    for term in terms[:_TERMS]:
        points = sweep_points(frame, "hazard_ratio", term)
        rows.append([term, *(estimate(points[r], ratio) if r in points else NOTHING for r in rules)])
    columns = [words.text("sweep.term"), *(words.text("sweep.column", days=count(rule)) for rule in rules)]
    note = words.text("cox.caption_more", n=count(_TERMS), m=count(len(terms))) if len(terms) > _TERMS else ""
    return table(words.text("sweep.ratios"), columns, rows, note=note)


def _figure(material: Material, frame: pd.DataFrame, panels: list[str]) -> Figure:
    words = material.words
    level = getattr(material.sweep, "level", 0.95)
    caption = words.text("sweep.caption", level=f"{100 * level:g}%", days=count(material.idle_days))
    if "churned" in panels:
        caption += " " + words.text("sweep.caption_churned")
    return Figure(
        name="churn_rules",
        kind="rule_sweep",
        title=words.text("sweep.figure"),
        caption=caption,
        alt=words.text("sweep.figure"),
        data=columns_of(frame),
        options={
            "chosen": material.idle_days,
            "panels": [{"quantity": quantity, "alt": _alt(material, frame, quantity)} for quantity in panels],
            "words": plot_words(words, **{f"quantity.{kind}": quantity_words(material, kind) for kind in FORMS}),
        },
    )


def _alt(material: Material, frame: pd.DataFrame, quantity: str) -> str:
    words = material.words
    kind, _, variable = quantity.partition(": ")
    form = FORMS.get(kind, ratio)
    told = [
        words.text(
            "sweep.alt_point",
            group=shown(row["group"]),
            days=count(row["idle_days"]),
            value=form(row["estimate"]),
        )
        for row in frame[frame["quantity"] == kind].to_dict("records")
        if exists(row["estimate"]) and (not variable or str(row["group"]).split(": ", 1)[0] == variable)
    ]
    said = quantity_words(material, quantity)
    return words.text("sweep.alt", quantity=said, points="; ".join(told[:_ALT_POINTS]))


def _notes(material: Material, frame: pd.DataFrame) -> list[Block]:
    """Why a figure is missing under a rule, each reason once."""
    if "note" not in frame.columns:
        return []
    words = material.words
    told: dict[str, Sentence] = {}
    for row in frame.to_dict("records"):
        if exists(row["note"]) and str(row["note"]):
            what = quantity_words(material, str(row["quantity"]))
            group = str(row["group"])
            if group not in {"all", ""} and row["quantity"] != "hazard_ratio":
                what += f" ({shown(group)})"
            sentence = words.say(
                "sweep.note", what=what, days=count(row["idle_days"]), note=Part(str(row["note"]).rstrip("."))
            )
            told.setdefault(sentence.text, sentence)
    return [Listing(tuple(told.values()))] if told else []
