"""Who may import whom, read from the source itself; the table stands in docs/architecture.md."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "churnsurv"

ROOMS: dict[str, set[str]] = {
    "doors": set(),
    "errors": set(),
    "notes": set(),
    "numerics": {"errors"},
    "tables": {"errors"},
    "data": {"errors", "tables"},
    "simulation": {"errors", "numerics", "tables", "data"},
    "survival": {"errors", "numerics", "tables", "data"},
    "diagnosis": {"errors", "numerics", "tables", "data", "survival"},
    "warning": {"errors", "numerics", "tables", "data", "survival"},
    "recall": {"errors", "numerics", "tables", "data", "survival"},
    "action": {"errors", "numerics", "tables", "data", "survival", "warning"},
    "plots": {"errors", "tables"},
    "report": {"errors", "tables", "plots"},
    "integrations": {"errors", "numerics", "tables", "survival"},
    "study": {
        "errors", "numerics", "tables", "data", "simulation", "survival", "diagnosis", "warning", "recall",
        "action", "plots", "report",
    },
    "cli": {"errors", "study"},
    "__main__": {"cli"},
    "__init__": set(),
}  # fmt: skip

FREE = {"doors", "notes"}  # how a room opens, and what results say of themselves; every room may import them

# Methods of results that import a later room when they are called.
LAZY_DOORS = {("plot", "plots"), ("to_lifelines", "integrations")}

# Third-party packages and the rooms that may name them; a package not listed is free.
KEPT_TO = {
    "duckdb": {"data"},
    "sqlglot": {"data"},
    "matplotlib": {"plots", "report"},
    "jinja2": {"report"},
    "typst": {"report"},
    "typer": {"cli"},
    "formulaic": {"survival"},
    "lifelines": {"integrations"},
    "sklearn": {"integrations"},
}
NOT_IN_NUMERICS = {"pandas", "pyarrow", "polars", "matplotlib", "duckdb"}
HEAVY = {
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "lifelines",
    "statsmodels",
    "duckdb",
    "typer",
    "typst",
    "pyarrow",
}


@dataclass(frozen=True)
class Import:
    file: Path
    line: int
    target: str
    at_top: bool
    door: str | None  # name of the function that holds the import

    @property
    def room(self) -> str:
        return self.file.relative_to(PACKAGE).parts[0].removesuffix(".py")

    @property
    def target_room(self) -> str | None:
        parts = self.target.split(".")
        return parts[1] if parts[0] == "churnsurv" and len(parts) > 1 and parts[1] != "__version__" else None

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line} imports {self.target}"


def _targets(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute, so that this test can read them"
        if node.module == "churnsurv":
            return [f"churnsurv.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def _walk(file: Path, body: ast.AST, *, door: str | None, typing_only: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(body):
        if isinstance(node, ast.expr):  # holds no import, and most of the nodes
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not typing_only:
            for target in _targets(node):
                yield Import(file, node.lineno, target, door is None, door)
        inner = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else door
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        yield from _walk(file, node, door=inner, typing_only=typing_only or guarded)


@cache
def _imports() -> list[Import]:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        found += _walk(file, ast.parse(file.read_text(encoding="utf-8")), door=None, typing_only=False)
    return found


def test_every_room_is_known() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__pycache__", "py.typed"} <= set(ROOMS)


def test_rooms_import_only_what_the_table_allows() -> None:
    wrong = [
        str(found)
        for found in _imports()
        if found.target_room is not None
        and found.target_room != found.room
        and found.target_room not in ROOMS[found.room] | FREE
        and (found.door, found.target_room) not in LAZY_DOORS
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_circle_between_modules() -> None:
    modules = {
        ".".join(("churnsurv", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    names = {file: name for name, file in modules.items()}
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for found in _imports():
        if found.at_top and found.target in modules:
            edges[names[found.file]].add(found.target)
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for target in sorted(edges[name]):
                visit(target, (*path, name))
            done.add(name)

    for name in sorted(modules):
        visit(name, ())


def test_third_party_packages_stay_in_their_rooms() -> None:
    wrong = [
        str(found)
        for found in _imports()
        if found.room not in KEPT_TO.get(found.target.split(".")[0], {found.room})
        and not (found.door == "plot" and found.target.startswith("matplotlib"))
    ]
    wrong += [
        str(found) for found in _imports() if found.room == "numerics" and found.target.split(".")[0] in NOT_IN_NUMERICS
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("statement", ["import churnsurv", "import churnsurv; dir(churnsurv)"])
def test_the_import_is_light(statement: str) -> None:
    code = f"{statement}; import sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_the_public_names_load_and_are_documented() -> None:
    import churnsurv as ch

    api = (PACKAGE.parent / "docs" / "api.md").read_text(encoding="utf-8")
    for name in ch.__all__:
        assert getattr(ch, name).__doc__, f"{name} has no docstring"
        assert name in api, f"{name} is not in docs/api.md"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import churnsurv as ch

    with pytest.raises(AttributeError, match="kaplan_maier"):
        ch.kaplan_maier  # noqa: B018


def _documented_parameters(api: str, start: int) -> set[str]:
    """Parameter names of the signature whose bracket opens before `start`; annotations and defaults cut off."""
    depth, parts, part = 1, [], ""
    for sign in api[start:]:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(sign, 0)
        if depth == 0:
            break
        if sign == "," and depth == 1:
            parts.append(part)
            part = ""
        else:
            part += sign
    names = {re.split(r"[:=]", text.strip())[0].strip() for text in [*parts, part]}
    return names - {"*", ""}


#: Results, which functions make, and errors: their pages list what they have.
NOT_CALLED = ("CoxFit", "Saving", "Spells", "Study", "SurvivalCurves", "TierScheme")


def test_the_documented_signatures_are_the_real_ones() -> None:
    import churnsurv as ch

    api = (PACKAGE.parent / "docs" / "api.md").read_text(encoding="utf-8")
    for name in ch.__all__:
        public = getattr(ch, name)
        if (
            not callable(public)
            or name in NOT_CALLED
            or (isinstance(public, type) and issubclass(public, Warning | Exception))
        ):
            continue
        real = {parameter for parameter in inspect.signature(public).parameters if parameter != "self"}
        written = [_documented_parameters(api, found.end()) for found in re.finditer(rf"ch\.{name}\(", api)]
        assert real in written, f"docs/api.md has other parameters of ch.{name}: {written}; they are {real}"
