from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.idle_risks import idle_risk, idle_risk_frame
from churnsurv.warning.rules import Rule
from tests.plots.conftest import HOSTILE, texts
from tests.warning.schemes import rule, scheme


def risks(groups: list[str], *, registration: bool = True) -> pd.DataFrame:
    parts = []
    for place, group in enumerate(groups):
        for late in (False, True) if registration else (False,):
            days = np.arange(30)
            churn = 1 / (1 + np.exp(-(days - 15 + place - 3 * late) / 5))
            parts.append(
                pd.DataFrame(
                    {"group": group, "registration_gap": late, "idle_days": days, "churn": churn,
                     "lower": churn - 0.02, "upper": churn + 0.01}
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def crossings(groups: list[str]) -> pd.DataFrame:
    rows = [
        {"group": group, "registration_gap": late, "probability": p, "idle_day": day, "lower": lower, "upper": upper}
        for group in groups
        for late in (False, True)
        for p, day, lower, upper in ((0.25, 9.5, 9.0, 10.1), (0.5, 15.0, np.nan, np.nan), (0.75, 28.0, 27.0, np.nan),
                                     (0.05, np.nan, np.nan, np.nan))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def solid(ax: Axes) -> list[np.ndarray]:
    """Heights of the curves, without points and their intervals."""
    return [np.asarray(line.get_ydata()) for line in ax.lines if len(line.get_xdata()) == 30]


def test_one_group_has_a_curve_of_later_and_of_registration_gaps(ax: Axes) -> None:
    table = risks(["all"])
    assert idle_risk(table, ax, level=0.9) is ax
    for heights, late in zip(solid(ax), (False, True), strict=True):
        np.testing.assert_array_equal(heights, table.loc[table["registration_gap"] == late, "churn"])
    assert len(ax.collections) == 2
    assert {"later gaps", "since registration"} <= set(texts(ax))
    assert "Risk of churn by idle day, 90% intervals" in texts(ax)
    assert ax.get_xlim() == (0, 30)
    assert ax.get_ylim() == (0, 1)


@pytest.mark.parametrize("width", [300, 640])
def test_of_several_groups_the_later_gaps_are_drawn(width: int) -> None:
    table = risks(HOSTILE)
    frame = idle_risk_frame(table, width, crossings=crossings(HOSTILE))
    ax = idle_risk(table, frame.place(Figure()), crossings=crossings(HOSTILE))
    FigureCanvasAgg(ax.get_figure()).draw()
    assert len(solid(ax)) == len(ax.collections) == len(HOSTILE)
    assert {"$x$ & co", "分銷", "without the gaps that began at registration"} <= set(texts(ax))
    only = idle_risk(table[table["registration_gap"]], Figure().add_subplot())
    assert len(solid(only)) == len(HOSTILE)
    assert not any("without" in text for text in texts(only))


def test_crossings_are_points_with_their_intervals(ax: Axes) -> None:
    idle_risk(risks(["all"], registration=False), ax, crossings=crossings(["all"]))
    others = [line for line in ax.lines if len(line.get_xdata()) < 30 and line.get_transform() == ax.transData]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in others if line.get_marker() == "o"]
    assert points == [(9.5, 0.25), (15.0, 0.5), (28.0, 0.75)]
    spans = [tuple(line.get_xdata()) for line in others if line.get_marker() != "o"]
    assert spans == [(9.0, 10.1), (27.0, 30.0)]
    assert "points: where it reaches 5%, 25%, 50%, 75%" in texts(ax)


def test_of_many_groups_most_are_grey(ax: Axes) -> None:
    names = [f"channel {k}" for k in range(12)]
    idle_risk(risks(names), ax, crossings=crossings(names))
    assert "12 groups, most of them in grey" in texts(ax)
    assert sum(text.startswith("channel") for text in texts(ax)) == 6
    assert len(ax.collections) == 6


def test_a_figure_is_made_where_none_is_given() -> None:
    figure = idle_risk(risks(["a", "b"])).get_figure()
    assert figure is not None
    assert figure.get_figheight() * 72 == pytest.approx(idle_risk_frame(risks(["a", "b"])).height)


def test_bad_tables_and_words_are_named(ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'upper' is missing"):
        idle_risk(risks(["a"]).drop(columns="upper"), ax)
    with pytest.raises(SchemaError, match="'idle_day' is missing"):
        idle_risk(risks(["a"]), crossings=crossings(["a"]).drop(columns="idle_day"))
    with pytest.raises(InputError, match="no rows"):
        idle_risk(risks(["a"]).iloc[:0], ax)
    with pytest.raises(InputError, match="Did you mean 'later'"):
        idle_risk(risks(["a"]), ax, words={"laters": "x"})


def spans(ax: Axes) -> set[tuple[int, float, float, bool]]:
    """Place of the tier, first and last day, and whether the bar is thick."""
    found = set()
    for box in ax.patches:
        if str(box.get_gid()).startswith("churnsurv-span") and box.get_alpha() != 1.0:
            place = int(str(box.get_gid()).split("-")[2])
            thick = box.get_height() * ax.get_window_extent().height / np.ptp(ax.get_ylim()) > 10
            found.add((place, box.get_x() + 0.5, box.get_x() + box.get_width() - 0.5, bool(thick)))
    return found


def test_tiers_are_spans_below_the_curve_thick_where_all_users_are_in_them() -> None:
    rules = {"high": rule("idle_days > 20"), "low": rule("idle_days > 7 and balance < 100")}
    bands = scheme(rules).bands()
    table = risks(["all"])
    frame = idle_risk_frame(table, 640, bands=bands)
    assert frame.height > idle_risk_frame(table, 640).height + 30
    ax = frame.place(Figure())
    idle_risk(table, ax, bands=bands)
    assert spans(ax) == {(0, 21, 29, True), (0, 21, 29, False), (1, 8, 20, False)}
    assert {"high", "low", "below: warning tiers; a thin bar: some of the users"} <= set(texts(ax))
    assert ax.get_ylim()[0] < 0
    assert [tick for tick in ax.get_yticks() if tick < 0] == []


def test_tiers_beyond_the_days_of_the_curve_are_refused(ax: Axes) -> None:
    table = risks(["all"])
    with pytest.raises(InputError, match="reach idle day 29"):
        idle_risk(table[table["idle_days"] < 20], ax, bands=scheme({"a": rule("idle_days > 7")}).bands())
    nobody = scheme({"a": Rule()}).bands()
    idle_risk(table, ax, bands=nobody)
    assert spans(ax) == set()
