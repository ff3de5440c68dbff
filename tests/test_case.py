"""The page and the notebook of the case say what is measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import churnsurv as ch

from .simulation import facts

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "01_who_churns.ipynb"
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


def test_the_notebook_and_the_page_quote_the_same(measured: list[facts.Fact], cells: list[dict[str, Any]]) -> None:
    text = " ".join("".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown").split())
    quoted = {fact.number for fact in measured if len(fact.cells[3]) > 10 and fact.cells[3] in text}
    assert quoted == {2, 3, 6, 13}
