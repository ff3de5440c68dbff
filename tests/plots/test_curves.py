from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from churnsurv import kaplan_meier
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots import survival_curves, survival_curves_frame
from churnsurv.plots.colours import FAINT, INK, SERIES
from tests.plots.conftest import HOSTILE, curves, spells, texts


def steps(ax: Axes) -> list:
    return [line for line in ax.lines if line.get_drawstyle() == "steps-post"]


def wide() -> Axes:
    return survival_curves_frame(curves(["a", "b"]), 640).place(Figure())


def test_the_same_axes_come_back_and_nothing_global_changes(ax: Axes) -> None:
    before = dict(mpl.rcParams)
    assert survival_curves(curves(["a", "b"]), ax) is ax
    assert dict(mpl.rcParams) == before


def test_lines_follow_the_table() -> None:
    table = curves(["a", "b"], n=30)
    ax = survival_curves(table, wide())
    for line, group in zip(steps(ax), ["a", "b"], strict=True):
        rows = table[table["group"] == group]
        drawn = dict(zip(*line.get_data(), strict=True))
        assert drawn[0.0] == 1.0
        assert max(drawn) == rows["time"].max()
        for day, height in drawn.items():
            assert height == pytest.approx(([1.0, *rows.loc[rows["time"] <= day, "survival"]])[-1])


def test_numbers_at_risk_are_those_of_the_curves() -> None:
    result = kaplan_meier(spells(["a", "b"]), by="channel")
    ax = survival_curves(result.table, wide())
    ticks = [tick for tick in ax.get_xticks() if tick <= min(result.last_day.values())]
    expected = result.number_at_risk(ticks)["n_at_risk"].map("{:,.0f}".format)
    said = texts(ax)
    assert len(ticks) > 3
    for number in expected:
        assert number in said
    assert "At risk" in said
    assert "At risk" not in texts(survival_curves(result.table, wide(), at_risk=False))


def test_at_risk_stops_where_the_group_stops() -> None:
    rows = pd.DataFrame(
        {"channel": ["a"] * 3 + ["b"] * 3, "duration": [10, 20, 30, 100, 200, 300], "churned": [True] * 6}
    )
    ax = survival_curves(kaplan_meier(rows, by="channel").table, wide())
    at = {(t.xy[0], t.get_text()) for t in ax.texts if isinstance(t.xycoords, tuple)}
    assert (0.0, "3") in at
    assert len([text for day, text in at if day > 30]) == len([day for day in ax.get_xticks() if day > 30])


def test_one_group_has_no_name_and_one_row_at_risk() -> None:
    table = kaplan_meier(spells(["a"])).table
    ax = survival_curves(table, survival_curves_frame(table, 640).place(Figure()))
    assert "all" not in texts(ax)
    assert steps(ax)[0].get_color() == INK


def test_user_text_is_drawn_as_it_is(ax: Axes) -> None:
    table = curves(HOSTILE)
    figure = survival_curves_frame(table, 700).place(Figure())
    survival_curves(table, figure)
    said = texts(figure)
    assert {"<script>alert(1)</script>", "$x$ & co", "分銷", "a\ufffdb]]>\"'"} <= set(said)
    FigureCanvasAgg(figure.get_figure()).draw()


def test_ordered_groups_get_a_ramp_and_four_names() -> None:
    cohorts = [f"2024-{month:02d}" for month in range(1, 13)]
    ax = survival_curves(curves(cohorts), wide())
    colours = [line.get_color() for line in steps(ax)]
    assert len(set(colours)) == 12
    assert not set(colours) & set(SERIES)
    named = [text for text in texts(ax) if text in cohorts]
    assert {"2024-01", "2024-12"} <= set(named)
    assert len(set(named)) <= 4
    assert any(text.startswith("12 groups, coloured from first to last") for text in texts(ax))


def test_many_unordered_groups_are_grey_but_for_the_extremes() -> None:
    ax = survival_curves(curves([f"channel {i:x}" for i in range(12)]), wide(), max_groups=8)
    colours = [line.get_color() for line in steps(ax)]
    assert colours.count(FAINT) == 6
    assert any("most of them in grey" in text for text in texts(ax))
    bands = [band for band in ax.collections if isinstance(band, PolyCollection)]
    assert len(bands) == 6


def test_thousands_of_groups_are_thinned_out() -> None:
    groups = [f"city {i}" for i in range(300)]
    ax = survival_curves(curves(groups, n=8), wide())
    assert 60 <= len(steps(ax)) <= 66
    assert any(text.startswith("300 groups, 6") for text in texts(ax))


def test_a_horizon_cuts_and_does_not_extrapolate() -> None:
    rows = pd.DataFrame(
        {"channel": ["a"] * 2 + ["b"] * 2, "duration": [10, 20, 100, 200], "churned": [True, False] * 2}
    )
    ax = survival_curves(kaplan_meier(rows, by="channel").table, wide(), horizon=60)
    assert ax.get_xlim() == (0.0, 60.0)
    assert [max(line.get_xdata()) for line in steps(ax)] == [20.0, 60.0]


