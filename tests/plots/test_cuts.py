from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.cuts import cutpoint, cutpoint_frame
from tests.plots.conftest import HOSTILE, texts


def scan(n: int = 40, name: str = "balance", *, log: bool = False) -> pd.DataFrame:
    cut = np.geomspace(1, 10_000, n) if log else np.linspace(-3, 5, n)
    return pd.DataFrame({"variable": name, "cut": cut, "statistic": 4 * np.sin(np.linspace(0, 6, n))})


CHOSEN = pd.DataFrame({"variable": ["balance"], "cut": [2.0], "range_lower": [1.5], "range_upper": [2.5]})


def test_every_cut_is_drawn_with_what_a_search_makes_of_nothing(ax: Axes) -> None:
    table = scan()
    cutpoint(table, ax, chosen=CHOSEN, critical=2.9)
    curve = max(ax.lines, key=lambda line: len(line.get_xdata()))
    np.testing.assert_allclose(curve.get_ydata(), table["statistic"])
    levels = [line.get_ydata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    assert {-2.9, 2.9, 0.0} <= set(levels)
    assert any("best cut 2" in text for text in texts(ax))
    assert any("p < 0.05" in text for text in texts(ax))


def test_thousands_of_cuts_keep_their_highest_and_lowest(ax: Axes) -> None:
    table = scan(50_000)
    table.loc[31_234, "statistic"] = 9.5
    cutpoint(table, ax)
    curve = max(ax.lines, key=lambda line: len(line.get_xdata()))
    assert len(curve.get_xdata()) <= 2400
    assert curve.get_ydata().max() == 9.5
    assert curve.get_ydata().min() == table["statistic"].min()


def test_amounts_of_many_sizes_are_on_a_log_scale(ax: Axes) -> None:
    assert cutpoint(scan(log=True), ax).get_xscale() == "log"
    assert any("log scale" in text for text in texts(ax))
    assert cutpoint(scan(), Figure().add_subplot()).get_xscale() == "linear"


@pytest.mark.parametrize("width", [320, 700])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_and_width_can_be_drawn(name: str, width: float) -> None:
    table = scan(name=name)
    figure = Figure()
    FigureCanvasAgg(figure)
    ax = cutpoint(table, cutpoint_frame(table, width).place(figure), chosen=CHOSEN, critical=2.9)
    figure.canvas.draw()
    assert not any("\n" in text for text in texts(ax))


def test_a_single_cut(ax: Axes) -> None:
    table = scan(1)
    cutpoint(table, ax, critical=1.96)
    low, high = ax.get_xlim()
    assert low < table["cut"].iloc[0] < high


def test_what_cannot_be_drawn(ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'statistic' is missing"):
        cutpoint(scan().drop(columns="statistic"), ax)
    with pytest.raises(InputError, match="one variable a figure; the table has 2"):
        cutpoint(pd.concat([scan(), scan(name="visits")]), ax)
    with pytest.raises(InputError, match="nothing to draw"):
        cutpoint(scan().assign(statistic=np.nan), ax)
    with pytest.raises(InputError):
        cutpoint(scan(), ax, words={"titel": "x"})


def test_without_axes_a_figure_is_made() -> None:
    assert cutpoint(scan(), words={"title": "Anything"}).figure is not None
