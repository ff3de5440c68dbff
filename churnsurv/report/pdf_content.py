"""A report as the plain data that the template of the PDF reads: finished runs of text, and sizes of what it sets."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from churnsurv.plots.text import ems, shown
from churnsurv.report.catalogue import Catalogue, catalogue
from churnsurv.report.figures import Drawing
from churnsurv.report.model import QUOTES, Block, Figure, Listing, Report, Section, Sentence, Table
from churnsurv.report.section_method import versions

__all__ = ["content_of", "settable"]

#: A chance to break a line that leaves no trace in the text: the template sets it as a box of no width.
BREAK = "\u200b"
_LONG = 24  # characters without any chance to break
_CHUNK = 8
_HEAD = 160.0  # ems of the head of a column, at most
_KEPT = 44  # characters that may be kept on one line, at most
_WIDE = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef"  # every character a chance to break
_WORD = re.compile(rf"[^\s{_WIDE}]{{13,}}")
_SEAMS = re.compile(r"(?<=[_/\\|@&=+;:])(?=\w)|(?<=[.,-])(?=[^\W\d_])")
_TOKENS = re.compile(rf"[^ {BREAK}{_WIDE}]+")
_LIMITS = re.compile(r"(.*?\S) ?([(（][^()（）]*[)）])")
_LANGUAGES = {"en": ("en", "GB"), "zh-Hant": ("zh", "TW")}


def content_of(report: Report, drawn: Mapping[str, Sequence[Drawing]]) -> dict[str, Any]:
    """Return what the template reads.

    Parameters
    ----------
    report : Report
    drawn : mapping
        The drawings of each figure by its name.
    """
    words = catalogue(report.lang)
    lang, region = _LANGUAGES[report.lang]
    ids = {section.id for section in report.sections}
    version = str(versions(report.provenance).get("churnsurv", "")).strip()
    return {
        "lang": lang,
        "region": region,
        "title": settable(report.title),
        "head": shown(report.title, 34),
        "author": f"churnsurv {version}".strip(),
        "about": settable(report.subtitle.quoted(report.lang)),
        "subtitle": _runs(report.subtitle, report.lang),
        "facts": [[settable(label), [settable(line) for line in lines]] for label, lines in _facts(report, words)],
        "words": {
            "contents": words.text("page.contents"),
            "summary": words.text("page.summary"),
            "figure": words.text("pdf.figure"),
            "table": words.text("pdf.table"),
            "page": words.messages["pdf.page"],
            "pages": words.messages["pdf.pages"],
            "continued": words.messages["pdf.continued"],
            "level": words.text("page.level", level=level) if (level := _level(report)) else "",
        },
        "notice": "",
        "tiles": [
            {
                "value": shown(tile.value),
                "range": words.bracketed(shown(tile.range)).strip() if tile.range else "",
                "label": settable(tile.label),
                "link": tile.link if tile.link in ids else "",
            }
            for tile in report.tiles
        ],
        "summary": [
            {"runs": _runs(sentence, report.lang), "link": sentence.link if sentence.link in ids else ""}
            for sentence in report.summary
        ],
        "sections": [_section(section, report.lang, drawn) for section in report.sections],
    }


def _facts(report: Report, words: Catalogue) -> list[tuple[str, list[str]]]:
    """What the title page says of how the report was made."""
    given = report.provenance
    study = given.get("study") or {}
    inputs = {"study.toml": study, **(given.get("inputs") or {})}
    hashes = [
        words.text("pdf.hash", name=str(name), digits=str(facts["sha256"])[:16])
        for name, facts in inputs.items()
        if isinstance(facts, Mapping) and facts.get("sha256")
    ]
    made = " ".join(["churnsurv", str(versions(given).get("churnsurv", ""))]).strip()
    kept = (given.get("report") or {}).get("sections")
    titles = [section.title for section in report.sections]
    facts = [
        (words.text("pdf.sections"), [words.text("pdf.only", names=words.semicolons(titles))] if kept else []),
        (words.text("pdf.study"), [str(study["about"])] if study.get("about") else []),
        (words.text("pdf.data"), hashes),
        (words.text("pdf.seed"), [str(given["seed"])] if given.get("seed") is not None else []),
        (words.text("pdf.made"), [made]),
    ]
    return [(label, lines) for label, lines in facts if lines]


def _level(report: Report) -> str:
    levels = [figure.options["level"] for figure in report.figures if "level" in figure.options]
    return f"{100 * levels[0]:g}%" if levels else ""


def _section(section: Section, lang: str, drawn: Mapping[str, Sequence[Drawing]]) -> dict[str, Any]:
    return {
        "id": section.id,
        "title": settable(section.title),
        "head": shown(section.title, 34),
        "blocks": [_block(block, lang, drawn, f"{section.id}-{n}") for n, block in enumerate(section.blocks)],
    }


def _block(block: Block, lang: str, drawn: Mapping[str, Sequence[Drawing]], key: str) -> dict[str, Any]:
    if isinstance(block, Sentence):
        heads = len(block.parts) == 1 and block.parts[0].role == "number"
        return {"kind": "head" if heads else "sentence", "runs": _runs(block, lang)}
    if isinstance(block, Listing):
        return {"kind": "list", "items": [_runs(sentence, lang) for sentence in block.sentences]}
    if isinstance(block, Table):
        return _table(block, key)
    return _figure(block, drawn[block.name])


def _figure(figure: Figure, made: Sequence[Drawing]) -> dict[str, Any]:
    drawings = [
        {"name": each.name, "alt": settable(each.alt or figure.title, seams=False), "size": _size(each.wide)}
        for each in made
    ]
    title, caption = settable(figure.title), settable(figure.caption)
    return {"kind": "figure", "title": title, "note": caption, "panels": bool(figure.panels), "drawings": drawings}


def _size(document: str) -> list[float]:
    """Width and height of an SVG, in points."""
    found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', document[:400])
    return [float(found[1]), float(found[2])] if found else [640.0, 400.0]


def _table(table: Table, key: str) -> dict[str, Any]:
    columns = []
    for place, name in enumerate(table.columns):
        head = settable(shown(name, _HEAD)) if name.strip() else ""  # it is repeated on every page
        numeric = table.numeric[place]
        cells = [_cell(row[place], numeric) for row in table.rows]
        whole = [" ".join(part for part in cell if part)[:400] for cell in cells]
        pieces = [token for cell in cells for token in _tokens(cell)]
        columns.append(
            {
                "head": head,
                "numeric": numeric,
                "cells": cells,
                # The template measures only what can be the widest.
                "widest": _widest(whole),
                "words": _widest(pieces),
                "head_words": _widest(_TOKENS.findall(head) + _wide_pair(head)),
            }
        )
    title, note = settable(table.title), settable(table.note)
    return {"kind": "table", "key": key, "title": title, "note": note, "columns": columns}


def _cell(text: str, numeric: bool) -> list[str]:
    """A text; a number and its interval apart, so that a narrow column can stack them."""
    found = _LIMITS.fullmatch(text) if numeric and len(text) <= 2 * _KEPT else None
    if found:
        return [settable(found[1]), shown(found[2])]
    whole = settable(text)
    return [f"{whole[0]}\u00a0{whole[2:]}" if numeric and whole[:2] in {"< ", "> "} else whole, ""]


def _tokens(cell: Sequence[str]) -> list[str]:
    """What a cell cannot break."""
    text, limits = cell
    return [*_TOKENS.findall(text), *_wide_pair(text), *([limits] if limits else [])]


def _wide_pair(text: str) -> list[str]:
    """Two ems for text that breaks after every character, since no line begins with a mark of punctuation."""
    wide = re.findall(f"[{_WIDE}]", text)[:1]
    return [2 * each for each in wide]


def _widest(texts: Iterable[str]) -> list[str]:
    return sorted(dict.fromkeys(texts), key=ems, reverse=True)[:3]


def _runs(sentence: Sentence, lang: str) -> list[list[str]]:
    """The parts of a sentence with their roles; a user's own words in quotes."""
    mark = QUOTES[lang]
    runs = []
    for part in sentence.parts:
        text = settable(part.text)
        role = "" if part.role == "keep" and len(text) > _KEPT else part.role
        runs.append([f"{mark[0]}{text}{mark[1]}" if role == "name" else text, role])
    return runs


