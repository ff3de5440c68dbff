"""Who churns faster: hazard ratios of the Cox model as a figure and a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from churnsurv.report.catalogue import Catalogue, Field, name, strong
from churnsurv.report.group_names import column_of
from churnsurv.report.material import Material, Ratio, ratios
from churnsurv.report.model import Block, Figure, Listing, Part, Section, Sentence, Table
from churnsurv.report.numbers import NOTHING, between, count, exists, p_value, ratio
from churnsurv.report.pieces import (
    capital,
    columns_of,
    filled,
    interval,
    limits,
    plot_words,
    table,
    term_words,
    test_fields,
)

__all__ = ["model_section", "ratio_sentences"]

_TERMS = 80
_ALT_TERMS = 12
_SIGNIFICANT = 0.05


def model_section(material: Material) -> Section | None:
    """Return the section; None without a model."""
    fit = material.cox
    if fit is None:
        return None
    words = material.words
    blocks: list[Block] = [words.say("cox.reading"), *_fit(material, fit)]
    notes = tuple(Sentence((Part(capital(words.note(note))),)) for note in getattr(fit, "notes", None) or ())
    if notes:
        blocks.append(Listing(notes))
    told = tuple(ratio_sentences(material))
    if told:
        blocks.append(Listing(told))
    found = ratios(fit.table)
    if found:
        blocks.append(_figure(material, fit, found))
    blocks.append(_table(material, fit))
    test = getattr(fit, "likelihood_ratio_test", None)
    if test is not None:
        blocks.append(test_fields(words, test, "cox.test"))
    return Section("model", words.text("cox.title"), tuple(blocks))


def ratio_sentences(material: Material) -> list[Sentence]:
    """For each variable the hazard ratio surest to be far from 1, among those clear when all are allowed for.

    Variables with a clear ratio come first, the surest of them first of all. Allowed for after Bonferroni: of 24
    cohorts that are alike, one is often clear by itself. Surest: the limit nearest to 1 is farthest from it; by the
    estimate alone the smallest category would win.
    """
    if material.cox is None:
        return []
    words = material.words
    by_variable: dict[str, list[Ratio]] = {}
    for each in ratios(material.cox.table):
        by_variable.setdefault(each.variable, []).append(each)
    clear, unclear = [], []
    for variable, terms in by_variable.items():
        some = [each for each in terms if each.p_value * len(terms) < _SIGNIFICANT]
        if some:
            clear.append(max(some, key=_distance))
        elif terms[0].reference is not None:
            reference = name(terms[0].reference)
            called = name(column_of(words, variable))
            unclear.append(words.say("summary.ratio_none", variable=called, reference=reference))
    clear.sort(key=_distance, reverse=True)
    return [*(_ratio_sentence(material, each) for each in clear), *unclear]


def _ratio_sentence(material: Material, each: Ratio) -> Sentence:
    words = material.words
    fields: dict[str, Field] = {
        "noun": material.noun,
        "ratio": strong(ratio(each.point.estimate)),
        "range": limits(each.point, ratio),
    }
    if each.category is None or each.reference is None:
        return words.say("summary.ratio_numeric", term=name(term_words(words, each.term)), **fields)
    named = {"variable": column_of(words, each.variable), "category": each.category, "reference": each.reference}
    return words.say("summary.ratio", **{key: name(text) for key, text in named.items()}, **fields)


def _distance(each: Ratio) -> float:
    """How far the interval of a ratio is from 1 at least, the same for 2 and 1/2; below 1 where it holds 1."""
    point = each.point
    if point.estimate > 1:
        return point.lower
    return 1 / point.upper if point.upper > 0 else float("inf")


def _fit(material: Material, fit: Any) -> list[Block]:
    words = material.words
    ties = words.text("cox.grouped") if fit.ties == "grouped" else words.text(f"ties.{fit.ties}")
    blocks: list[Block] = [
        words.say(
            "cox.fit",
            n=strong(count(fit.n)),
            noun=material.counted_noun,
            events=strong(count(fit.n_events)),
            formula=Part(str(fit.formula), "name"),
            ties=ties[:1].upper() + ties[1:],
        )
    ]
    for key in ("strata", "cluster"):
        names = _names(getattr(fit, key, None))
        if names:
            parts = [Part(words.messages["comma"])] * (2 * len(names) - 1)
            parts[::2] = [name(each) for each in names]
            blocks.append(filled(words, f"cox.{key}", {key: parts}))
    if getattr(fit, "n_no_risk", 0):
        blocks.append(words.say("cox.no_risk", n=count(fit.n_no_risk)))
    return blocks


def _names(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else [str(each) for each in given or ()]


def _figure(material: Material, fit: Any, found: list[Ratio]) -> Figure:
    words = material.words
    level = f"{100 * _level(fit):g}%"
    caption = [words.text("cox.caption", level=level)]
    if len(fit.table) > _TERMS:
        caption.append(words.text("cox.caption_more", n=count(_TERMS), m=count(len(fit.table))))
    told = [
        words.text(
            "cox.alt_term",
            term=term_words(words, each.term),
            ratio=ratio(each.point.estimate),
            range=interval(each.point, ratio),
        )
        for each in found[:_ALT_TERMS]
    ]
    return Figure(
        name="hazard_ratios",
        kind="forest",
        title=words.text("cox.figure"),
        caption=words.paragraph(caption),
        alt=words.text("cox.alt", terms=words.semicolons(told)),
        data=columns_of(fit.table),
        options={"level": _level(fit), "rows": _TERMS, "words": plot_words(words, **_headings(words, found))},
    )


def _headings(words: Catalogue, found: Iterable[Ratio]) -> dict[str, str]:
    """Words of the figure for columns that every study has and this language calls by another name."""
    columns = sorted({each.variable for each in found})
    return {f"value.{each}": said for each in columns if (said := column_of(words, each)) != each}


def _level(fit: Any) -> float:
    told = getattr(fit, "level", None) or fit._facts().get("level", 0.95)
    return float(told)


def _table(material: Material, fit: Any) -> Table:
    words = material.words
    keys = ("term", "reference", "ratio", "range", "p", "known_at")
    columns = [words.text(f"cox.{key}", level=f"{100 * _level(fit):g}%") for key in keys]
    rows = list(_rows(words, fit.table.to_dict("records")))
    return table(words.text("cox.table"), columns, rows, numeric_from=2, text_columns=(5,))


def _rows(words: Catalogue, records: Iterable[dict[Any, Any]]) -> Iterable[tuple[str, ...]]:
    for row in records:
        there = exists(row["hazard_ratio"])
        span = between(ratio(row["hr_lower"]), ratio(row["hr_upper"])) if there else NOTHING
        yield (
            term_words(words, row["term"]),
            str(row["reference"]) if exists(row["reference"]) else "",
            ratio(row["hazard_ratio"]),
            span,
            p_value(row["p_value"]),
            _known_at(words, str(row["known_at"])) if exists(row.get("known_at")) else "",
        )


def _known_at(words: Catalogue, text: str) -> str:
    """When the values of a term are known: "origin", "day 30" or "lag 60", and what else a table says of itself."""
    said = []
    for each in text.split(", "):
        word, _, n = each.partition(" ")
        key = f"known.{word}"
        said.append(words.text(key, n=n) if n and words.has(key) else words.messages.get(key, each))
    return words.commas(said)
