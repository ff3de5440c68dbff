"""A report as plain data: sections of sentences, tables and figures. It knows neither HTML nor any result class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from churnsurv.tables import plain

__all__ = ["Block", "Figure", "Listing", "Part", "Report", "Section", "Sentence", "Table", "Tile"]


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
        """The sentence as plain text; a user's words stand in quotes."""
        return "".join(f"“{part.text}”" if part.role == "name" else part.text for part in self.parts)


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

    def to_plain(self) -> dict[str, Any]:
        """The report as JSON can hold it. Data of figures stand in their files and in `results`."""
        return {
            "kind": "Report",
            "version": 1,
            "title": self.title,
            "lang": self.lang,
            "subtitle": self.subtitle.text,
            "tiles": [{"value": t.value, "range": t.range, "label": t.label, "section": t.link} for t in self.tiles],
            "summary": [{"text": sentence.text, "section": sentence.link} for sentence in self.summary],
            "sections": [
                {"id": section.id, "title": section.title, "blocks": [_plain_block(b) for b in section.blocks]}
                for section in self.sections
            ],
            "results": plain(self.results),
            "config": plain(self.config),
            "provenance": plain(self.provenance),
        }

    def to_json(self) -> str:
        """`to_plain` as text."""
        return json.dumps(self.to_plain(), ensure_ascii=False, allow_nan=False, indent=1)

    def __repr__(self) -> str:
        return f"<Report: {self.title}; {len(self.sections)} sections, {len(self.figures)} figures>"


def _plain_block(block: Block) -> dict[str, Any]:
    if isinstance(block, Sentence):
        return {"kind": "sentence", "text": block.text}
    if isinstance(block, Listing):
        return {"kind": "list", "items": [sentence.text for sentence in block.sentences]}
    if isinstance(block, Table):
        return {
            "kind": "table",
            "title": block.title,
            "columns": list(block.columns),
            "rows": [list(row) for row in block.rows],
            "note": block.note,
        }
    return {
        "kind": "figure",
        "plot": block.kind,
        "title": block.title,
        "caption": block.caption,
        "alt": block.alt,
        "data": block.data_file,
        "options": plain(block.options),
    }