def test_long_curves_are_thinned_for_drawing_only() -> None:
    n = 50_000
    time = np.arange(1, n + 1)
    survival = np.linspace(1, 0.1, n)
    table = pd.DataFrame(
        {"group": "all", "time": time, "survival": survival, "std_error": 0.01, "lower": survival - 0.01,
         "upper": survival + 0.01, "n_at_risk": n - time + 1, "n_events": 1, "n_censored": 0}
    )  # fmt: skip
    line = steps(survival_curves(table, wide()))[0]
    x, y = line.get_data()
    assert len(x) < 1_000
    assert (x[0], x[-1], y[-1]) == (0, n, pytest.approx(0.1))
    truth = np.interp(x, time, survival)
    assert np.max(np.abs(y - truth)) < 1 / 800


def test_censorings_are_marked_only_where_there_are_few(ax: Axes) -> None:
    few = survival_curves(curves(["a", "b"], n=20), wide())
    many = survival_curves(curves(["a", "b"], n=200), wide())
    assert [line.get_marker() for line in few.lines].count("|") == 2
    assert [line.get_marker() for line in many.lines].count("|") == 0


def test_intervals_that_do_not_exist_leave_a_gap(ax: Axes) -> None:
    table = curves(["a"]).assign(lower=np.nan, upper=np.nan)
    survival_curves(table, ax)
    FigureCanvasAgg(ax.get_figure()).draw()


def test_without_axes_a_pyplot_figure_is_made() -> None:
    from matplotlib import pyplot

    ax = survival_curves(curves(["a", "b"]))
    assert pyplot.get_fignums()
    assert ax.get_figure() is pyplot.gcf()


def test_pyplot_is_not_loaded_for_axes_of_ones_own() -> None:
    code = (
        "import sys, pandas as pd; from matplotlib.figure import Figure; from churnsurv.plots import survival_curves\n"
        "row = {'group': 'all', 'time': 3, 'survival': .5, 'std_error': .1, 'lower': .4, 'upper': .6, 'n_at_risk': 2,"
        " 'n_events': 1, 'n_censored': 1}\n"
        "survival_curves(pd.DataFrame([row]), Figure().add_subplot()); print('matplotlib.pyplot' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_small_axes_get_the_layout_of_a_phone() -> None:
    table = curves(["a", "b"])
    frame = survival_curves_frame(table, 290)
    ax = survival_curves(table, frame.place(Figure()))
    assert frame.right < 20
    above = [text for text in ax.texts if text.get_text() in {"a", "b"} and text.xy == (0, 1)]
    assert len(above) == 2


def test_frames_leave_room_for_the_longest_name() -> None:
    short, long = (survival_curves_frame(curves(["a", name]), 700) for name in ("b", "wealth supermarket"))
    assert long.right > short.right + 60
    assert long.height == short.height


def test_words_are_replaced_and_checked(ax: Axes) -> None:
    assert "Users" in texts(survival_curves(curves(["a"]), ax, words={"at_risk": "Users"}))
    with pytest.raises(InputError, match=r"no word 'at_rsk'. Did you mean 'at_risk'\?"):
        survival_curves(curves(["a"]), ax, words={"at_rsk": "Users"})


def test_bad_tables_are_named(ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'n_at_risk' is missing"):
        survival_curves(curves(["a"]).drop(columns="n_at_risk"), ax)
    with pytest.raises(InputError, match="no rows"):
        survival_curves(curves(["a"]).head(0), ax)


@pytest.mark.parametrize("unit", ["days", "weeks"])
def test_the_axis_names_its_unit(ax: Axes, unit: str) -> None:
    assert f"{unit.capitalize()} since origin" in texts(survival_curves(curves(["a"]), ax, unit=unit))


def test_a_table_of_one_day_is_drawn(ax: Axes) -> None:
    table = kaplan_meier(pd.DataFrame({"duration": [0, 0], "churned": [True, False]})).table
    assert survival_curves(table, ax).get_xlim()[1] > 0


@pytest.mark.parametrize("width", [300, 640])
def test_bands_are_dashed_lines_in_the_colour_of_their_curve(width: int) -> None:
    found = kaplan_meier(spells(["organic", "paid"]), by="channel")
    bands = found.bands()
    ax = survival_curves(found.table, survival_curves_frame(found.table, width).place(Figure()), bands=bands)
    dashed = [line for line in ax.lines if line.get_linestyle() == "--" and line.get_drawstyle() == "steps-post"]
    assert len(dashed) == 4
    upper = bands.loc[bands["group"] == "paid", "upper"].to_numpy()
    np.testing.assert_array_equal(dashed[-1].get_ydata(), upper)
    solid = [line.get_color() for line in ax.lines if line.get_drawstyle() == "steps-post" and line not in dashed]
    assert [line.get_color() for line in dashed] == [solid[0], solid[0], solid[1], solid[1]]
    assert "Share still active, with 95% intervals; dashed: whole curve" in texts(ax)


def test_bands_of_groups_that_are_not_named_are_left_out() -> None:
    found = kaplan_meier(spells([f"channel {k}" for k in range(12)]), by="channel")
    ax = survival_curves(found.table, Figure().add_subplot(), bands=found.bands())
    assert len([line for line in ax.lines if line.get_linestyle() == "--"]) == 2 * 6
