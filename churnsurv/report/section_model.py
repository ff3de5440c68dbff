"""Who churns faster: hazard ratios of the Cox model as a figure and a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from churnsurv.report.catalogue import strong
from churnsurv.report.material import Material, Ratio, ratios
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, count, exists, p_value, ratio
from churnsurv.report.pieces import columns_of, interval, plot_words, table, test_fields

__all__ = ["model_section"]

_TERMS = 80
_ALT_TERMS = 12


def model_section(material: Material) -> Section | None:
    """Return the section; None without a model."""
    fit = material.cox
    if fit is None:
        return None
    words = material.words
    blocks: list[Block] = [words.say("cox.reading"), *_fit(material, fit)]
    notes = tuple(Sentence((Part(str(note)),)) for note in getattr(fit, "notes", None) or ())
    if notes:
        blocks.append(Listing(notes))
    found = ratios(fit.table)
    if found:
        blocks.append(_figure(material, fit, found))
    blocks.append(_table(material, fit))
    test = getattr(fit, "likelihood_ratio_test", None)
    if test is not None:
        blocks.append(test_fields(words, test, "cox.test"))
    return Section("model", words.text("cox.title"), tuple(blocks))


def _fit(material: Material, fit: Any) -> list[Block]:
    words = material.words
    ties = words.text("cox.grouped") if fit.ties == "grouped" else str(fit.ties)
    blocks: list[Block] = [
        words.say(
            "cox.fit",
            n=strong(count(fit.n)),
            noun=material.noun,
            events=strong(count(fit.n_events)),
            formula=Part(str(fit.formula), "name"),
            ties=ties[:1].upper() + ties[1:],
        )
    ]
    for key, value in (("strata", _joined(getattr(fit, "strata", None))), ("cluster", getattr(fit, "cluster", None))):
        if value:
            blocks.append(words.say(f"cox.{key}", **{key: Part(str(value), "name")}))
    if getattr(fit, "n_no_risk", 0):
        blocks.append(words.say("cox.no_risk", n=count(fit.n_no_risk)))
    return blocks


def _joined(names: Any) -> str:
    return names if isinstance(names, str) else ", ".join(str(name) for name in (names or ()))


def _figure(material: Material, fit: Any, found: list[Ratio]) -> Figure:
    words = material.words
    level = f"{100 * _level(fit):g}%"
    caption = words.text("cox.caption", level=level)
    if len(fit.table) > _TERMS:
        caption += " " + words.text("cox.caption_more", n=count(_TERMS), m=count(len(fit.table)))
    told = [
        words.text("cox.alt_term", term=each.term, ratio=ratio(each.point.estimate), range=interval(each.point, ratio))
        for each in found[:_ALT_TERMS]
    ]
    return Figure(
        name="hazard_ratios",
        kind="forest",
        title=words.text("cox.figure"),
        caption=caption,
        alt=words.text("cox.alt", terms="; ".join(told)),
        data=columns_of(fit.table),
        options={"level": _level(fit), "rows": _TERMS, "words": plot_words(words)},
    )


def _level(fit: Any) -> float:
    told = getattr(fit, "level", None) or fit._facts().get("level", 0.95)
    return float(told)


def _table(material: Material, fit: Any) -> Table:
    words = material.words
    keys = ("term", "reference", "ratio", "range", "p", "known_at")
    columns = [words.text(f"cox.{key}", level=f"{100 * _level(fit):g}%") for key in keys]
    rows = list(_rows(fit.table.to_dict("records")))
    return table(words.text("cox.table"), columns, rows, numeric_from=2, text_columns=(5,))


def _rows(records: Iterable[dict[Any, Any]]) -> Iterable[tuple[str, ...]]:
    for row in records:
        known = exists(row["hazard_ratio"])
        limits = f"{ratio(row['hr_lower'])}–{ratio(row['hr_upper'])}" if known else NOTHING
        yield (
            str(row["term"]),
            str(row["reference"]) if exists(row["reference"]) else "",
            ratio(row["hazard_ratio"]),
            limits,
            p_value(row["p_value"]),
            str(row["known_at"]) if exists(row.get("known_at")) else "",
        )
