from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.incidence import incidence_curves, incidence_frame, stacked_incidence
from churnsurv.survival.competing import cumulative_incidence
from tests.plots.conftest import HOSTILE, spells, texts


def table(groups: list[str], causes: tuple[object, ...] = ("price", "moved", None), n: int = 80) -> pd.DataFrame:
    data = spells(groups, n)
    data["why"] = [causes[i % len(causes)] for i in range(len(data))]
    return cumulative_incidence(data, cause="why", by="channel").table


def wide(names: list[str]) -> Axes:
    return incidence_frame(names, 640).place(Figure())


def edges(ax: Axes) -> list:
    return [line for line in ax.lines if line.get_drawstyle() == "steps-post"]


def test_the_upper_edge_is_all_that_churned() -> None:
    rows = table(["a"])
    ax = stacked_incidence(rows, wide(["price", "moved", "unknown"]))
    total = rows.groupby("time")["incidence"].sum()
    top = edges(ax)[-1]
    np.testing.assert_allclose(top.get_ydata(), total.loc[top.get_xdata()], rtol=1e-12)
    heights = [line.get_ydata()[-1] for line in edges(ax)]
    assert heights == sorted(heights)
    assert len(ax.collections) == 3
    for name in ("price", "moved", "unknown"):
        assert name in texts(ax)
    assert ax.get_ylim()[1] >= total.max()


def test_curves_follow_the_table_and_stop_with_their_group() -> None:
    rows = table(["a", "b"])
    ax = incidence_curves(rows, wide(["a", "b"]), cause="price", level=0.9)
    for line, group in zip(edges(ax), ["a", "b"], strict=True):
        own = rows[(rows["group"] == group) & (rows["cause"] == "price")]
        np.testing.assert_array_equal(line.get_xdata(), own["time"])
        np.testing.assert_array_equal(line.get_ydata(), own["incidence"])
    assert len(ax.collections) == 2
    assert "Share churned: price, with 90% intervals" in texts(ax)


def test_a_horizon_cuts_the_curves_there() -> None:
    for ax in (
        stacked_incidence(table(["a"]), wide(["price"]), horizon=61.5),
        incidence_curves(table(["a", "b"]), wide(["a"]), cause="price", horizon=61.5),
    ):
        assert ax.get_xlim()[1] == 61.5
        assert all(line.get_xdata()[-1] == 61.5 for line in edges(ax))


def test_many_groups_are_grey_but_the_lowest_and_highest() -> None:
    names = [f"{letter}{i}" for i in range(4) for letter in "xyz"]
    ax = incidence_curves(table(names, n=30), wide(names[:6]), cause="moved")
    assert len(edges(ax)) == 12
    assert "12 groups, most of them in grey" in texts(ax)
    assert len(ax.collections) == 6


def test_user_text_is_drawn_as_it_is() -> None:
    rows = table(HOSTILE)
    figure = Figure()
    ax = incidence_curves(rows, incidence_frame(HOSTILE, 640).place(figure), cause="price")
    figure.canvas.draw()
    assert "$x$ & co" in texts(ax)
    rows = table(["a"], tuple(HOSTILE))
    figure = Figure()
    ax = stacked_incidence(rows, incidence_frame(HOSTILE, 640).place(figure))
    figure.canvas.draw()
    assert "$x$ & co" in texts(ax)


def test_a_narrow_figure_has_a_key() -> None:
    frame = incidence_frame(["price", "moved", "unknown"], 300)
    ax = stacked_incidence(table(["a"]), frame.place(Figure()))
    assert "moved" in texts(ax)
    assert frame.top > incidence_frame(["price"], 640).top


def test_words() -> None:
    ax = stacked_incidence(table(["a"]), wide(["price"]), words={"of_group": "Gekündigt ({group})"}, unit="months")
    assert "Gekündigt (a)" in texts(ax)
    assert "Months since origin" in texts(ax)
    with pytest.raises(InputError, match="Did you mean 'stacked'"):
        stacked_incidence(table(["a"]), wide(["price"]), words={"stack": "x"})


def test_what_cannot_be_drawn() -> None:
    rows = table(["a", "b"])
    with pytest.raises(InputError, match="the table has no group None"):
        stacked_incidence(rows)
    with pytest.raises(InputError, match="Did you mean 'price'"):
        incidence_curves(rows, cause="prise")
    with pytest.raises(InputError, match="no rows"):
        stacked_incidence(rows.head(0))
    with pytest.raises(SchemaError, match="'incidence' is missing"):
        stacked_incidence(rows.drop(columns="incidence"))


def test_results_draw_themselves() -> None:
    data = spells(["a", "b"])
    data["why"] = ["price", "moved"] * (len(data) // 2)
    alone, both = (cumulative_incidence(data, cause="why", by=by) for by in (None, "channel"))
    assert "Share churned, by cause" in texts(alone.plot())
    assert "Share churned: moved, with 95% intervals" in texts(both.plot())
