from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.calibrations import calibration, calibration_frame
from churnsurv.plots.colours import SERIES
from tests.plots.conftest import texts


def groups(n: int = 5, top: float = 0.9) -> pd.DataFrame:
    predicted = np.linspace(0.1 * top, top, n)
    observed = predicted**1.2
    return pd.DataFrame(
        {"predicted": predicted, "observed": observed, "lower": 0.9 * observed, "upper": np.minimum(1.1 * observed, 1)}
    )


def histogram() -> pd.DataFrame:
    edges = np.linspace(0, 1, 11)
    return pd.DataFrame({"lower": edges[:-1], "upper": edges[1:], "n": np.arange(10.0)})


CURVE = pd.DataFrame({"predicted": [0.1, 0.5, 0.9], "observed": [0.05, 0.4, 0.95]})


def test_points_intervals_curve_and_bars_are_those_of_the_tables(ax: Axes) -> None:
    table = groups()
    assert calibration(table, ax, curve=CURVE, histogram=histogram(), level=0.9) is ax
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xydata(), table[["predicted", "observed"]])
    smooth = next(line for line in ax.lines if line.get_color() == SERIES[1])
    np.testing.assert_array_equal(smooth.get_xydata(), CURVE)
    (uprights,) = ax.collections
    np.testing.assert_allclose([path.vertices[:, 1] for path in uprights.get_paths()], table[["lower", "upper"]])
    heights = np.array([bar.get_height() for bar in ax.patches])
    np.testing.assert_allclose(heights / heights.max(), np.arange(10) / 9)
    assert heights.max() < 0.2
    assert any("90% intervals" in text for text in texts(ax))
    assert ax.get_xlim() == ax.get_ylim() == (0, 1)


def test_axes_reach_no_further_than_the_predictions(ax: Axes) -> None:
    calibration(groups(top=0.15), ax, histogram=histogram())
    assert ax.get_xlim() == ax.get_ylim() == (0, 0.2)


def test_groups_without_an_observed_share_are_left_out(ax: Axes) -> None:
    table = groups()
    table.loc[4, ["observed", "lower", "upper"]] = np.nan
    calibration(table, ax)
    assert len(next(line for line in ax.lines if line.get_marker() == "o").get_xydata()) == 4
    table["observed"] = np.nan
    with pytest.raises(InputError, match="no group with an observed share"):
        calibration(table, ax)


def test_the_frame_makes_square_axes_and_all_texts_fit() -> None:
    for width in (300, 480):
        frame = calibration_frame(width)
        ax = calibration(groups(), frame.place(Figure()), curve=CURVE, histogram=histogram())
        figure = ax.get_figure()
        assert figure is not None
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        assert frame.width - frame.left - frame.right == pytest.approx(frame.height - frame.top - frame.bottom, abs=1)
        if width == 480:
            for text in ax.texts:
                box = text.get_window_extent(canvas.get_renderer())
                assert box.x0 >= 0
                assert box.x1 <= figure.bbox.width
                assert box.y1 <= figure.bbox.height


def test_a_figure_is_made_where_none_is_given_and_bad_tables_are_named(ax: Axes) -> None:
    assert calibration(groups()).get_figure() is not None
    with pytest.raises(SchemaError, match="'upper' is missing"):
        calibration(groups().drop(columns="upper"), ax)
