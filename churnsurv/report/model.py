"""A report as plain data: sections of sentences, tables and figures. It knows neither HTML nor any result class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from churnsurv.errors import InputError, did_you_mean
from churnsurv.tables import plain

__all__ = [
    "QUOTES",
    "Block",
    "Figure",
    "Listing",
    "Part",
    "Report",
    "Section",
    "Sentence",
    "Table",
    "Tile",
    "chosen_sections",
    "require_sound",
]


#: What stands around a user's own word, by language.
QUOTES: Mapping[str, str] = MappingProxyType({"en": "“”", "zh-Hant": "「」"})


@dataclass(frozen=True, slots=True)
class Part:
    """A run of text.

    `role` is "name" for a user's own word, "number" for a figure that the sentence is about, "keep" for what must not
    be broken over two lines, else empty.
    """

    text: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words in runs; `link` is the id of the section that shows where they come from."""

    parts: tuple[Part, ...]
    link: str | None = None

    @property
    def text(self) -> str:
        """The sentence as plain text; a user's words stand in English quotes."""
        return self.quoted("en")

    def quoted(self, lang: str) -> str:
        """The sentence as plain text; a user's words stand in the quotes of the language.

        Examples
        --------
        >>> Sentence((Part("by "), Part("channel", "name"))).quoted("zh-Hant")
        'by 「channel」'
        """
        mark = QUOTES[lang]
        return "".join(f"{mark[0]}{part.text}{mark[1]}" if part.role == "name" else part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences as a list."""

    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of finished texts.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : tuple of tuple of str
        As many texts as columns. The first names the row.
    numeric : tuple of bool
        Columns that are set flush right.
    note : str
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: what to draw, from which table, and what it says to those who cannot see it.

    Attributes
    ----------
    name : str
        Letters, digits and "_"; names the data file.
    kind : {"survival_curves", "forest", "rule_sweep", "churn_structure", "lifecycle", "churn_profile",
            "cohort_bursts", "channel_value", "reason_shares", "stacked_incidence", "experience", "churn_monitor",
            "shock_effect", "idle_risk", "tier_bands", "value_by_day", "risk_surface",
            "tier_timeline", "backtest", "backtest_gains", "return_curves", "lift_over_time", "lift_forest",
            "lift_groups", "lift_monitor"}
    title, caption, alt : str
    data : mapping
        The table, column by column: plain values.
    options : mapping
        Keywords of the plot; with `panels`, the drawings that it falls into, each with its `quantity` and `alt`.
    """

    name: str
    kind: str
    title: str
    caption: str
    alt: str
    data: Mapping[str, list[Any]]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def panels(self) -> list[Mapping[str, Any]]:
        """The small drawings that the figure falls into; none where it is one."""
        return list(self.options.get("panels", ()))

    @property
    def data_file(self) -> str:
        """Path of the data beside the page."""
        return f"figures/{self.name}.csv"


Block: TypeAlias = Sentence | Listing | Table | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and what stands under it."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One large number of the summary, its interval and what it is."""

    value: str
    range: str
    label: str
    link: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report says. Made by `build`.

    Attributes
    ----------
    title, lang : str
    subtitle : Sentence
    tiles : tuple of Tile
    summary : tuple of Sentence
    sections : tuple of Section
    results : mapping
        Each result as plain data, whole.
    config, provenance : mapping
    """

    title: str
    lang: str
    subtitle: Sentence
    tiles: tuple[Tile, ...]
    summary: tuple[Sentence, ...]
    sections: tuple[Section, ...]
    results: Mapping[str, Any]
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure, in order."""
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, Figure))

    def only(self, sections: Iterable[str]) -> Report:
        """Return the report with some of its sections: those, and the tiles and sentences of the summary on them.

        `results`, `config` and `provenance` stay whole: they tell what the report was made from. The ids of the
        sections that are kept stand in ``provenance["report"]["sections"]``.

        Parameters
        ----------
        sections : iterable of str, or str
            Ids, or what an id begins with: "why" takes "why-reasons", "why-monitor" and the like. What is the whole id
            of a section takes that one alone.

        Raises
        ------
        InputError
            If there are none, or a text is the beginning of no section: the ids that there are.

        Examples
        --------
        >>> from churnsurv.report import build
        >>> [section.id for section in build(title="Churn").only(["meth"]).sections]
        ['method']
        """
        kept = chosen_sections(sections, [section.id for section in self.sections])
        made = {**(self.provenance.get("report") or {}), "sections": kept}
        return replace(
            self,
            tiles=tuple(tile for tile in self.tiles if tile.link in kept),
            summary=tuple(sentence for sentence in self.summary if sentence.link in kept),
            sections=tuple(section for section in self.sections if section.id in kept),
            provenance={**self.provenance, "report": made},
        )

    def to_plain(self) -> dict[str, Any]:
        """The report as JSON can hold it, whole: `from_plain` makes the same report of it."""
        return {
            "kind": "Report",
            "version": 2,
            "title": self.title,
            "lang": self.lang,
            "subtitle": _plain_sentence(self.subtitle, self.lang),
            "tiles": [{"value": t.value, "range": t.range, "label": t.label, "link": t.link} for t in self.tiles],
            "summary": [_plain_sentence(sentence, self.lang) for sentence in self.summary],
            "sections": [
                {
                    "id": section.id,
                    "title": section.title,
                    "blocks": [_plain_block(b, self.lang) for b in section.blocks],
                }
                for section in self.sections
            ],
            "results": plain(self.results),
            "config": plain(self.config),
            "provenance": plain(self.provenance),
        }

    @classmethod
    def from_plain(cls, given: Mapping[str, Any]) -> Report:
        """Return the report that `to_plain` wrote.

        Raises
        ------
        InputError
            If it is no report of this version.
        """
        if not isinstance(given, Mapping) or given.get("kind") != "Report" or given.get("version") != 2:
            kind, version = (given.get(key) if isinstance(given, Mapping) else None for key in ("kind", "version"))
            raise InputError(
                f"This is no report of this version of churnsurv: kind {kind!r}, version {version!r}. Make the report "
                "again."
            )
        try:
            return cls._read(given)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            said = f"{type(fault).__name__}: {fault}"
            raise InputError(f"This report is not as it was written ({said}). Make the report again.") from fault

    @classmethod
    def _read(cls, given: Mapping[str, Any]) -> Report:
        """What `to_plain` wrote, taken at its word."""
        return cls(
            title=given["title"],
            lang=given["lang"],
            subtitle=_sentence(given["subtitle"]),
            tiles=tuple(Tile(**tile) for tile in given["tiles"]),
            summary=tuple(_sentence(each) for each in given["summary"]),
            sections=tuple(
                Section(each["id"], each["title"], tuple(_block(block) for block in each["blocks"]))
                for each in given["sections"]
            ),
            results=given["results"],
            config=given["config"],
            provenance=given["provenance"],
        )

    def to_json(self) -> str:
        """`to_plain` as text: one line for each piece, so that two reports can be compared."""
        return _lines(self.to_plain())

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return the report that `to_json` wrote.

        Raises
        ------
        InputError
            If the text is not JSON, or no report of this version.
        """
        try:
            given = json.loads(text)
        except ValueError as fault:
            raise InputError(f"This is no report: the text is not JSON ({fault}).") from fault
        return cls.from_plain(given)

    def __repr__(self) -> str:
        return f"<Report: {self.title}; {len(self.sections)} sections, {len(self.figures)} figures>"


def chosen_sections(asked: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Return which sections are asked for, in the order of the report: by whole id, else by the beginning of ids.

    Parameters
    ----------
    asked : iterable of str, or str
    ids : iterable of str
        The sections that there are.

    Raises
    ------
    InputError
        If none is asked for, or one that there is not.

    Examples
    --------
    >>> ids = ["rule", "rules", "why-reasons", "why-shocks"]
    >>> chosen_sections("rule", ids), chosen_sections(["why"], ids)
    (['rule'], ['why-reasons', 'why-shocks'])
    """
    there = list(ids)
    every = f"Sections: {', '.join(there)}."
    texts = [asked] if isinstance(asked, str) else list(asked) if isinstance(asked, Iterable) else [asked]
    if not texts:
        raise InputError(f"sections is empty. {every}")
    kept: set[str] = set()
    for each in texts:
        if not isinstance(each, str):
            raise InputError(f"A section is named by a text, not by {each!r}. {every}")
        found = {each} & {*there} or {name for name in there if each and name.startswith(each)}
        if not found:
            raise InputError(f"The report has no section {each!r}.{did_you_mean(each, there)} {every}")
        kept |= found
    return [name for name in there if name in kept]


