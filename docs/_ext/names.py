"""`name` in a docstring: code, and a link where it is a public name."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxRole

import churnsurv
from churnsurv.tables import Result

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOMS = (
    "data",
    "survival",
    "diagnosis",
    "warning",
    "recall",
    "action",
    "simulation",
    "study",
    "report",
    "errors",
    "tables",
)

MADE = {  # public classes that no room offers by name, since only its functions make them
    "Gaps": "churnsurv.data.gaps",
    "History": "churnsurv.data.history",
    "IncidenceMatrix": "churnsurv.survival.fine_gray_fit",
    "Lifecycle": "churnsurv.data.lifecycle",
    "Panel": "churnsurv.data.panel",
    "Prediction": "churnsurv.survival.prediction",
    "Relation": "churnsurv.data.relation",
    "Snapshot": "churnsurv.data.panel",
    "SurvivalMatrix": "churnsurv.survival.prediction",
    "UnreadableDataError": "churnsurv.data.engine",
}
VALUES = {"CAMPAIGNS", "LANGUAGES", "PROBLEMS", "SCHEMAS"}  # described in words, without an entry to link to


@cache
def homes() -> dict[str, str]:
    """The path under which each public name stands in the reference."""
    found = {name: f"{path}.{name}" for name, path in MADE.items()}
    for room in ROOMS:
        path = f"churnsurv.{room}"
        found |= {name: f"{path}.{name}" for name in import_module(path).__all__}
    found |= {name: f"churnsurv.{name}" for name in churnsurv.__all__}
    return {name: path for name, path in found.items() if name not in VALUES}


class Name(SphinxRole):
    """The default role of docstrings."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return code, or a link to the public name, or to what is behind its dot."""
        name, _, rest = self.text.removeprefix("churnsurv.").partition(".")
        if not name.isidentifier() or name not in homes():
            return [nodes.literal(self.rawtext, self.text, classes=["code"])], []
        target = homes()[name] + (f".{rest}" if rest else "")
        literal = nodes.literal(self.rawtext, self.text, classes=["code", "xref"])
        link = pending_xref(
            "", literal, refdomain="py", reftype="obj", reftarget=target, refexplicit=True, refwarn=False
        )
        link["refdoc"] = self.env.docname
        return [link], []


class LinkTypes(SphinxTransform):
    """Types of parameters: public names are links, other words are words and not looked up."""

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Look at the types of one page."""
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") == "py" and node.get("reftype") in ("class", "exc"):
                name = node["reftarget"].removeprefix("churnsurv.")
                if name in homes():
                    node["reftarget"], node["refspecific"] = homes()[name], False
                else:
                    node.replace_self(node.children)


def _signature(
    _app: Sphinx, what: str, _name: str, documented: object, _options: object, signature: str | None, back: str | None
) -> tuple[str | None, str | None]:
    """Results are made by functions: how their classes are called is nobody's business."""
    private = re.search(r"[(,]\s*_\w", signature or "") is not None
    made = what == "class" and isinstance(documented, type) and (private or issubclass(documented, Result))
    return ("", None) if made else (signature, back)


def _attributes(_app: Sphinx, what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Keep napoleon from taking words for types: of attributes that share a description, of what a property says."""
    if what in ("property", "attribute"):
        lines[:0] = ["..", ""]  # it reads "<type>: <what it is>" in a first line; this one is an empty comment
    for at, line in enumerate(lines):
        if re.fullmatch(r"\w+(, \w+)+( : .*)?", line):
            names, sign, kind = line.partition(" : ")
            lines[at] = names.replace(", ", ",") + sign + kind


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role; called by Sphinx."""
    app.add_role("name", Name())
    app.add_transform(LinkTypes)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _attributes, priority=1)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
