from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv import cox
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots import forest, forest_frame
from churnsurv.plots.colours import MUTED, SERIES
from tests.plots.conftest import HOSTILE, spells, texts


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    data = spells(HOSTILE[:4])
    data["age"] = np.random.default_rng(3).normal(size=len(data))
    return cox("channel + age", data, reference={"channel": "organic"}).table


def hand(ratios: list[tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "term": [f"x: {i}" for i in range(len(ratios))],
            "variable": "x",
            "category": [str(i) for i in range(len(ratios))],
            "reference": "r",
            "hazard_ratio": [r[0] for r in ratios],
            "hr_lower": [r[1] for r in ratios],
            "hr_upper": [r[2] for r in ratios],
        }
    )


def test_every_term_has_its_name_number_and_point(table: pd.DataFrame) -> None:
    ax = forest(table, forest_frame(table, 700).place(Figure()))
    said = texts(ax)
    for row in table.itertuples():
        name = row.category if isinstance(row.category, str) else row.term
        assert name in said
        assert f"{row.hazard_ratio:.2f} ({row.hr_lower:.2f}–{row.hr_upper:.2f})" in said
    assert said.count("reference") == 1
    assert {"channel", "organic", "age"} <= set(said)
    points = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "s"]
    assert points == pytest.approx(table["hazard_ratio"].tolist())
    assert ax.get_xscale() == "log"


def test_the_reference_stands_at_one(table: pd.DataFrame, ax: Axes) -> None:
    forest(table, ax)
    hollow = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in hollow] == [1.0]


def test_colour_says_whether_the_interval_leaves_out_one(ax: Axes) -> None:
    forest(hand([(2.0, 1.5, 2.5), (1.1, 0.9, 1.3)]), ax)
    assert [line.get_color() for line in ax.lines if line.get_marker() == "s"] == [SERIES[0], MUTED]


def test_a_huge_interval_ends_in_an_arrow_and_keeps_its_number(ax: Axes) -> None:
    forest(hand([(2.0, 1.8, 2.2), (1.5, 0.001, 9000.0), (3.0, 2.0, np.inf)]), ax)
    markers = [line.get_marker() for line in ax.lines]
    assert markers.count("<") == 1
    assert markers.count(">") == 2
    assert ax.get_xlim()[1] < 30
    assert "1.50 (1.0e-03–9.0e+03)" in texts(ax)
    assert "3.00 (2.00–∞)" in texts(ax)


def test_a_term_without_an_estimate_says_so(ax: Axes) -> None:
    forest(hand([(2.0, 1.8, 2.2), (np.nan, np.nan, np.nan)]), ax)
    assert "not estimated" in texts(ax)
    assert [line.get_marker() for line in ax.lines].count("s") == 1


@pytest.mark.parametrize("spread", [1.01, 1.5, 4, 50, 1e6])
def test_the_axis_has_one_and_few_ticks(ax: Axes, spread: float) -> None:
    forest(hand([(spread, spread / 1.001, spread * 1.001), (1 / spread, 0.999 / spread, 1.001 / spread)]), ax)
    ticks = ax.get_xticks()
    assert 1.0 in ticks
    assert 1 <= len(ticks) <= 9
    low, high = ax.get_xlim()
    assert low < 1 / spread
    assert spread < high


def test_the_frame_grows_with_the_terms(table: pd.DataFrame) -> None:
    few, many = hand([(1.0, 0.9, 1.1)]), hand([(1.0, 0.9, 1.1)] * 30)
    assert forest_frame(many, 600).height - forest_frame(few, 600).height == pytest.approx(29 * 17)
    narrow = forest_frame(table, 290)
    ax = forest(table, narrow.place(Figure()))
    assert narrow.left < 20
    FigureCanvasAgg(ax.get_figure()).draw()


def test_bad_tables_are_named(table: pd.DataFrame, ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'hr_lower' is missing"):
        forest(table.drop(columns="hr_lower"), ax)
    with pytest.raises(InputError, match="no rows"):
        forest(table.head(0), ax)
