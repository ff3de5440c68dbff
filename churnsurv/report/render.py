"""A `Report` as one HTML page that needs nothing else: style, script, figures and their data inside, no network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from churnsurv.plots.colours import DARK
from churnsurv.plots.marks import Marks
from churnsurv.report.catalogue import Catalogue, catalogue
from churnsurv.report.figures import Drawing, drawings, figure_csv, inline
from churnsurv.report.model import Block, Figure, Listing, Report, Sentence, Table
from churnsurv.report.section_method import versions
from churnsurv.report.sorting import sort_keys

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["render_html"]

_LEAST_SORTED = 3  # rows
_ESTIMATE = re.compile(r"(.+?)\s?([(（].*[)）])", re.DOTALL)


def render_html(report: Report, drawn: Mapping[str, Sequence[Drawing]] | None = None) -> str:
    """Return the page.

    Every text is escaped by the template, every figure is SVG whose text was escaped when it was drawn, and the data
    and marks of a figure are packed, so that no text of a user is ever markup. The page's own policy forbids
    connections, and all scripts but the one whose hash it names. Without a script everything can be read all the same.

    Parameters
    ----------
    report : Report
    drawn : mapping, optional
        The drawings of each figure by its name, where they are made already.

    Returns
    -------
    str
        A complete HTML document; the same report gives the same text.

    Examples
    --------
    >>> from churnsurv.report import build
    >>> page = render_html(build(title="<script>alert(1)</script>"))
    >>> "<script>alert" in page, "&lt;script&gt;alert" in page
    (False, True)
    """
    from markupsafe import Markup

    words = catalogue(report.lang)
    script, numbers = _file("report.js"), _numbers(report)

    def shown(figure: Figure) -> Shown:
        return _shown(figure, drawings(figure) if drawn is None else drawn[figure.name])

    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            words=words,
            level=_level(report),
            version=str(versions(report.provenance).get("churnsurv", "")),
            style=Markup(_style() + _file("report.css")),  # noqa: S704  # files of this package
            script=Markup(script),  # noqa: S704  # a file of this package
            policy=_policy(script),
            number=lambda block: numbers[id(block)],
            titles={section.id: section.title for section in report.sections},
            shown=shown,
            sorted_cells=lambda table: list(_sorted_cells(table, words)),
            kind=_kind,
            cell_of=_cell,
            order_of=_order,
        )
    )


def _kind(block: Block) -> str:
    if isinstance(block, Sentence):  # words that stand alone and strong head what follows
        return "heading" if [part.role for part in block.parts] == ["number"] else "sentence"
    names = {Listing: "listing", Table: "table", Figure: "figure"}
    return names[type(block)]


def _policy(script: str) -> str:
    """What the page may do: this one script, its own styles, pictures that are inside of it. Nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _numbers(report: Report) -> dict[int, int]:
    """The number of each figure and of each table, by what they are (`id`), in order."""
    blocks = [block for section in report.sections for block in section.blocks]
    found: dict[int, int] = {}
    for kind in (Figure, Table):
        found |= {id(block): n for n, block in enumerate((b for b in blocks if isinstance(b, kind)), 1)}
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as the page holds it: SVG for a desk and for a phone, whether they say values, and the packed data."""

    drawings: tuple[tuple[Markup, Markup | None, bool], ...]
    packed: Markup


def _shown(figure: Figure, made: Sequence[Drawing]) -> Shown:
    from markupsafe import Markup

    # The SVG is our own: its texts were escaped by the XML writer. The data are base64.
    pages = []
    for drawing in made:
        wide, narrow = inline(drawing)
        pages.append((Markup(wide), None if narrow is None else Markup(narrow), bool(drawing.marks_wide)))  # noqa: S704
    return Shown(tuple(pages), Markup(_packed(figure, made)))  # noqa: S704


def _packed(figure: Figure, made: Sequence[Drawing]) -> str:
    """The data file of a figure and the marks of its drawings, as gzipped JSON in base64."""
    data = {"csv": figure_csv(figure), "marks": [[_marks(d.marks_wide), _marks(d.marks_narrow)] for d in made]}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode("utf-8", errors="replace"), 9, mtime=0)).decode()


def _marks(marks: Sequence[Marks]) -> list[tuple[str, tuple[tuple[float, float, str], ...]]]:
    return [(each.name, each.points) for each in marks]


def _sorted_cells(table: Table, words: Catalogue) -> Iterator[list[float | None] | None]:
    """For each column the numbers by which a page sorts its cells, or None where it sorts the texts."""
    for place, numeric in enumerate(table.numeric):
        sortable = len(table.rows) >= _LEAST_SORTED
        texts = [row[place] for row in table.rows]
        yield sort_keys(texts, words.messages, numeric=numeric) if sortable else None


def _order(key: float) -> str:
    """A sort key as the script reads it, which knows no "inf"."""
    return f"{key:.12g}" if math.isfinite(key) else "Infinity" if key > 0 else "-Infinity"


def _cell(text: str) -> tuple[str, str]:
    """A number and its interval, "41.2%" and "(40.1–42.3%)", so that a narrow column can stack them."""
    found = _ESTIMATE.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def _level(report: Report) -> str:
    """The confidence level of the summary, from the first figure that has one."""
    levels = [figure.options["level"] for figure in report.figures if "level" in figure.options]
    return f"{100 * levels[0]:g}%" if levels else ""


@cache
def _file(name: str) -> str:
    return resources.files("churnsurv.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    dark = "".join(f"--fig-{light[1:]}:{hexes};" for light, hexes in DARK.items())
    return _file("style.css").replace("/* figure colours on dark paper */", dark)


def _clean(value: object) -> object:
    """Text without characters that a page can't hold; markup of our own passes."""
    from markupsafe import Markup

    if type(value) is Markup or not isinstance(value, str):
        return value
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Cn"} else "\ufffd" for c in value)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_file),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
