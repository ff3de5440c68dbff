from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots import rule_sweep, rule_sweep_frame, rule_sweep_quantities
from tests.plots.conftest import texts

RULES = (14, 30, 60)


def sweep(groups: tuple[str, ...] = ("all", "paid", "分銷")) -> pd.DataFrame:
    rows = []
    for days in RULES:
        rows.append((days, "n_spells", "all", 1000.0, np.nan, np.nan))
        rows += [(days, "survival", g, 0.2 + i / 20, 0.15 + i / 20, 0.25 + i / 20) for i, g in enumerate(groups)]
        rows += [(days, "median", g, np.nan, np.nan, np.nan) for g in groups]
        rows += [(days, "hazard_ratio", f"channel: {g}", 1.5, 1.2, 1.9) for g in groups[1:]]
        rows += [(days, "hazard_ratio", "age", 0.9, 0.85, 0.95)]
    return pd.DataFrame(rows, columns=["idle_days", "quantity", "group", "estimate", "lower", "upper"])


def axes(n: int) -> list[Axes]:
    return [Figure(figsize=(5, 3)).add_axes((0.2, 0.2, 0.4, 0.6)) for _ in range(n)]


def points(ax: Axes) -> list:
    return [line for line in ax.lines if line.get_marker() == "o"]


def test_quantities_in_order_without_those_that_have_no_estimate() -> None:
    assert rule_sweep_quantities(sweep()) == ["survival", "hazard_ratio: channel", "hazard_ratio: age", "n_spells"]


def test_one_axes_for_each_quantity_comes_back() -> None:
    given = axes(4)
    back = rule_sweep(sweep(), given)
    assert list(back) == given
    assert given[1].get_yscale() == "log"
    assert "Hazard ratio, log scale (channel)" in texts(given[1])
    assert {"all users", "paid", "分銷"} <= set(texts(given[0]))


def test_the_variable_has_the_words_of_the_caller() -> None:
    (ax,) = axes(1)
    rule_sweep(sweep(), ax, quantity="hazard_ratio: channel", words={"value.channel": "通路"})
    assert "Hazard ratio, log scale (通路)" in texts(ax)


def test_points_are_the_estimates_and_lines_the_intervals() -> None:
    (ax,) = axes(1)
    assert rule_sweep(sweep(), ax, quantity="hazard_ratio: age", chosen=30) is ax
    (line,) = points(ax)
    assert line.get_ydata().tolist() == [0.9] * 3
    assert line.get_xdata().tolist() == list(map(float, RULES))
    segments = ax.collections[0].get_segments()
    assert [segment[:, 1].tolist() for segment in segments] == [[0.85, 0.95]] * 3
    assert [line for line in ax.lines if list(line.get_xdata()) == [30, 30]]


def test_the_same_category_has_the_same_colour_everywhere() -> None:
    given = axes(4)
    rule_sweep(sweep(), given)
    survival = dict(zip(["all", "paid", "分銷"], (line.get_color() for line in points(given[0])), strict=True))
    ratios = [line.get_color() for line in points(given[1])]
    assert ratios == [survival["paid"], survival["分銷"]]


def test_rules_without_an_estimate_are_left_out() -> None:
    table = sweep()
    table.loc[(table["idle_days"] == 14) & (table["quantity"] == "survival"), ["estimate", "lower", "upper"]] = np.nan
    (ax,) = axes(1)
    rule_sweep(table, ax, quantity="survival")
    assert points(ax)[0].get_xdata().size == 2


def test_many_groups_are_grey_but_for_the_extremes() -> None:
    groups = ("all", *(f"2024-{month:02d}" for month in range(1, 13)))
    (ax,) = axes(1)
    rule_sweep(sweep(groups), ax, quantity="survival")
    assert len(points(ax)) == 6


def test_where_there_is_no_room_at_the_right_names_stand_above() -> None:
    ax = Figure(figsize=(4, 3)).add_axes((0.1, 0.1, 0.88, 0.6))
    rule_sweep(sweep(), ax, quantity="survival")
    assert all(text.xy == (0, 1) for text in ax.texts if text.get_text() in {"paid", "分銷"})


def test_without_axes_a_figure_with_all_quantities_is_made() -> None:
    made = rule_sweep(sweep())
    assert made.shape == (4,)
    assert len({ax.get_figure() for ax in made}) == 1
    assert isinstance(rule_sweep(sweep(), quantity="survival"), Axes)


def test_the_frame_has_room_for_names_only_where_there_are_some() -> None:
    assert rule_sweep_frame(sweep(), quantity="n_spells").right < 20
    assert rule_sweep_frame(sweep(), quantity="survival").right > 50


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InputError, match=r"4 quantities .* don't fit 1 Axes"):
        rule_sweep(sweep(), axes(1)[0])
    with pytest.raises(InputError, match=r"no quantity 'survivl'. Did you mean 'survival'\?"):
        rule_sweep(sweep(), quantity="survivl")
    with pytest.raises(InputError, match="no estimates"):
        rule_sweep(sweep().assign(estimate=np.nan))
    with pytest.raises(SchemaError, match="'lower' is missing"):
        rule_sweep(sweep().drop(columns="lower"))


def test_one_rule_alone_is_drawn() -> None:
    (ax,) = axes(1)
    table = sweep()
    rule_sweep(table[table["idle_days"] == 30], ax, quantity="survival")
    assert len(points(ax)) == 3
