"""Small builders that all sections share: intervals in words, tables, names of files, tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from churnsurv.plots.text import shown
from churnsurv.report.catalogue import Catalogue, Field
from churnsurv.report.group_names import column_of
from churnsurv.report.material import Material, Point
from churnsurv.report.model import Block, Listing, Part, Sentence, Table
from churnsurv.report.numbers import NOTHING, between, bracketed, exists, number, p_value
from churnsurv.tables import plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "and_listed",
    "capital",
    "columns_of",
    "estimate",
    "filled",
    "group_words",
    "interval",
    "limits",
    "p_words",
    "plot_words",
    "safe_name",
    "table",
    "term_words",
    "test_fields",
]


def interval(point: Point, form: Callable[[Any], str]) -> str:
    """Return the limits of an estimate as text; of one limit where the other does not exist, a dash without both.

    Examples
    --------
    >>> from churnsurv.report.numbers import day, share
    >>> interval(Point(0.4, 0.38, 0.42), share), interval(Point(17.0, 13.5, float("nan")), day)
    ('38.0–42.0%', '13.5 or more')
    """
    if not exists(point.lower) and not exists(point.upper):
        return NOTHING
    return between(form(point.lower), form(point.upper))


def limits(point: Point, form: Callable[[Any], str]) -> Part:
    """Return the limits as a part of a sentence that is not broken over two lines."""
    return Part(interval(point, form), "keep")


def estimate(point: Point, form: Callable[[Any], str]) -> str:
    """Return an estimate with its limits in brackets; without them where they are the estimate itself."""
    told = interval(point, form)
    exact = point.lower == point.estimate == point.upper
    return form(point.estimate) if exact or told == NOTHING else form(point.estimate) + bracketed(told)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numeric_from: int = 1,
    text_columns: Sequence[int] = (),
    note: str = "",
) -> Table:
    """Return a table of texts; columns from `numeric_from` on are numbers, but for `text_columns`."""
    numeric = tuple(place >= numeric_from and place not in text_columns for place in range(len(columns)))
    finished = tuple(tuple(shown(cell) for cell in row) for row in rows)
    return Table(title, tuple(columns), finished, numeric, note)


def safe_name(prefix: str, label: str, taken: set[str]) -> str:
    """Return a file name made of letters, digits and "_" that is not taken, and take it.

    Examples
    --------
    >>> safe_name("curves", "channel", set()), safe_name("curves", "分銷", set())
    ('curves_channel', 'curves')
    """
    word = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:40]
    stem = name = f"{prefix}_{word}" if word else prefix
    further = 2
    while name in taken:
        name, further = f"{stem}_{further}", further + 1
    taken.add(name)
    return name


def columns_of(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a table as plain values, column by column."""
    return {str(name): plain(frame[name].tolist()) for name in frame.columns}


def p_words(value: Any) -> Part:
    """Return a p-value as a part of a sentence: "= 0.034" or "< 0.001"."""
    text = p_value(value)
    return Part(text if text[:1] == "<" else f"= {text}", "keep")


def plot_words(words: Catalogue, room: str = "plot", **further: str) -> dict[str, str]:
    """Return the words of a figure in the language of the report, with some of them replaced.

    `room` is the part of the catalogue: "plot" or "plot_..." for those of one kind. What all kinds use, the words at
    points and axes, comes from the room "plot_any".
    """
    said: dict[str, str] = {}
    for start in ("plot_any.", f"{room}."):
        said |= {key.removeprefix(start): text for key, text in words.messages.items() if key.startswith(start)}
    return {**said, **further}


def and_listed(words: Catalogue, items: Sequence[Sequence[Part]], *, clauses: bool = False) -> tuple[Part, ...]:
    """Return runs of text as a list: "one, two and three"; `clauses` where each could be a sentence of its own.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> "".join(part.text for part in and_listed(catalogue("en"), [[Part("a")], [Part("b")], [Part("c")]]))
    'a, b and c'
    """
    parts: list[Part] = []
    for place, item in enumerate(items):
        if place:
            last = place == len(items) - 1
            key = ("clauses.and" if last else "clauses.comma") if clauses else ("and" if last else "comma")
            parts.append(Part(words.messages[key]))
        parts += item
    return tuple(parts)


def filled(words: Catalogue, key: str, lists: Mapping[str, Sequence[Part]], **fields: Field) -> Sentence:
    """Return a sentence some of whose fields are runs of text with names and numbers of their own.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> filled(catalogue("en"), "or", {"first": [Part("a", "name")]}, last="b").text
    '“a” or b'
    """
    marks = {name: Part(f"{{{name}}}", "list") for name in lists}
    parts: list[Part] = []
    for part in words.say(key, **fields, **marks).parts:
        parts += lists[part.text[1:-1]] if part.role == "list" else [part]
    return Sentence(tuple(parts))


def capital(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


def test_fields(words: Catalogue, result: Any, key: str, **further: Field) -> Sentence:
    """Return a sentence on a test result."""
    return words.say(
        key,
        method=capital(words.note(result.method)),
        statistic=number(float(result.statistic)),
        df=f"{float(result.df):g}",
        p=p_words(result.p_value),
        **further,
    )


def group_words(material: Material, group: object) -> str:
    """Return a group of curves in words: a user's own name, all users, or those without a value."""
    text, words = str(group), material.words
    if text == "all":
        return words.text("group.all", noun=material.noun)
    return words.text("together.(missing)") if text == "(missing)" else shown(text)


def term_words(words: Catalogue, term: object) -> str:
    """Return a term of a model in words: its variable, and the category behind a colon.

    Examples
    --------
    >>> from churnsurv.report.catalogue import catalogue
    >>> term_words(catalogue("en"), "channel: tv"), term_words(catalogue("zh-Hant"), "channel: tv")
    ('channel: tv', '通路：tv')
    """
    variable, colon, category = str(term).partition(": ")
    called = column_of(words, variable)
    return words.headed(called, shown(category)) if colon else called


def point_of(row: Mapping[Any, Any], estimate: str, lower: str = "lower", upper: str = "upper") -> Point:
    """Return the estimate of a row with its limits."""
    return Point(*(float(row[name]) if exists(row[name]) else float("nan") for name in (estimate, lower, upper)))


def noted(words: Catalogue, heading: str, notes: Sequence[str]) -> list[Block]:
    """Return the notes of a result under a heading, a key of the catalogue; nothing where there are none."""
    if not notes:
        return []
    told = tuple(Sentence((Part(shown(words.note(note))),)) for note in notes)
    return [Sentence((Part(words.text(heading), "number"),)), Listing(told)]
