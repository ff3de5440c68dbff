"""The page and the notebook of the case say what is measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import churnsurv as ch

from .simulation import facts

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "01_who_churns.ipynb"
OF_THE_ACCOUNT = {48.0, 90.0, 95.0, 10_000.0}
PAGE = facts.PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def measured() -> list[facts.Fact]:
    return facts.facts(ch.simulate_app(facts.N_USERS, seed=facts.SEED))


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return made


def test_the_facts_of_the_case_hold(measured: list[facts.Fact]) -> None:
    assert all(fact.holds for fact in measured), facts.table([fact for fact in measured if not fact.holds])


def test_the_committed_table_is_what_is_measured(measured: list[facts.Fact]) -> None:
    assert facts.committed(PAGE) == facts.table(measured)


def test_every_fact_is_explained(measured: list[facts.Fact]) -> None:
    explained = re.findall(r"^\*\*(\d+)\.\*\*", PAGE, re.MULTILINE)
    assert explained == list(dict.fromkeys(str(fact.number) for fact in measured))


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", PAGE))))
def test_links_lead_somewhere(target: str) -> None:
    assert (facts.PAGE.parent / target).exists()


def test_code_cells_are_short_and_their_outputs_committed(cells: list[dict[str, Any]]) -> None:
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert max(len("".join(cell["source"]).splitlines()) for cell in code) <= 10
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert NOTEBOOK.stat().st_size < 1_500_000


def test_the_notebook_says_what_it_prints(cells: list[dict[str, Any]]) -> None:
    """Every figure of the text with a decimal point, a thousands comma or a percent sign is in an output above it."""
    printed = [*OF_THE_ACCOUNT]
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            printed += [value for text in _texts(cell["outputs"]) for value, _ in _figures(text, every=True)]
            continue
        for value, digits in _figures("".join(cell["source"])):
            assert any(round(each, digits) == value for each in printed), f"cell {number}: {value} is not printed above"


def test_the_notebook_and_the_page_quote_the_same(measured: list[facts.Fact], cells: list[dict[str, Any]]) -> None:
    text = " ".join("".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown").split())
    quoted = {fact.number for fact in measured if len(fact.cells[3]) > 10 and fact.cells[3] in text}
    assert quoted == {2, 3, 6, 13}


def _texts(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for output in outputs:
        shown = {"text/plain": output["text"]} if output["output_type"] == "stream" else output["data"]
        yield "".join(shown.get("text/plain", []))
        yield re.sub(r"<[^>]*>", " ", "".join(shown.get("text/html", [])))


def _figures(text: str, *, every: bool = False) -> Iterator[tuple[float, int]]:
    """Numbers and their decimals; of a text those that were measured, not dates, days or names."""
    for found in re.finditer(r"(?<![\w.`-])-?\d[\d,]*(\.\d+)?(?![\w.]*\d)( %)?", text):
        figure = found[0].removesuffix(" %").replace(",", "")
        if every or found[1] or found[2] or "," in found[0].rstrip(","):
            yield float(figure), len((found[1] or ".")[1:])
