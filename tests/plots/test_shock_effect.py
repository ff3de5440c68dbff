from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.shock_effect import shock_effect, shock_effect_frame
from tests.plots.conftest import HOSTILE, texts


def days(name: str = "news", group: str = "(all)") -> pd.DataFrame:
    date = pd.date_range("2024-01-01", periods=40)
    since = np.arange(40) - 28
    ratio = np.where((since >= 0) & (since < 4), 0.6, 1.0 + 0.05 * np.sin(np.arange(40)))
    return pd.DataFrame(
        {
            "name": name, "group": group, "date": date, "since": since, "hazard_ratio": ratio,
            "weekend": date.dayofweek >= 5, "used": since != 6,
        }
    )  # fmt: skip


def windows(name: str = "news", group: str = "(all)") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": name, "group": group, "users": ["living", "living", "living", "churned"],
            "window": ["day 0-3", "day 4-11", "all days", "day 0-3"],
            "first": pd.to_datetime(["2024-01-29", "2024-02-02", "2024-01-29", "2024-01-29"]),
            "last": pd.to_datetime(["2024-02-01", "2024-02-09", "2024-02-09", "2024-02-01"]),
            "hazard_ratio": [0.6, 1.0, 0.85, 3.0], "lower": [0.5, 0.9, 0.8, 2.0], "upper": [0.7, 1.1, 0.9, 4.0],
        }
    )  # fmt: skip


def placebo(name: str = "news", group: str = "(all)") -> pd.DataFrame:
    return pd.DataFrame({"name": name, "group": group, "window": "day 0-3", "hazard_ratio": np.linspace(0.9, 1.1, 21)})


def drawn(width: float = 640.0, **keywords: object) -> Axes:
    table = days()
    return shock_effect(table, shock_effect_frame(table, width).place(Figure()), **keywords)


def test_days_are_dots_weekends_hollow_and_unused_ones_crosses() -> None:
    ax = drawn()
    workdays, weekends, unused = (each.get_offsets() for each in ax.collections[-3:])
    table = days()
    assert len(workdays) + len(weekends) + len(unused) == 40
    assert len(weekends) == (table["weekend"] & table["used"]).sum()
    assert unused[0][1] == pytest.approx(table.loc[34, "hazard_ratio"])
    assert {"weekends", "days that do not count"} <= set(texts(ax))


def test_windows_have_limits_and_placebo_dates_a_shade() -> None:
    ax = drawn(windows=windows(), placebo=placebo())
    start = np.datetime64("2024-01-29").astype(float) - 0.5
    lines = {tuple(line.get_ydata()): tuple(line.get_xdata()) for line in ax.lines}
    assert lines[(0.6, 0.6)] == (start, start + 4)
    assert (0.85, 0.85) not in lines
    assert (3.0, 3.0) not in lines
    boxes = [path.get_extents() for each in ax.collections for path in each.get_paths()]
    heights = [(round(box.y0, 3), round(box.y1, 3)) for box in boxes]
    assert (0.5, 0.7) in heights
    assert (0.91, 1.09) in heights
    assert "same windows on placebo dates, 9 in 10" in texts(ax)


def test_the_line_of_the_date_stands_before_its_day() -> None:
    ends = [line.get_xdata() for line in drawn().lines]
    positions = [each[0] for each in ends if len(each) == 2 and each[0] == each[1]]
    assert np.datetime64("2024-01-29").astype(float) - 0.5 in positions


@pytest.mark.parametrize("width", [340.0, 640.0])
def test_nothing_is_written_outside_the_figure(width: float) -> None:
    ax = drawn(width, windows=windows(), placebo=placebo())
    figure = ax.get_figure()
    figure.canvas.draw()
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.x0 >= -1
        assert box.y1 <= figure.bbox.height + 1


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are(name: str) -> None:
    table = days(name, name)
    ax = shock_effect(table, shock_effect_frame(table).place(Figure()), name=name, group=name)
    ax.get_figure().canvas.draw()
    assert not any("\x00" in text for text in texts(ax))


def test_shocks_and_groups_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="Did you mean 'news'"):
        shock_effect(days(), name="newz")
    with pytest.raises(InputError, match="no group"):
        shock_effect(days(), group="organic")
    with pytest.raises(InputError, match="no rows"):
        shock_effect(days().iloc[:0])
    with pytest.raises(SchemaError, match="since"):
        shock_effect(days().drop(columns="since"))