def require_sound(report: Report) -> None:
    """Refuse a report, such as one made by hand, whose parts could not be told apart or set.

    Raises
    ------
    InputError
        If two sections have one id or two figures one name, the name of a figure could not be that of a file, or a
        table has no columns or rows that are not as long as they are many.
    """
    _require_single("sections", "id", [section.id for section in report.sections])
    names = [figure.name for figure in report.figures]
    _require_single("figures", "name", names)
    for name in names:
        if not re.fullmatch("[A-Za-z0-9_]+", name):
            raise InputError(f"The figure {name!r} names a file: its name must be letters, digits and _ alone.")
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Table):
                _require_square(block, section.id)


def _require_single(what: str, key: str, names: list[str]) -> None:
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise InputError(f"Two {what} of the report have the {key} {twice[0]!r}. Give each its own.")


def _require_square(table: Table, section: str) -> None:
    where, n = f"The table {table.title!r} in section {section!r}", len(table.columns)
    if not n:
        raise InputError(f"{where} has no columns.")
    if len(table.numeric) != n:
        raise InputError(f"{where} has {n} columns, but says of {len(table.numeric)} whether they are numeric.")
    for place, row in enumerate(table.rows):
        if len(row) != n:
            raise InputError(f"{where} has {n} columns, but its row {place} has {len(row)} texts.")


