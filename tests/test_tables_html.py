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
        "1234567", "1,200,000", "0.4137", "74.25", "&lt; 0.001", "2.5", "∞", "2024-05-01", "yes", "–",
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
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 5
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


def test_numbers_of_several_quantities_keep_their_digits() -> None:
    table = pd.DataFrame({"estimate": [0.0812, 1234.5, 0.2345], "lower": [0.04, 900.26, np.nan], "days": [1.5, 30, 7]})
    found = cells(as_html("", table))
    assert found == ["0.0812", "0.04", "1.50", "1,234", "900.3", "30.00", "0.2345", "–", "7.00"]


def test_times_are_short_and_keep_their_zone() -> None:
    zoned = pd.to_datetime(["2024-05-01 00:00:00.0", "2024-05-01 09:30:07.5"]).tz_localize("Asia/Taipei")
    plain = pd.to_datetime(["2024-05-01 00:00", "2024-05-01 09:30"])
    found = cells(as_html("", pd.DataFrame({"zoned": zoned, "plain": plain})))
    assert found == ["2024-05-01 00:00+08:00", "2024-05-01", "2024-05-01 09:30:07.500+08:00", "2024-05-01 09:30"]


def test_what_scrolls_is_reached_and_named() -> None:
    page = as_html('Curves "of" ' + "many users " * 30, pd.DataFrame({"n": [1]}))
    div = re.match(r'<div data-churnsurv tabindex="0" role="region" aria-label="([^"]*)">', page)
    assert div is not None
    assert div[1].startswith("Curves &quot;of&quot; many")
    assert len(div[1]) < 100
    alone = as_html("Study")
    assert "tabindex" not in alone
    assert len(alone) < 800
    assert len(page) < 3_300
