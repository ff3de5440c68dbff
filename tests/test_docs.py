"""The documentation holds: every public name is in it, every page can be reached, links lead somewhere, code runs."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import churnsurv as ch
from tests.few_pictures import each_kind_drawn_once

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md"))
ROOMS = [
    "data", "survival", "diagnosis", "warning", "recall", "action", "simulation", "study", "report", "plots", "tables",
    "errors", "notes", "integrations.sklearn", "integrations.lifelines",
]  # fmt: skip
FENCED = re.compile(r"^( *)(`{3,}|:{3,})(.*?)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
LISTED = re.compile(r"(?:auto(?:class|function|exception):: |^`)(churnsurv(?:\.\w+)+)", re.MULTILINE)


@cache
def _text(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


@cache
def _listed() -> frozenset[str]:
    """What the reference documents, by its full name."""
    return frozenset(name for page in PAGES if page.startswith("reference/") for name in LISTED.findall(_text(page)))


# --- the reference


def test_every_public_name_is_in_the_reference() -> None:
    missing = {f"churnsurv.{name}" for name in ch.__all__} - _listed()
    for room in ROOMS:
        for name in import_module(f"churnsurv.{room}").__all__:
            if name not in ch.__all__ and f"churnsurv.{room}.{name}" not in _listed():
                missing.add(f"churnsurv.{room}.{name}")
    assert not missing


def test_everything_in_the_reference_is_there_and_says_what_it_is() -> None:
    silent = []
    for path in sorted(_listed()):
        module, _, name = path.rpartition(".")
        if not inspect.getdoc(getattr(import_module(module), name)):
            silent.append(path)
    assert not silent


# --- pages and links


def _entries(page: str) -> Iterator[str]:
    for fence in FENCED.finditer(_text(page)):
        if fence[3].strip() == "{toctree}":
            for line in fence[4].splitlines():
                if line.strip() and not line.startswith(":"):
                    yield (Path(page).parent / line.strip()).as_posix()


def test_every_page_is_in_one_table_of_contents() -> None:
    reached, waiting = [], ["index"]
    while waiting:
        page = waiting.pop()
        reached.append(page)
        waiting += _entries(page)
    assert sorted(reached) == PAGES


def test_every_notebook_is_listed() -> None:
    listed = re.findall(r"\]\(\.\./notebooks/(\S+?)\)", _text("notebooks"))
    assert sorted(listed) == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@cache
def _anchors(file: Path) -> frozenset[str]:
    """Anchors of the headings of a page, as the host of the repository and the site make them."""
    text = FENCED.sub("", file.read_text(encoding="utf-8"))
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
    return frozenset(seen) | {f"{slug}-{n}" for slug, most in seen.items() for n in range(1, most + 1)}


def _links(file: Path) -> Iterator[str]:
    text = re.sub(r"`[^`\n]*`", "code", FENCED.sub("", file.read_text(encoding="utf-8")))
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("file", [*(f"docs/{page}.md" for page in PAGES), "README.md", "CONTRIBUTING.md"])
def test_links_and_anchors_are_there(file: str) -> None:
    broken = []
    for target in _links(ROOT / file):
        path, _, anchor = target.partition("#")
        other = (ROOT / file).parent / path if path else ROOT / file
        if not other.exists() or (anchor and other.suffix == ".md" and anchor not in _anchors(other)):
            broken.append(target)
    assert not broken


def test_links_are_looked_at() -> None:
    assert len(list(_links(DOCS / "faq.md"))) > 40
    assert "3-kaplan-meier" in _anchors(DOCS / "methods.md")
    assert "no-such-heading" not in _anchors(DOCS / "methods.md")


# --- code

HOW_TO = list(_entries("howto/index"))


def _blocks(page: str) -> Iterator[tuple[str, str]]:
    """The code that is run, and what the page says that it prints."""
    found = re.finditer(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", _text(page), re.MULTILINE | re.DOTALL)
    return ((each[1], each[2] or "") for each in found)


def _run(page: str, names: dict[str, object]) -> None:
    for code, shown in _blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"docs/{page}.md", "exec"), names)  # noqa: S102 - the page's own lines
        assert printed.getvalue() == shown, code


@pytest.fixture(scope="module")
def after_tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The names that the tutorial leaves, in the folder that it was run in."""
    names: dict[str, object] = {}
    with contextlib.chdir(tmp_path_factory.mktemp("tutorial")), each_kind_drawn_once({}):
        _run("tutorial", names)
        yield names


def test_the_tutorial_prints_what_it_shows(after_tutorial: dict[str, object]) -> None:
    assert len(list(_blocks("tutorial"))) >= 10
    assert Path("report/report.html").read_text(encoding="utf-8").count("Who leaves the app") >= 1
    assert isinstance(after_tutorial["scheme"], ch.TierScheme)


@pytest.mark.parametrize("page", HOW_TO)
def test_how_to_guides_print_what_they_show(page: str, after_tutorial: dict[str, object]) -> None:
    _run(page, dict(after_tutorial))


def _not_run() -> list[tuple[str, str]]:
    """Blocks that need what a test run has not: a cluster, a program, a minute."""
    pages = [page for page in PAGES if page not in ("api",)]
    return [
        (page, textwrap.dedent(code))
        for page in pages
        for code in re.findall(r"^```py\n(.*?)^```", _text(page), re.MULTILINE | re.DOTALL)
    ]


def test_code_that_is_not_run_names_what_there_is() -> None:
    looked_at = 0
    for page, code in _not_run():
        known: dict[str, object] = {"ch": ch, "study": ch.Study}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("churnsurv"):
                room = import_module(node.module or "")
                known |= {alias.name: getattr(room, alias.name) for alias in node.names}
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call):
                called = _called(node.func, known)
                if called is not None:
                    taken = inspect.signature(called).parameters  # type: ignore[arg-type]
                    wrong = [each.arg for each in node.keywords if each.arg not in taken]
                    assert not wrong, (page, ast.unparse(node))
                    looked_at += 1
    assert looked_at >= 5


def _called(function: ast.expr, known: dict[str, object]) -> object | None:
    """What a call calls, if it is ours; an attribute that is not there is an error."""
    if isinstance(function, ast.Name):
        return known.get(function.id)
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in known:
        return getattr(known[function.value.id], function.attr)  # type: ignore[no-any-return]
    return _called_of_class(function, known)


def _called_of_class(function: ast.expr, known: dict[str, object]) -> object | None:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Attribute):
        owner = _called(function.value, known)
        return getattr(owner, function.attr) if owner is not None else None
    return None
