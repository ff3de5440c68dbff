"""Formulas as MathML: browsers draw them without a script, a font or a network, and screen readers read them.

docutils translates LaTeX; what it lacks of our formulas is rewritten first. A formula that it cannot translate is a
warning, which fails the build.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

_REWRITTEN = (
    (re.compile(r"\\dots(?![A-Za-z])"), r"\\ldots"),
    (re.compile(r"\\iff(?![A-Za-z])"), r"\\Leftrightarrow"),
    (re.compile(r"\\big(?=[(\[{|]|\\\{)"), r"\\bigl"),
    (re.compile(r"\\big(?=[)\]}|]|\\\})"), r"\\bigr"),
    (re.compile(r"\\Big(?=[(\[{|]|\\\{)"), r"\\Bigl"),
    (re.compile(r"\\Big(?=[)\]}|]|\\\})"), r"\\Bigr"),
    (re.compile(r"\\([td]?frac)(\d)(\d)"), r"\\\1{\2}{\3}"),
    # an accent keeps its index beside it, and a function stands apart from its argument
    (re.compile(r"(\\hat *(?:\\[A-Za-z]+|[A-Za-z]))(?=_)"), r"{\1{}}"),
    (
        re.compile(r"(\\(?:log|exp|arcsin|min|max|sup)|\\operatorname\{\w+\}\}?)(?= *(?:\\[a-zA-Z]|[A-Za-z0-9]))"),
        r"\1\\,",
    ),
    (re.compile(r"'(?!['^])"), r"^{\\prime}"),
    (re.compile(r"([({\[])\\textstyle\\sum"), r"\1{\\textstyle\\sum}"),
)

_WRITTEN = (
    (re.compile(r"<mo>([{}])</mo>"), r'<mo stretchy="false">\1</mo>'),  # no formula of ours has growing braces
    (re.compile(r"<mo>=</mo>\s*<mo>\u2236</mo>"), "<mo>\u2255</mo>"),
)


def mathml(tex: str, *, as_block: bool) -> str:
    """Translate a formula of LaTeX.

    Raises
    ------
    MathError
        If it uses what docutils does not know.
    """
    for pattern, instead in _REWRITTEN:
        tex = pattern.sub(instead, tex)
    written = str(tex2mathml(tex, as_block=as_block))
    for pattern, instead in _WRITTEN:
        written = pattern.sub(instead, written)
    return written


def _translated(translator: HTML5Translator, node: nodes.Node, *, as_block: bool) -> str:
    try:
        return mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", node.astext(), error, location=node)
        return f"<code>{translator.encode(node.astext())}</code>"


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_translated(translator, node, as_block=False))
    raise nodes.SkipNode


def _display(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{_translated(translator, node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the way formulas are written into pages; called by Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
