"""A `Report` as one HTML page that needs nothing else: style and figures inside, no script, no network."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from churnsurv.plots.colours import DARK
from churnsurv.report.catalogue import catalogue
from churnsurv.report.figures import Drawing, drawings, inline
from churnsurv.report.model import Figure, Listing, Report, Sentence, Table
from churnsurv.report.section_method import versions

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render_html"]


def render_html(report: Report, drawn: Mapping[str, Sequence[Drawing]] | None = None) -> str:
    """Return the page.

    Every text is escaped by the template, and every figure is SVG whose text was escaped when it was drawn; the page
    forbids scripts and connections by its own policy.

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
    >>> "<script" in page, "&lt;script&gt;" in page
    (False, True)
    """
    from markupsafe import Markup

    words = catalogue(report.lang)
    template = _environment().get_template("report.html.j2")

    def marked(figure: Figure) -> list[tuple[Markup, Markup | None]]:
        made = drawings(figure) if drawn is None else drawn[figure.name]
        # The SVG is our own: its texts were escaped by the XML writer.
        pairs = [inline(drawing) for drawing in made]
        return [(Markup(wide), None if narrow is None else Markup(narrow)) for wide, narrow in pairs]  # noqa: S704

    return template.render(
        report=report,
        words=words,
        level=_level(report),
        version=str(versions(report.provenance).get("churnsurv", "")),
        style=Markup(_style()),  # noqa: S704  # a file of this package
        drawn=marked,
        kind=_kind,
        cell_of=_cell,
    )


def _kind(block: object) -> str:
    names = {Sentence: "sentence", Listing: "listing", Table: "table", Figure: "figure"}
    return names[type(block)]


def _cell(text: str) -> tuple[str, str]:
    """A number and its interval, "41.2%" and "(40.1–42.3%)", so that a narrow column can stack them."""
    value, bracket, limits = text.partition(" (")
    return (value, f"({limits}") if bracket and limits.endswith(")") else (text, "")


def _level(report: Report) -> str:
    """The confidence level of the summary, from the first figure that has one."""
    levels = [figure.options["level"] for figure in report.figures if "level" in figure.options]
    return f"{100 * levels[0]:g}%" if levels else ""


@cache
def _style() -> str:
    text = resources.files("churnsurv.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    dark = "".join(f"--fig-{light[1:]}:{hexes};" for light, hexes in DARK.items())
    return text.replace("/* figure colours on dark paper */", dark)


def _clean(value: object) -> object:
    """Text without characters that a page can't hold; markup of our own passes."""
    from markupsafe import Markup

    if type(value) is Markup or not isinstance(value, str):
        return value
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs", "Cn"} else "\ufffd" for c in value)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load(name: str) -> str:
        return resources.files("churnsurv.report").joinpath("templates", name).read_text(encoding="utf-8")

    return Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        finalize=_clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
