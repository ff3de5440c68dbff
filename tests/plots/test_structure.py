from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.structure import churn_structure, churn_structure_frame, lifecycle, lifecycle_frame
from tests.plots.conftest import HOSTILE, texts


def cells(channels: tuple[str, ...] = ("paid", "free", "tv")) -> pd.DataFrame:
    rows = [
        (stage, channel, share * part, min(0.95, 0.2 + part))
        for stage, share in (("new", 0.5), ("growth", 0.35), ("mature", 0.15))
        for channel, part in zip(
            channels, np.arange(1, len(channels) + 1) * 2 / len(channels) / (len(channels) + 1), strict=True
        )
    ]
    return pd.DataFrame(rows, columns=["stage", "channel", "share", "churned"])


def drawn(ax: Axes) -> list[Rectangle]:
    found = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    return [patch for patch in found if str(patch.get_gid()).startswith("churnsurv-cell-")]


def lives() -> pd.DataFrame:
    return pd.DataFrame({"stage": ["new", "growth"], "living": [120, 30], "churned": [480, 3], "users": [600, 33]})


def test_areas_are_the_shares_and_fill_the_axes(ax: Axes) -> None:
    table = cells()
    assert churn_structure(table, ax, horizon=90) is ax
    areas = [cell.get_width() * cell.get_height() for cell in drawn(ax)]
    assert areas == pytest.approx(table["share"].tolist())
    heights = [cell.get_height() for cell in drawn(ax)][::3]
    assert heights == pytest.approx([0.5, 0.35, 0.15])
    assert drawn(ax)[0].get_y() == pytest.approx(0.5)
    assert drawn(ax)[-1].get_x() + drawn(ax)[-1].get_width() == pytest.approx(1)


def test_darker_is_more_churn_and_no_estimate_has_no_colour(ax: Axes) -> None:
    table = cells()
    table.loc[2, "churned"] = np.nan
    churn_structure(table, ax, horizon=90)
    found = drawn(ax)
    assert found[2].get_facecolor() == (1, 1, 1, 1)
    known = [(row, cell.get_alpha()) for row, cell in zip(table["churned"], found, strict=True) if row == row]
    assert [alpha for _, alpha in sorted(known)] == sorted(alpha for _, alpha in known)
    assert max(alpha for _, alpha in known) < 0.65  # the text on it stays legible
    assert "no estimate" in texts(ax)


def test_numbers_are_written_where_there_is_room() -> None:
    wide = Figure(figsize=(9, 5)).add_axes((0.1, 0.1, 0.85, 0.7))
    churn_structure(cells(), wide, horizon=90)
    assert "25.0% · 70%" in texts(wide)
    assert {"new", "50.0%", "paid", "Shade: churned out of the stage within 90 days"} <= set(texts(wide))
    narrow = Figure(figsize=(2.5, 5)).add_axes((0.3, 0.1, 0.6, 0.7))
    churn_structure(cells(), narrow, horizon=90)
    assert "25.0% · 70%" not in texts(narrow)
    assert {"25.0%", "70%"} <= set(texts(narrow))


def test_without_a_horizon_there_is_no_shade(ax: Axes) -> None:
    churn_structure(cells().assign(churned=np.nan), ax)
    assert not any("Shade" in text for text in texts(ax))
    assert all(cell.get_facecolor() == (1, 1, 1, 1) for cell in drawn(ax))


def test_cells_without_churned_users_have_no_area(ax: Axes) -> None:
    table = cells()
    table.loc[table["stage"] == "mature", "share"] = 0.0
    churn_structure(table, ax, horizon=90)
    assert len(drawn(ax)) == 6
    assert "mature" not in texts(ax)


def test_names_are_never_interpreted() -> None:
    wide = Figure(figsize=(14, 8)).add_axes((0.1, 0.1, 0.85, 0.7))
    churn_structure(cells(tuple(HOSTILE)), wide, horizon=90)
    wide.figure.canvas.draw()
    assert any("$x$ & co" in text for text in texts(wide))


def test_bars_are_the_living_and_the_churned(ax: Axes) -> None:
    assert lifecycle(lives(), ax, date="2024-05-01") is ax
    widths = [patch.get_width() for patch in ax.patches]
    assert widths == [120, 480, 30, 3]
    assert [patch.get_x() for patch in ax.patches] == [0, 120, 0, 30]
    assert {"Users by stage at the end of 2024-05-01", "480", "600", "33", "living", "churned"} <= set(texts(ax))
    assert "3" not in texts(ax)  # no room: the total beside the bar says it


def test_figures_are_made_without_axes() -> None:
    assert churn_structure(cells(), horizon=90).get_figure() is not lifecycle(lives()).get_figure()
    assert lifecycle_frame(lives()).height < lifecycle_frame(pd.concat([lives()] * 3)).height
    assert churn_structure_frame(cells(), 340).width == 340


def test_words_can_be_replaced(ax: Axes) -> None:
    lifecycle(lives(), ax, words={"users": "用戶分級"})
    assert "用戶分級" in texts(ax)
    with pytest.raises(InputError, match=r"no word 'user'.*Did you mean 'users'"):
        lifecycle(lives(), ax, words={"user": "x"})


def test_bad_tables_are_named(ax: Axes) -> None:
    with pytest.raises(SchemaError, match="'share' is missing"):
        churn_structure(cells().drop(columns="share"), ax)
    with pytest.raises(InputError, match="nothing to draw"):
        churn_structure(cells().assign(share=0.0), ax)
    with pytest.raises(InputError, match="nothing to draw"):
        lifecycle(lives().assign(living=0, churned=0), ax)
