"""The notebooks are committed as they ran, and their text says what they print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
#: Figures that a text quotes from the account of the case, or from no measurement at all (the usual 95 %).
QUOTED = {
    "00_quick_start": {95.0},
    "01_who_churns": {48.0, 90.0, 95.0, 10_000.0},
    "02_warning_tiers": {98.0},
    "03_daily_warning": {1_000.0, 3_000.0, 10_000.0, 100_000.0},
    "04_recall_lift": {0.0066, 0.05},
    "05_why_they_leave": set(),
    "06_at_scale": {0.188, 9.138, 5_231.0, 1_000_000.0, 20_000_000.0, 50_000_000.0, 100_000_000.0},  # docs/scale.md
    "07_methods_against_R_and_lifelines": {0.7},
}
QUOTING = sorted(QUOTED)
ALL = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def cells_of(name: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return made


def code_of(name: str) -> list[dict[str, Any]]:
    return [cell for cell in cells_of(name) if cell["cell_type"] == "code"]


def text_of(name: str) -> str:
    return "\n".join("".join(cell["source"]) for cell in cells_of(name) if cell["cell_type"] == "markdown")


def test_every_notebook_is_looked_at() -> None:
    assert QUOTING == ALL


@pytest.mark.parametrize("name", ALL)
def test_it_ran_from_the_top_without_errors(name: str) -> None:
    code = code_of(name)
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    assert not [output for cell in code for output in cell["outputs"] if output.get("name") == "stderr"]
    assert not [cell for cell in cells_of(name) if cell["metadata"].get("execution")], "times of execution say nothing"
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 1_500_000


@pytest.mark.parametrize("name", ALL)
def test_code_cells_are_short(name: str) -> None:
    assert max(len("".join(cell["source"]).splitlines()) for cell in code_of(name)) <= 10


@pytest.mark.parametrize("name", ALL)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", text_of(name))
    assert not [link for link in links if "://" not in link and not (FOLDER / link).exists()]


@pytest.mark.parametrize("name", QUOTING)
def test_it_says_what_it_prints(name: str) -> None:
    """Every figure of the text with a decimal point, a thousands comma or a percent sign is in an output above it."""
    printed = [*QUOTED[name]]
    for number, cell in enumerate(cells_of(name)):
        if cell["cell_type"] == "code":
            printed += [value for text in _texts(cell["outputs"]) for value, _ in _figures(text, every=True)]
            continue
        for value, digits in _figures("".join(cell["source"])):
            assert any(round(each, digits) == value for each in printed), f"cell {number}: {value} is not printed above"


def test_a_figure_that_is_nowhere_printed_is_found() -> None:
    assert list(_figures("it is 12.5 % (11.9 to 13.0) of 1,234 on day 15 of 2024-05-20")) == [
        (12.5, 1),
        (11.9, 1),
        (13.0, 1),
        (1234.0, 0),
    ]


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
