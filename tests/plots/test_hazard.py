from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import churnsurv as ch
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.hazard import hazard_curves, hazard_curves_frame
from tests.plots.conftest import HOSTILE, spells, texts


def tables(groups: list[str]) -> dict[str, pd.DataFrame]:
    curves = ch.kaplan_meier(spells(groups), by="channel")
    mean = curves.cumulative_hazard.rename(columns={"cumulative_hazard": "mean"})
    return {"hazard": curves.smoothed_hazard(), "cumulative_hazard": curves.cumulative_hazard, "mean": mean}


@pytest.mark.parametrize("quantity", ["hazard", "cumulative_hazard", "mean"])
@pytest.mark.parametrize("width", [300, 640])
def test_every_group_has_a_line_an_interval_and_its_name(quantity: str, width: int) -> None:
    table = tables(HOSTILE)[quantity]
    ax = hazard_curves(table, hazard_curves_frame(table, width).place(Figure()))
    FigureCanvasAgg(ax.get_figure()).draw()
    assert len(ax.collections) == len(HOSTILE)
    assert {"$x$ & co", "分銷"} <= set(texts(ax))
    for group, line in zip(sorted(HOSTILE), ax.lines[: len(HOSTILE)], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), table.loc[table["group"] == group, quantity])
        assert line.get_drawstyle() == ("default" if quantity == "hazard" else "steps-post")


def test_what_is_shown_is_said(ax: Axes) -> None:
    found = tables(["all"])
    hazard_curves(found["hazard"], ax, level=0.9)
    width = f"{found['hazard']['bandwidth'].iloc[0]:.3g}"
    assert "Share of active users that churns a day, 90% intervals" in texts(ax)
    assert f"averaged over {width} days on either side" in texts(ax)
    assert all(label.get_text().endswith("%") for label in ax.get_yticklabels())
    other = Figure(figsize=(8, 5)).add_axes((0.3, 0.4, 0.4, 0.5))
    hazard_curves(found["mean"], other)
    assert {"Churns per user so far, with 95% intervals", "Days since registration"} <= set(texts(other))


def test_limits_far_beyond_all_curves_do_not_flatten_them(ax: Axes) -> None:
    table = pd.DataFrame(
        {"group": "all", "time": [0, 10, 20], "mean": [0, 1, 2.0], "lower": [0, 0.5, 0.1], "upper": [0, 2, 90.0]}
    )
    assert hazard_curves(table, ax).get_ylim()[1] == pytest.approx(2 * 1.6 * 1.03)
    flat = table.assign(mean=0.0, lower=np.nan, upper=np.nan)
    assert hazard_curves(flat, Figure().add_subplot()).get_ylim()[1] == 1


def test_the_horizon_cuts_and_more_groups_are_grey(ax: Axes) -> None:
    table = tables([f"channel {k}" for k in range(12)])["cumulative_hazard"]
    hazard_curves(table, ax, horizon=90)
    assert ax.get_xlim()[1] == 90
    assert "12 groups, most of them in grey" in texts(ax)
    assert sum(text.startswith("channel") for text in texts(ax)) == 6


def test_a_figure_is_made_where_none_is_given() -> None:
    table = tables(["a", "b"])["hazard"]
    figure = hazard_curves(table).get_figure()
    assert figure is not None
    assert figure.get_figheight() * 72 == pytest.approx(hazard_curves_frame(table).height)


def test_bad_tables_and_words_are_named(ax: Axes) -> None:
    table = tables(["a"])["mean"]
    with pytest.raises(SchemaError, match="none of the columns 'hazard', 'cumulative_hazard', 'mean'"):
        hazard_curves(table.drop(columns="mean"), ax)
    with pytest.raises(SchemaError, match="'upper' is missing"):
        hazard_curves(table.drop(columns="upper"), ax)
    with pytest.raises(InputError, match="no rows"):
        hazard_curves(table, ax, horizon=-1)
    with pytest.raises(InputError, match="Did you mean 'hazard'"):
        hazard_curves(table, ax, words={"hasard": "x"})
    assert "Risk" in texts(hazard_curves(table, ax, words={"mean": "Risk"}))
