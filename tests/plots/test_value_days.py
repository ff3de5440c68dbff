"""Value by first-contact day: the lines are the table's, the best day is marked, and losses do not take the room."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.document import svg, themed
from churnsurv.plots.value_days import value_by_day, value_by_day_frame
from tests.plots.conftest import HOSTILE, texts


def values(
    groups: list[str], *, registration: bool = True, savings: tuple[str, ...] = ("as stated",), top: float = 500.0
) -> pd.DataFrame:
    parts, days = [], np.arange(1, 30)
    for place, group in enumerate(groups):
        for late in (False, True) if registration else (False,):
            for tried, saving in enumerate(savings):
                value = top - 9.0 * (days - 14 + place - 2 * late) ** 2 - 40 * tried
                parts.append(
                    pd.DataFrame(
                        {"group": group, "registration_gap": late, "saving": saving, "idle_day": days, "value": value,
                         "value_lower": value - 30, "value_upper": value + 30,
                         "best": (value == value.max()) & (value > 0), "churn_probability": 0.5}
                    )
                )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def curves(ax: Axes) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) == 29]


def test_lines_are_those_of_the_table_with_the_best_day_named(ax: Axes) -> None:
    table = values(["all"])
    assert value_by_day(table, ax, level=0.9) is ax
    for heights, late in zip(curves(ax), (False, True), strict=True):
        np.testing.assert_array_equal(heights, table.loc[table["registration_gap"] == late, "value"])
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    assert points == [(14, 500.0), (16, 500.0)]
    assert {"day 14", "day 16", "later gaps", "since registration", "points: the best day"} <= set(texts(ax))
    assert "Net benefit per 1,000 gaps, 90% intervals" in texts(ax)
    assert any(np.allclose(line.get_ydata(), 0) for line in ax.lines)  # contacting nobody
    assert len(ax.collections) == 2


def test_other_savings_are_thin_and_without_intervals(ax: Axes) -> None:
    value_by_day(values(["all"], registration=False, savings=("as stated", "top 0.2", "middle 17")), ax)
    widths = sorted(line.get_linewidth() for line in ax.lines if len(line.get_xdata()) == 29)
    assert widths == [0.7, 0.7, 1.8]
    assert len(ax.collections) == 1
    assert "thin: if contacts save more, less, earlier or later" in texts(ax)


def test_losses_larger_than_the_highest_gain_are_cut_off_and_said(ax: Axes) -> None:
    table = values(["all"], registration=False)
    value_by_day(table, ax)
    assert table["value"].min() < -700
    assert -560 < ax.get_ylim()[0] < -500
    assert "values far below 0 are cut off" in texts(ax)


def test_where_nobody_should_be_contacted_no_day_is_marked(ax: Axes) -> None:
    value_by_day(values(["all"], registration=False, top=-10.0), ax)
    assert not [line for line in ax.lines if line.get_marker() == "o"]
    assert "below 0 on every day: contacting nobody is best" in texts(ax)
    assert ax.get_ylim()[1] >= 0


@pytest.mark.parametrize("width", [300, 640])
def test_best_days_of_groups_stand_beside_their_names(width: int) -> None:
    table = values(HOSTILE[:4])
    table = table.assign(best=table["best"] & (table["group"] != HOSTILE[1]))
    frame = value_by_day_frame(table, width)
    figure = Figure()
    ax = frame.place(figure)
    value_by_day(table, ax)
    said = texts(ax)
    assert "organic: day 14" in said
    assert any(text.endswith(": nobody") for text in said)
    assert "without the gaps that began at registration" in said
    assert len(curves(ax)) == 4
    document = svg(frame, lambda ax: value_by_day(table, ax))
    assert "<script" not in document
    assert themed(document, prefix="a", label="b")


def test_what_is_not_there_is_told(ax: Axes) -> None:
    table = values(["all"])
    with pytest.raises(SchemaError, match="value_lower"):
        value_by_day(table.drop(columns="value_lower"), ax)
    with pytest.raises(InputError, match="as stated"):
        value_by_day(table.assign(saving="top 1"), ax)
    with pytest.raises(InputError, match="as stated"):
        value_by_day(table.head(0), ax)


def test_without_axes_a_figure_of_its_size_is_made() -> None:
    ax = value_by_day(values(["all"]))
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() * 72 == pytest.approx(640)
