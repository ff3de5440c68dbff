from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from churnsurv.plots.bands import band_ends, band_said, group_said, others_said
from churnsurv.plots.numbers import between, decimal, estimate, ratio, share, short
from churnsurv.plots.ratios import forest
from churnsurv.plots.style import SIZE, wrapped
from churnsurv.plots.text import ems
from churnsurv.plots.words import WORDS, chosen_words
from churnsurv.report.catalogue import catalogue
from churnsurv.report.pieces import plot_words

CHINESE = {**WORDS, **plot_words(catalogue("zh-Hant"))}


@pytest.mark.parametrize(
    "label", ["below 100", "100 to below 1,000", "10,000 and above", "-5 to below 0.5", "(missing)"]
)
def test_bands_in_english_are_called_as_tables_call_them(label: str) -> None:
    assert band_said(WORDS, label) == label
    assert band_said(CHINESE, label) != label


@pytest.mark.parametrize("label", ["below par", "a to below b", "sms", "100", "below", "over and above"])
def test_names_of_users_stay_as_they_are(label: str) -> None:
    assert band_ends(label) is None
    assert band_said(CHINESE, label) == label


def test_groups_and_further_variables_are_said_part_by_part() -> None:
    assert group_said(CHINESE, "ios | below 100") == "ios | 低於100"
    assert others_said(CHINESE, "balance below 100, n 1 to below 8") == "balance 低於100、n 1至未滿8"


def test_words_of_a_caller_for_values_of_the_table_go_before_all_others() -> None:
    said = chosen_words({"value.channel": "通路", "value.other": "其餘"})
    assert [group_said(said, name) for name in ("channel", "other", "ios | other")] == ["通路", "其餘", "ios | 其餘"]
    names = {"term": ["channel: other"], "variable": ["channel"], "category": ["other"], "reference": ["sms"]}
    table = pd.DataFrame({**names, "hazard_ratio": [1.8], "hr_lower": [1.6], "hr_upper": [2.0]})
    drawn = forest(table, Figure().add_subplot(), words={"value.channel": "通路", "value.other": "其餘"})
    assert {"通路", "其餘", "sms"} <= {text.get_text() for text in drawn.texts}


def test_numbers_of_points() -> None:
    assert [share(each) for each in (0.0, 0.005, -0.25, 0.99999, 1.5, 1e-7)] == [
        "0%", "0.50%", "-25.0%", "> 99.99%", "150.0%", "< 0.01%",
    ]  # fmt: skip
    assert estimate(WORDS, ratio, np.nan, 1.0, 2.0) == "not estimated"
    assert estimate(WORDS, ratio, 1.5, np.nan, 2.0) == "1.50"
    assert estimate(WORDS, ratio, 1.5, 1.5, 1.5) == "1.50"
    assert estimate(WORDS, ratio, 1.5, 1.0, np.inf) == "1.50 (1.00–∞)"
    assert estimate(CHINESE, share, 0.5, 0.25, 0.75) == "50.0%（25.0–75.0%）"
    assert between(WORDS, "-1.0", "2.0") == "-1.0 to 2.0"
    assert between(CHINESE, "-1.0", "2.0") == "-1.0 至 2.0"
    assert [decimal(each) for each in (3.25, 100.4)] == ["3.2", "100"]
    assert [short(CHINESE, each) for each in (9_999, 123_400, -2e8)] == ["9,999", "12.34萬", "-2億"]


@pytest.mark.parametrize("room", [20, 60, 130, 900])
@pytest.mark.parametrize(
    "text",
    [
        "每天的回流勝算，各組比對照組；95%上下限（在所有天）都成立",
        "high: idle_days > 15 and balance < 100",
        "「甲」a「",
    ],
)
def test_lines_lose_nothing_and_no_line_begins_with_a_mark_that_closes(text: str, room: float) -> None:
    rows = wrapped(text, room)
    assert re.sub(r"\s", "", "".join(rows)) == re.sub(r"\s", "", text)
    assert not any(row[0] in "，、。：；！？）」" for row in rows)
    assert all(ems(row) * SIZE <= room for row in rows if re.fullmatch(r"[\u4e00-\u9fff]{3,}", row) and room >= 60)
