"""A notebook as the body of a page: its text, its code, and what the code printed and drew."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from mathml import mathml
from mdit_py_plugins.dollarmath import dollarmath_plugin


@cache
def _markdown() -> MarkdownIt:
    def formula(tex: str, options: dict[str, Any]) -> str:
        return mathml(tex, as_block=bool(options["display_mode"]))

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return reader.use(dollarmath_plugin, renderer=formula, double_inline=True)


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _shown(output: dict[str, Any]) -> str:
    """One output, in the best of its forms; what a program wrote as a page is taken as a page."""
    if output["output_type"] == "stream":
        return f'<pre class="printed">{html.escape(_joined(output["text"]))}</pre>'
    data = output.get("data", {})
    if "image/svg+xml" in data:
        drawing = _joined(data["image/svg+xml"])
        return f'<div class="drawn">{drawing[drawing.index("<svg") :]}</div>'
    if "image/png" in data:
        picture = "".join(_joined(data["image/png"]).split())
        said = html.escape(_joined(data.get("text/plain", "figure")))
        return f'<div class="drawn"><img alt="{said}" src="data:image/png;base64,{picture}"></div>'
    if "text/html" in data:
        return f'<div class="drawn">{_joined(data["text/html"])}</div>'
    return f'<pre class="printed">{html.escape(_joined(data.get("text/plain", "")))}</pre>'


def article(highlighter: Any, path: Path) -> tuple[str, str]:
    """Return the title of a notebook, and its body.

    Parameters
    ----------
    highlighter : sphinx.highlighting.PygmentsBridge
    path : Path
        An executed notebook.
    """
    body, title = [], path.stem
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            found = re.match(r"# (.+)", source)
            title = found[1] if found and title == path.stem else title
            body.append(_links(_markdown().render(source)))
        elif cell["cell_type"] == "code" and source.strip():
            body.append(highlighter.highlight_block(source, "python"))
            body += [_shown(output) for output in cell.get("outputs", ())]
    return title, f'<div class="article">{"".join(body)}</div>'


def _links(body: str) -> str:
    """Links of a notebook to files beside it and above it, as links between pages of the site."""

    def instead(found: re.Match[str]) -> str:
        target = found[1]
        if re.match(r"\w+:|#", target):
            return found[0]
        path, hash_, anchor = target.partition("#")
        if path.startswith("../docs/") and path.endswith(".md"):
            path = f"../../{path.removeprefix('../docs/').removesuffix('.md')}"
        return f'href="{path}.html{hash_}{anchor}"'

    return re.sub(r'href="([^"]+)"', instead, body)
