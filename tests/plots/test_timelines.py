"""The tiers over time: areas add up to the users, the highest tier at the bottom, shades that print."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.document import svg
from churnsurv.plots.timelines import tier_timeline, tier_timeline_frame
from tests.plots.conftest import texts

TIERS = ["high", "<b>medium</b>", "低"]


def timeline(n_dates: int = 40, every: int = 14) -> pd.DataFrame:
    dates = pd.Timestamp("2024-01-10") + pd.to_timedelta(np.arange(n_dates) * every, "D")
    rows = [
        {"date": date, "tier": tier, "n_users": 10 * (place + 1) + i, "share": (10 * (place + 1) + i) / 1_000}
        for i, date in enumerate(dates)
        for place, tier in enumerate([*TIERS, None])
    ]
    return pd.DataFrame(rows)


def areas(ax: Axes) -> list[np.ndarray]:
    """Heights of the areas by date, the lowest first."""
    found = []
    for each in ax.collections:
        if each.get_gid():
            y = each.get_paths()[0].vertices
            n = len({x for x, _ in y})
            found.append(np.array([np.ptp(y[y[:, 0] == x, 1]) for x in sorted({x for x, _ in y})][:n]))
    return found


@pytest.mark.parametrize("quantity", ["n_users", "share"])
def test_areas_are_the_users_of_each_tier(ax: Axes, quantity: str) -> None:
    table = timeline()
    assert tier_timeline(table, ax, quantity=quantity) is ax
    for heights, tier in zip(areas(ax), TIERS, strict=True):
        np.testing.assert_allclose(heights, table.loc[table["tier"] == tier, quantity], rtol=1e-12)
    total = table[table["tier"].notna()].groupby("date")[quantity].sum()
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), total)
    assert set(TIERS) <= set(texts(ax))


def test_a_tier_that_is_not_there_on_a_date_is_0(ax: Axes) -> None:
    table = timeline(5)
    gone = table.drop(table.index[(table["tier"] == "high") & (table["date"] == table["date"].iloc[-1])])
    tier_timeline(gone, ax)
    assert areas(ax)[0][-1] == 0


def test_shades_fall_from_the_highest_tier_and_print(ax: Axes) -> None:
    tier_timeline(timeline(), ax)
    shades = [each.get_alpha() for each in ax.collections if each.get_gid()]
    assert shades == sorted(shades, reverse=True)
    assert (np.diff(shades) < -0.2).all()


def test_the_days_that_were_learnt_from_are_marked_where_they_end_within(ax: Axes) -> None:
    tier_timeline(timeline(), ax, known_until="2024-06-01")
    assert "left of the line: days that the tiers were fitted to" in texts(ax)
    after = Figure().add_subplot()
    tier_timeline(timeline(), after, known_until="2030-01-01")
    assert not any("left of the line" in text for text in texts(after))
    assert len(after.lines) == len(ax.lines) - 1


@pytest.mark.parametrize(("n_dates", "every"), [(2, 1), (10, 1), (40, 14), (300, 30)])
def test_dates_have_room(n_dates: int, every: int) -> None:
    table = timeline(n_dates, every)
    for width in (290, 640):
        ax = tier_timeline_frame(table, width).place(Figure())
        tier_timeline(table, ax)
        assert 1 <= len(ax.get_xticks()) <= 9


def test_names_are_text() -> None:
    table = timeline()
    document = svg(tier_timeline_frame(table, 290), lambda ax: tier_timeline(table, ax))
    assert "<b>" not in document
    assert "低" in document


def test_what_cannot_be_drawn_is_told(ax: Axes) -> None:
    table = timeline()
    with pytest.raises(InputError, match="Did you mean 'n_users'"):
        tier_timeline(table, ax, quantity="n_user")
    with pytest.raises(InputError, match="no tier"):
        tier_timeline(table[table["tier"].isna()], ax)
    with pytest.raises(InputError, match="two dates"):
        tier_timeline(table.head(4), ax)
    with pytest.raises(SchemaError, match="share"):
        tier_timeline(table.drop(columns="share"), ax, quantity="share")


def test_without_axes_a_figure_is_made() -> None:
    assert tier_timeline(timeline()).get_figure() is not None