def _plain_sentence(sentence: Sentence, lang: str) -> dict[str, Any]:
    """The parts, and for those who only read, the whole as text."""
    parts = [[part.text, part.role] if part.role else part.text for part in sentence.parts]
    return {"text": sentence.quoted(lang), "parts": parts, "link": sentence.link}


def _sentence(given: Mapping[str, Any]) -> Sentence:
    parts = (Part(each) if isinstance(each, str) else Part(*each) for each in given["parts"])
    return Sentence(tuple(parts), given["link"])


def _plain_block(block: Block, lang: str) -> dict[str, Any]:
    if isinstance(block, Sentence):
        return {"kind": "sentence", **_plain_sentence(block, lang)}
    if isinstance(block, Listing):
        return {"kind": "list", "items": [_plain_sentence(sentence, lang) for sentence in block.sentences]}
    if isinstance(block, Table):
        return {
            "kind": "table",
            "title": block.title,
            "columns": list(block.columns),
            "rows": [list(row) for row in block.rows],
            "numeric": list(block.numeric),
            "note": block.note,
        }
    return {
        "kind": "figure",
        "name": block.name,
        "plot": block.kind,
        "title": block.title,
        "caption": block.caption,
        "alt": block.alt,
        "file": block.data_file,
        "data": plain(block.data),
        "options": plain(block.options),
    }


def _block(given: Mapping[str, Any]) -> Block:
    kind = given["kind"]
    if kind == "sentence":
        return _sentence(given)
    if kind == "list":
        return Listing(tuple(_sentence(each) for each in given["items"]))
    if kind == "table":
        rows = tuple(tuple(row) for row in given["rows"])
        return Table(given["title"], tuple(given["columns"]), rows, tuple(given["numeric"]), given["note"])
    if kind != "figure":
        raise ValueError(f"there is no block of the kind {kind!r}")
    said = (given[key] for key in ("name", "plot", "title", "caption", "alt", "data", "options"))
    return Figure(*said)


def _lines(value: Any, room: str = "") -> str:
    """JSON that breaks into lines down to the pieces whose values are short or plain lists."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    nested = isinstance(value, (dict, list)) and any(
        isinstance(each, (dict, list)) for each in (value.values() if isinstance(value, dict) else value)
    )
    if len(flat) + len(room) <= 120 or not nested:
        return flat
    inner = room + " "
    if isinstance(value, dict):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_lines(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(inner + item for item in items) + "\n" + room + "}"
    return "[\n" + ",\n".join(inner + _lines(each, inner) for each in value) + "\n" + room + "]"
