"""How the answers move with the churn rule: one small figure for each quantity, all rules side by side in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from churnsurv.plots.sweep import rule_sweep_quantities
from churnsurv.plots.text import shown
from churnsurv.report.catalogue import name, strong
from churnsurv.report.group_names import column_of
from churnsurv.report.material import Material, Point
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, bracketed, count, day, exists, ratio, share
from churnsurv.report.pieces import columns_of, estimate, filled, group_words, limits, plot_words, table, term_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMS", "sweep_points", "sweep_section", "sweep_sentences"]

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
    told = tuple(sweep_sentences(material))
    blocks += [Listing(told)] if told else []
    blocks.append(_side_by_side(material, frame))
    panels = [quantity for quantity in rule_sweep_quantities(frame) if quantity != "n_spells"]
    blocks += [_figure(material, frame, panels)] if panels else []
    terms = _ratios(material, frame)
    blocks += [terms] if terms is not None else []
    blocks += _notes(material, frame)
    return Section("rule", words.text("sweep.title"), tuple(blocks))


def sweep_sentences(material: Material) -> list[Sentence]:
    """The span of the share still active over the rules, ratios that turn, and the share who came back."""
    if material.sweep is None:
        return []
    words, frame, on = material.words, material.sweep.table, count(material.horizon)
    found = []
    shares = sweep_points(frame, "survival")
    if len(shares) > 1:
        low, high = min(shares), max(shares)
        found.append(
            words.say(
                "summary.sweep",
                low_days=count(low),
                high_days=count(high),
                day=on,
                low_share=strong(share(shares[low].estimate)),
                low_range=limits(shares[low], share),
                high_share=strong(share(shares[high].estimate)),
                high_range=limits(shares[high], share),
            )
        )
    found += _turns(material)
    returned = sweep_points(frame, "return_share").get(material.idle_days or -1)
    if returned is not None:
        value, span = strong(share(returned.estimate)), limits(returned, share)
        found.append(words.say("summary.returned", share=value, range=span, day=on))
    return found


def _turns(material: Material) -> list[Sentence]:
    frame, words = material.sweep.table, material.words
    terms = dict.fromkeys(frame.loc[frame["quantity"] == "hazard_ratio", "group"].astype(str))
    clear, turned = 0, []
    for term in terms:
        points = sweep_points(frame, "hazard_ratio", term)
        own = points.get(material.idle_days or -1)
        if own is None or len(points) < 2 or own.lower <= 1 <= own.upper:
            continue
        clear += 1
        if any((point.estimate > 1) != (own.estimate > 1) for point in points.values()):
            turned += [Part(words.messages["comma"]), name(term_words(words, term))]
    if not clear:
        return []
    if not turned:
        return [words.say("summary.sweep_same")]
    n, m = strong(count(len(turned) // 2)), count(clear)
    return [filled(words, "summary.sweep_turns", {"terms": turned[1:]}, n=n, m=m)]


def sweep_points(frame: pd.DataFrame, quantity: str, group: str = "all") -> dict[int, Point]:
    """Return the estimates of a quantity by idle days; rules without an estimate are left out."""
    rows = frame[(frame["quantity"] == quantity) & (frame["group"].astype(str) == group)]
    return {
        int(row["idle_days"]): Point(*(_float(row[key]) for key in ("estimate", "lower", "upper")))
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
        return words.text("sweep.hazard_ratio_of", variable=column_of(words, variable))
    if words.has(f"sweep.{kind}"):
        return words.text(f"sweep.{kind}", day=count(material.horizon))
    return kind.replace("_", " ")


def _side_by_side(material: Material, frame: pd.DataFrame) -> Table:
    """Rules as rows, the quantities of all users as columns."""
    words = material.words
    there = [quantity for quantity in FORMS if quantity != "hazard_ratio" and sweep_points(frame, quantity)]
    rows = []
    for idle in sorted({int(value) for value in frame["idle_days"]}):
        chosen = idle == material.idle_days
        cells = [words.text("sweep.chosen", days=count(idle)) if chosen else count(idle)]
        for quantity in there:
            point = sweep_points(frame, quantity).get(idle)
            cells.append(NOTHING if point is None else estimate(point, FORMS[quantity]))
        rows.append(cells)
    columns = [words.text("sweep.idle_days"), *(quantity_words(material, quantity) for quantity in there)]
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
        rows.append([term_words(words, term), *(estimate(points[r], ratio) if r in points else NOTHING for r in rules)])
    columns = [words.text("sweep.term"), *(words.text("sweep.column", days=count(rule)) for rule in rules)]
    note = words.text("cox.caption_more", n=count(_TERMS), m=count(len(terms))) if len(terms) > _TERMS else ""
    return table(words.text("sweep.ratios"), columns, rows, note=note)


def _figure(material: Material, frame: pd.DataFrame, panels: list[str]) -> Figure:
    words = material.words
    level = getattr(material.sweep, "level", 0.95)
    caption = [words.text("sweep.caption", level=f"{100 * level:g}%", days=count(material.idle_days))]
    if "churned" in panels:
        caption.append(words.text("sweep.caption_churned"))
    variables = sorted({variable for _, _, variable in (each.partition(": ") for each in panels) if variable})
    said = {f"value.{each}": called for each in variables if (called := column_of(words, each)) != each}
    return Figure(
        name="churn_rules",
        kind="rule_sweep",
        title=words.text("sweep.figure"),
        caption=words.paragraph(caption),
        alt=words.text("sweep.figure"),
        data=columns_of(frame),
        options={
            "chosen": material.idle_days,
            "panels": [{"quantity": quantity, "alt": _alt(material, frame, quantity)} for quantity in panels],
            "words": plot_words(
                words, **{f"quantity.{kind}": quantity_words(material, kind) for kind in FORMS}, **said
            ),
        },
    )


def _alt(material: Material, frame: pd.DataFrame, quantity: str) -> str:
    words = material.words
    kind, _, variable = quantity.partition(": ")
    form = FORMS.get(kind, ratio)
    told = [
        words.text(
            "sweep.alt_point",
            group=term_words(words, row["group"]) if kind == "hazard_ratio" else group_words(material, row["group"]),
            days=count(row["idle_days"]),
            value=form(row["estimate"]),
        )
        for row in frame[frame["quantity"] == kind].to_dict("records")
        if exists(row["estimate"]) and (not variable or str(row["group"]).split(": ", 1)[0] == variable)
    ]
    said = quantity_words(material, quantity)
    return words.text("sweep.alt", quantity=said, points=words.semicolons(told[:_ALT_POINTS]))


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
                what += bracketed(shown(group))
            said = Part(words.note(row["note"]).rstrip(".。"))
            sentence = words.say("sweep.note", what=what, days=count(row["idle_days"]), note=said)
            told.setdefault(sentence.text, sentence)
    return [Listing(tuple(told.values()))] if told else []
