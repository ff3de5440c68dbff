from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from churnsurv.tables.html import SHOWN, as_html


def cells(page: str) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)


def test_numbers_are_written_for_people() -> None:
    table = pd.DataFrame(
        {
            "user_id": [1234567, 12],
            "n": [1_200_000, 3],
            "share": [0.41372, 1.0],
            "days": [74.25, np.nan],
            "p_value": [1e-12, 0.04],
            "tiny": [2.5, 1e-12],
            "end": [np.inf, 3.0],
            "day": pd.to_datetime(["2024-05-01", None]),
            "churned": [True, False],
            "why": [None, ["a", "b"]],
        }
    )
    found = cells(as_html("", table))
    assert found[:10] == [
        "1234567", "1,200,000", "0.4137", "74.25", "&lt; 0.001", "2.500", "∞", "2024-05-01", "yes", "–",
    ]  # fmt: skip
    assert found[10:] == ["12", "3", "1.0000", "–", "0.040", "1e-12", "3", "–", "no", "a, b"]


@pytest.mark.parametrize(("n", "said"), [(SHOWN, None), (SHOWN + 1, "1 more row;"), (5000, "4,980 more rows;")])
def test_rows_that_are_not_shown_are_counted(n: int, said: str | None) -> None:
    page = as_html("", pd.DataFrame({"n": range(n)}))
    assert len(cells(page)) == SHOWN
    assert ("more row" in page) == (said is not None)
    assert said is None or said in page
    assert page == as_html("", pd.DataFrame({"n": range(SHOWN)}), rows=n)


def test_everything_is_escaped_and_styles_stay_at_home() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    page = as_html(hostile, pd.DataFrame({hostile: [hostile], "long": ["y" * 10_000]}), notes=[hostile])
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 4
    assert len(page) < 6_000
    assert 'class="' not in page
    rules = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert rules is not None
    selectors = re.findall(r"(?:^|})\s*([^{}]+?)\s*{", rules[1])
    assert len(selectors) > 8
    assert all(selector.startswith("[data-churnsurv]") for selector in selectors)


def test_a_headline_may_stand_alone() -> None:
    page = as_html("Study", notes=["one", "two"])
    assert "<table>" not in page
    assert page.endswith("<p>Study</p><ul><li>one</li><li>two</li></ul></div>")
