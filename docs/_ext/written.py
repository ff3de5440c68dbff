"""Pages written from the code itself before the site is read: layouts of tables, the command line, the study file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from churnsurv.cli import app as command_line
from churnsurv.study import config
from churnsurv.tables import SCHEMAS

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|").replace("<", r"\<").replace("$", r"\$")


def schemas() -> str:
    """Write the layouts of all public tables."""
    lines = []
    for name in sorted(SCHEMAS):
        layout = SCHEMAS[name]
        more = ", then any columns of your own" if layout.open else ""
        lines += [
            f"## {name}",
            "",
            f"Version {layout.version}{more}.",
            "",
            "| column | kind | meaning |",
            "|---|---|---|",
        ]
        lines += [f"| `{each.name}` | {each.kind} | {_cell(each.meaning)} |" for each in layout.columns]
        lines += [""]
    return "\n".join(lines)


def _parameters(command: Any, context: typer.Context) -> Iterator[str]:
    for each in command.params:
        row = each.get_help_record(context)
        if row is None:
            continue
        name, said = row
        yield f"| `{' '.join(name.split())}` | {_cell(said)} |"


def commands() -> str:
    """Write what each command takes, from the command line itself."""
    group = typer.main.get_command(command_line)
    lines = []
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=f"churnsurv {name}", parent=None)
        usage = re.sub(r"[{}]", "", " ".join(["churnsurv", name, *command.collect_usage_pieces(context)]))
        lines += [f"## {name}", "", "```text", usage, "```", "", command.help or "", ""]
        lines += ["| argument | meaning |", "|---|---|", *_parameters(command, context), ""]
    return "\n".join(lines)


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(exist_ok=True)
    # the docstring of the study file is Markdown as it stands: its first line is the heading of the page
    study_file = inspect.cleandoc(config.__doc__ or "").partition("\n")[2].strip() + "\n"
    for name, text in {"schemas.txt": schemas(), "commands.txt": commands(), "study_file.txt": study_file}.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages when a build begins; called by Sphinx."""
    app.connect("builder-inited", _write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