def settable(text: object, *, seams: bool = True) -> str:
    r"""Return a text that can be set: blanks for white space, no control characters, chances to break long words.

    Text with words that are written from right to left is isolated, so that what follows it stays in its place.

    Examples
    --------
    >>> settable("a\tb\x00"), settable("wealth_supermarket").replace(BREAK, "|")
    ('a b\ufffd', 'wealth_|supermarket')
    """
    clean = "".join(_safe(character) for character in str(text))
    if any(unicodedata.bidirectional(character) in {"R", "AL"} for character in clean):
        clean = f"\u2068{clean}\u2069"
    return _WORD.sub(lambda found: _seamed(found[0]), clean) if seams else clean


def _safe(character: str) -> str:
    return " " if character.isspace() else shown(character)


def _seamed(word: str) -> str:
    """A long word with chances to break: after signs that join words, and anywhere in what is longer still."""
    return BREAK.join(_chunks(piece) for piece in _SEAMS.split(word))


def _chunks(piece: str) -> str:
    if len(piece) <= (_LONG if any(character.isalpha() for character in piece) else _KEPT):
        return piece
    made = ""
    for place, character in enumerate(piece):
        joins = unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Mc", "Cf"}
        made += (BREAK if place and place % _CHUNK == 0 and not joins else "") + character
    return made
