from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.colours import MUTED, SERIES
from churnsurv.plots.differences import day_differences, day_differences_frame, day_means
from tests.plots.conftest import HOSTILE, texts


def table(groups: list[str]) -> pd.DataFrame:
    estimate = np.linspace(-20, 12, len(groups))
    return pd.DataFrame(
        {"group": groups, "reference": HOSTILE[0], "horizon": 90.0, "estimate": estimate, "lower": estimate - 8,
         "upper": estimate + 8}
    )  # fmt: skip


@pytest.mark.parametrize("width", [300, 640])
def test_every_group_has_its_interval_and_numbers(width: int) -> None:
    shown = table(HOSTILE[1:])
    ax = day_differences(shown, day_differences_frame(shown, width).place(Figure()))
    FigureCanvasAgg(ax.get_figure()).draw()
    assert {"$x$ & co", "分銷"} <= set(texts(ax))
    numbers = [text for text in texts(ax) if text.endswith(")")]
    assert numbers == [f"{r.estimate:+.1f} ({r.lower:+.1f} to {r.upper:+.1f})" for r in shown.itertuples()]
    squares = [line for line in ax.lines if line.get_marker() == "s"]
    assert [float(line.get_xdata()[0]) for line in squares] == shown["estimate"].tolist()
    low, high = ax.get_xlim()
    assert low < shown["lower"].min() < 0 < shown["upper"].max() < high


def test_colour_says_whether_the_interval_leaves_out_zero(ax: Axes) -> None:
    shown = table(["a", "b", "c"]).assign(lower=[-28, -12, 4.0], upper=[-12, 4, 20.0])
    day_differences(shown, ax)
    assert [line.get_color() for line in ax.lines if line.get_marker() == "s"] == [SERIES[0], MUTED, SERIES[0]]


def test_what_is_compared_is_said(ax: Axes) -> None:
    day_differences(table(["a"]), ax, level=0.9)
    assert any(text.startswith("Days until churn within 90 against o") and "90%" in text for text in texts(ax))
    means = Figure(figsize=(8, 5)).add_axes((0.3, 0.4, 0.4, 0.5))
    day_means(table(["a"]).assign(estimate=60.0, lower=55.0, upper=65.0), means)
    assert "Mean days until churn within 90, 95% intervals" in texts(means)
    assert "60.0 (55.0 to 65.0)" in texts(means)


def test_an_interval_far_beyond_ends_in_an_arrow(ax: Axes) -> None:
    shown = table(["a", "b", "c"])
    shown.loc[1, "upper"] = 4000.0
    assert day_differences(shown, ax).get_xlim()[1] < 300
    assert [line.get_marker() for line in ax.lines].count(">") == 1


def test_an_estimate_that_does_not_exist_is_a_dash(ax: Axes) -> None:
    shown = table(["a", "b"])
    shown.loc[1, ["estimate", "lower", "upper"]] = np.nan
    day_differences(shown, ax)
    assert texts(ax).count("–") == 1


def test_one_group_without_any_error(ax: Axes) -> None:
    shown = table(["a"]).assign(estimate=0.0, lower=0.0, upper=0.0)
    low, high = day_differences(shown, ax).get_xlim()
    assert low < 0 < high


def test_a_figure_is_made_where_none_is_given() -> None:
    for draw in (day_differences, day_means):
        figure = draw(table(["a", "b"])).get_figure()
        assert figure is not None
        assert figure.get_figheight() * 72 == pytest.approx(day_differences_frame(table(["a", "b"])).height)


def test_bad_tables_and_words_are_named(ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'reference' is missing"):
        day_differences(table(["a"]).drop(columns="reference"), ax)
    with pytest.raises(SchemaError, match="'horizon' is missing"):
        day_means(table(["a"]).drop(columns="horizon"), ax)
    with pytest.raises(InputError, match="no rows"):
        day_means(table(["a"]).head(0).assign(horizon=1.0), ax)
    with pytest.raises(InputError, match="Did you mean 'later'"):
        day_differences(table(["a"]), ax, words={"latter": "x"})
