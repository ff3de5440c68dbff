from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.changes import change_points, change_points_frame
from churnsurv.plots.colours import FAINT
from tests.plots.conftest import HOSTILE, texts


def segments(groups: list[str]) -> pd.DataFrame:
    rows = [
        {"group": group, "segment": k + 1, "first_day": first, "last_day": last, "hazard": hazard * (1 + i / 5),
         "change_lower": low, "change_upper": high}
        for i, group in enumerate(groups)
        for k, (first, last, hazard, low, high) in enumerate(
            [(30, 30, 0.2, None, None), (31, 60, 0.03, 31, 31), (61, 150, 0.0 if i == 1 else 0.01, 58, 66)]
        )
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"change_lower": "Int64", "change_upper": "Int64"})


def days(groups: list[str]) -> pd.DataFrame:
    day = np.arange(30, 151)
    parts = [pd.DataFrame({"group": g, "day": day, "hazard": np.where(day % 7, 0.02, 0.0)}) for g in groups]
    return pd.concat(parts, ignore_index=True)


def test_segments_step_where_they_begin(ax: Axes) -> None:
    change_points(segments(["all"]), ax, days=days(["all"]))
    step = next(line for line in ax.lines if line.get_drawstyle() == "steps-post")
    np.testing.assert_allclose(step.get_xdata(), [29.5, 30.5, 60.5, 150.5])
    np.testing.assert_allclose(step.get_ydata(), [0.2, 0.03, 0.01, 0.01])
    shaded = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    assert [(round(box.x0), round(box.x1)) for box in shaded] == [(30, 31), (57, 66)]
    points = next(line for line in ax.lines if line.get_linestyle() == "None")
    assert len(points.get_xdata()) == 121
    assert points.get_ydata().min() == ax.get_ylim()[0]  # days without an event lie on the edge


@pytest.mark.parametrize("scale", ["tenure", "idle"])
def test_the_scale_is_written(ax: Axes, scale: str) -> None:
    change_points(segments(["all"]), ax, scale=scale)
    assert ("Idle days" if scale == "idle" else "Days since origin") in texts(ax)


@pytest.mark.parametrize("width", [320, 700])
def test_any_names_and_width_can_be_drawn(width: float) -> None:
    table = segments(HOSTILE[:4])
    figure = Figure()
    FigureCanvasAgg(figure)
    change_points(table, change_points_frame(table, width).place(figure), days=days(HOSTILE[:4]))
    figure.canvas.draw()


def test_of_many_groups_most_are_grey(ax: Axes) -> None:
    change_points(segments([f"group {i}" for i in range(9)]), ax)
    assert any("9 groups" in text for text in texts(ax))
    assert any(line.get_color() == FAINT for line in ax.lines)


def test_what_cannot_be_drawn(ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'hazard' is missing"):
        change_points(segments(["all"]).drop(columns="hazard"), ax)
    with pytest.raises(InputError, match="no segment with an event"):
        change_points(segments(["all"]).assign(hazard=0.0), ax)


def test_without_axes_a_figure_is_made() -> None:
    assert change_points(segments(["all"])).figure is not None
