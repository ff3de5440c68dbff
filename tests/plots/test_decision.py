from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.colours import SERIES
from churnsurv.plots.decision import decision_curve, decision_curve_frame
from tests.plots.conftest import HOSTILE, texts

AT = np.arange(1, 100) / 100


def curves(models: list[str]) -> pd.DataFrame:
    parts = {"treat all": 0.3 - 0.7 * AT / (1 - AT), "treat none": np.zeros(AT.size)}
    parts |= {name: np.maximum(0.3 - (0.4 + i / 10) * AT, 0) for i, name in enumerate(models)}
    tables = [
        pd.DataFrame({"model": m, "threshold": AT, "net_benefit": b, "lower": b - 0.02, "upper": b + 0.02})
        for m, b in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def lines(ax: Axes) -> list:
    """Those in the axes; strokes of the key are not cut at its edges."""
    return [line for line in ax.lines if line.get_clip_on()]


def test_lines_are_those_of_the_table(ax: Axes) -> None:
    table = curves(["risk", "rule"])
    assert decision_curve(table, ax) is ax
    assert texts(ax)[:4] == ["contact everybody", "contact nobody", "risk", "rule"]
    by_colour = {line.get_color(): line for line in lines(ax)}
    for name, colour in (("risk", SERIES[0]), ("rule", SERIES[1])):
        rows = table[table["model"] == name]
        np.testing.assert_array_equal(by_colour[colour].get_xydata(), rows[["threshold", "net_benefit"]])
    assert len(ax.collections) == 3  # no band about nothing
    assert any("95% intervals" in text for text in texts(ax))


def test_thresholds_at_which_nothing_is_worth_doing_are_left_out(ax: Axes) -> None:
    decision_curve(curves(["risk"]), ax)
    low, high = ax.get_xlim()
    assert low == 0.01
    assert 0.75 < high < 0.85
    bottom, top = ax.get_ylim()
    assert -0.1 < bottom < 0 < 0.3 < top < 0.4


def test_bands_can_be_left_out_and_gaps_are_gaps(ax: Axes) -> None:
    table = curves(["risk"])
    table.loc[table["threshold"] > 0.5, ["net_benefit", "lower", "upper"]] = np.nan
    decision_curve(table, ax, bands=False)
    assert not ax.collections
    assert max(np.max(line.get_xdata()) for line in lines(ax)) == 0.5


@pytest.mark.parametrize("width", [300, 640])
def test_hostile_names_are_drawn_as_they_stand(width: int) -> None:
    table = curves(HOSTILE)
    ax = decision_curve(table, decision_curve_frame(table, width).place(Figure()))
    figure = ax.get_figure()
    assert figure is not None
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert "$x$ & co" in texts(ax)
    assert "分銷" in texts(ax)
    assert all(text.get_window_extent(canvas.get_renderer()).y1 <= figure.bbox.height for text in ax.texts)


def test_one_threshold_is_a_point(ax: Axes) -> None:
    decision_curve(curves(["risk"]).query("threshold == 0.2"), ax)
    assert [line.get_marker() for line in lines(ax)] == ["o"] * 3


def test_a_figure_is_made_where_none_is_given_and_bad_tables_are_named(ax: Axes) -> None:
    table = curves(["risk"])
    assert decision_curve(table).get_figure() is not None
    with pytest.raises(SchemaError, match="'threshold' is missing"):
        decision_curve(table.drop(columns="threshold"), ax)
    with pytest.raises(InputError, match="no number in it"):
        decision_curve(table.assign(net_benefit=np.nan), ax)
