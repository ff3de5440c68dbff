"""Links from the pages to files of the repository, as pages of the site: code with line numbers, folders as lists.

On the host of the repository `../churnsurv/numerics/cox.py` is a link to the file. On the site it leads to
`source/churnsurv/numerics/cox.py.html`, so that the site needs no host beside it.
"""

from __future__ import annotations

import html
import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from articles import article
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
LANGUAGE = {".py": "python", ".R": "r", ".toml": "toml", ".sh": "bash", ".md": "markdown"}

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} - churnsurv</title>
<link rel="stylesheet" href="{up}_static/pygments.css"><link rel="stylesheet" href="{up}_static/source.css">
</head>
<body><nav><a href="{up}index.html">churnsurv</a></nav><main>
{body}
</main></body>
</html>
"""


def _inside(docname: str, target: str, srcdir: str) -> str | None:
    """Path in the repository of what `target` names on the page `docname`; None: outside of it, or not there."""
    path = posixpath.normpath(
        posixpath.join(Path(srcdir).relative_to(ROOT).as_posix(), posixpath.dirname(docname), target)
    )
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def _language(path: Path) -> str:
    return LANGUAGE.get(path.suffix, "bash" if path.parent.name == ".ci" else "text")


class LinkSources(SphinxTransform):
    """Let links to files that are no pages of the site lead to pages that show them."""

    default_priority = 5  # before files behind links are gathered as downloads

    def apply(self, **_: Any) -> None:
        """Replace the links of one page."""
        shown: set[str] = set()
        for node in list(self.document.findall(addnodes.download_reference)):
            self._replace(node, shown)
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("reftype") == "myst" and node["reftarget"].startswith(".."):
                self._replace(node, shown)
        self.env.sources_shown[self.env.docname] = shown

    def _replace(self, node: nodes.Element, shown: set[str]) -> None:
        page = self.env.docname
        path = _inside(page, node["reftarget"].partition("#")[0], self.env.srcdir)
        if path is not None:
            shown.add(path)
            uri = f"{'../' * page.count('/')}source/{path}.html"
            node.replace_self(nodes.reference("", "", *node.children, internal=True, refuri=uri))


def _listed(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if not each.name.startswith((".", "__pycache__")))


def _shown(path: Path) -> bool:
    """Whether a file of a folder has a page: code has, data are named only."""
    return path.is_dir() or path.suffix in LANGUAGE


def _folder(path: Path) -> str:
    rows = []
    for each in _listed(path):
        name = html.escape(each.name) + ("/" if each.is_dir() else "")
        href = html.escape(f"{path.name}/{each.name}.html")
        rows.append(f'<li><a href="{href}">{name}</a></li>' if _shown(each) else f"<li>{name}</li>")
    return f"<ul>{''.join(rows)}</ul>"


def _body(app: Sphinx, path: Path, name: str) -> str:
    title = f"<h1>{html.escape(name)}</h1>"
    if path.is_dir():
        return title + _folder(path)
    text = path.read_text(encoding="utf-8")
    return title + app.builder.highlighter.highlight_block(text, _language(path), linenos="inline")


def _wanted(app: Sphinx) -> list[str]:
    """What pages link to, and what stands in the folders among them."""
    waiting = sorted(set().union(*app.env.sources_shown.values()))
    done: dict[str, None] = {}
    while waiting:
        name = waiting.pop()
        if name not in done:
            done[name] = None
            if (ROOT / name).is_dir():
                waiting += [each.relative_to(ROOT).as_posix() for each in _listed(ROOT / name) if _shown(each)]
    return list(done)


def articles(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Offer the notebooks among the linked files as pages like all others."""
    if app.builder.format == "html":
        for name in _wanted(app):
            if name.endswith(".ipynb"):
                title, body = article(app.builder.highlighter, ROOT / name)
                yield f"source/{name}", {"title": title, "body": body, "parents": []}, "page.html"


def write(app: Sphinx, problem: Exception | None) -> None:
    """Write the other linked files as plain pages: the theme's navigation would slow the build."""
    if problem is not None or app.builder.format != "html":
        return
    for name in _wanted(app):
        if not name.endswith(".ipynb"):
            page = Path(app.outdir) / "source" / f"{name}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            up = "../" * (name.count("/") + 1)
            filled = PAGE.format(name=html.escape(name), up=up, body=_body(app, ROOT / name, name))
            page.write_text(filled, encoding="utf-8")


def _prepare(app: Sphinx, *_: Any) -> None:
    if not hasattr(app.env, "sources_shown"):
        app.env.sources_shown = {}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the links and the pages; called by Sphinx."""
    app.connect("builder-inited", _prepare)
    app.connect("html-collect-pages", articles)
    app.connect("build-finished", write)
    app.add_transform(LinkSources)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": False}
