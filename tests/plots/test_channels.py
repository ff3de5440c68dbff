from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.channels import channel_value, channel_value_frame
from churnsurv.plots.colours import SERIES
from tests.plots.conftest import HOSTILE, texts


def table(names: tuple[str, ...] = ("organic", "paid", "分銷")) -> pd.DataFrame:
    n = len(names)
    value = np.linspace(-4, 4, n)
    return pd.DataFrame(
        {
            "channel": names, "value": value, "value_lower": value - 1, "value_upper": value + 1,
            "verdict": ["drop", "watch", "keep", *[None] * (n - 3)], "sure": 0.5, "days_until_churn": 50.0,
            "days_until_churn_lower": 45.0, "days_until_churn_upper": 55.0,
        }
    )  # fmt: skip


def drawn(found: pd.DataFrame, width: float = 640.0, **settings: object) -> Axes:
    return channel_value(found, channel_value_frame(found, width).place(Figure()), **settings)


def test_points_are_the_values_coloured_by_verdict() -> None:
    ax = drawn(table(), keep=1.5)
    points = [line for line in ax.lines if line.get_marker() == "s"]
    assert [line.get_xdata()[0] for line in points] == [-4, 0, 4]
    assert [points[0].get_color(), points[2].get_color()] == [SERIES[1], SERIES[2]]
    assert any(list(line.get_xdata()) == [1.5, 1.5] for line in ax.lines)
    assert "-4.00 (-5.00 to -3.00) drop" in texts(ax)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, -1.0, 1.0), "0.00 (-1.00 to 1.00)"),
        ((1234.5, 1134.0, 1334.0), "1,234 (1,134 to 1,334)"),
        ((39.04, 36.0, 42.0), "39.0 (36.0 to 42.0)"),
        ((0.004, 0.003, 0.005), "0.00400 (0.00300 to 0.00500)"),
        ((0.0, np.nan, np.nan), "0"),
    ],
)
def test_numbers_have_the_digits_that_the_largest_needs(values: tuple[float, float, float], expected: str) -> None:
    columns = dict(zip(("value", "value_lower", "value_upper"), values, strict=True))
    assert f"{expected} keep" in texts(drawn(table().iloc[:1].assign(**columns, verdict="keep")))


def test_without_values_days_until_churn_are_drawn() -> None:
    found = table().assign(value=np.nan, value_lower=np.nan, value_upper=np.nan, verdict=None)
    ax = drawn(found)
    assert "50.0 (45.0 to 55.0)" in texts(ax)
    assert ax.get_xlim()[0] == 0


def test_a_channel_without_a_value_is_not_drawn_but_named() -> None:
    found = table()
    found.loc[1, ["value", "value_lower", "value_upper"]] = np.nan
    found.loc[1, "verdict"] = None
    ax = drawn(found)
    assert "not known" in texts(ax)
    assert "paid" in texts(ax)
    assert len([line for line in ax.lines if line.get_marker() == "s"]) == 2


@pytest.mark.parametrize("width", [320.0, 640.0])
def test_names_and_numbers_stay_inside_the_figure(width: float) -> None:
    ax = drawn(table(("a channel with a rather long name", "paid", "x")), width)
    figure = ax.get_figure()
    figure.canvas.draw()
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.width + 1


def test_user_text_is_never_interpreted() -> None:
    ax = drawn(table(tuple(HOSTILE)))
    ax.get_figure().canvas.draw()
    assert "$x$ & co" in texts(ax)


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(SchemaError, match="'sure' is missing"):
        drawn(table().drop(columns="sure"))
    with pytest.raises(InputError, match="nothing to draw"):
        drawn(table().assign(value=np.nan, days_until_churn=np.nan))
    assert channel_value(table(), words={"keep": "保留"}) is not None
