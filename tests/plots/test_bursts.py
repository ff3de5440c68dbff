from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.bursts import cohort_bursts, cohort_bursts_frame
from churnsurv.plots.colours import FAINT, SERIES
from tests.plots.conftest import HOSTILE, texts


def days(n: int = 60) -> pd.DataFrame:
    counts = np.full(n, 10)
    counts[20:23] = 50
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=n), "registrations": counts, "expected": 10.0, "lower": 4.0,
            "upper": 17.0, "burst": counts > 20,
        }
    )  # fmt: skip


def bursts(names: list[str | None], gap: int = 1) -> pd.DataFrame:
    start = pd.to_datetime("2024-01-21") + pd.to_timedelta(np.arange(len(names)) * gap, unit="D")
    return pd.DataFrame({"start": start, "end": start, "registrations": 50, "expected": 10.0, "event": names})


def drawn(table: pd.DataFrame, found: pd.DataFrame | None, width: float = 640.0) -> Axes:
    return cohort_bursts(table, cohort_bursts_frame(table, width, bursts=found).place(Figure()), bursts=found)


def test_bars_are_the_registrations_and_bursts_have_their_colour() -> None:
    ax = drawn(days(), None)
    table = days()
    first = np.datetime64("2024-01-01").astype(np.int64)
    outlines = {to_hex(each.get_facecolor()[0]): each.get_paths() for each in ax.collections[:2]}
    assert set(outlines) == {SERIES[1], FAINT}
    for row in table.itertuples():
        here = int((row.date - table["date"].iloc[0]).days) + first
        for colour, paths in outlines.items():
            inside = [
                any(path.contains_point((here, height)) for path in paths) for height in (row.registrations - 1, 1)
            ]
            assert inside == [(colour == SERIES[1]) == row.burst] * 2
            assert not any(path.contains_point((here, row.registrations + 1)) for path in paths)
    (line,) = ax.lines[:1]
    assert line.get_ydata().tolist() == [10.0] * 60


@pytest.mark.parametrize(
    ("first", "n", "width", "expected"),
    [
        ("2022-07-01", 1095, 640.0, ["Sep", "2023", "May", "Sep", "2024", "May", "Sep", "2025", "May"]),
        ("2022-07-01", 1095, 290.0, ["2023", "2024", "2025"]),
        ("2024-01-10", 40, 290.0, ["01-10", "01-20", "01-30", "02-09"]),
        ("2000-01-01", 9000, 290.0, ["2000", "2010", "2020"]),
    ],
)
def test_the_axis_has_few_and_round_dates(first: str, n: int, width: float, expected: list[str]) -> None:
    table = pd.DataFrame({"date": pd.date_range(first, periods=n), "registrations": 5, "burst": False})
    ax = drawn(table.assign(expected=5.0, lower=1.0, upper=9.0), None, width)
    ax.get_figure().canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == expected


def test_bursts_are_named_by_event_or_day() -> None:
    shown = texts(drawn(days(), bursts(["spring", None], gap=2)))
    assert "spring" in shown
    assert "2024-01-23" in shown


@pytest.mark.parametrize("width", [330.0, 640.0])
def test_no_name_covers_another(width: float) -> None:
    names = [f"a rather long event {i}" for i in range(6)]
    ax = drawn(days(), bursts(names), width)
    ax.get_figure().canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text().startswith("a rather")]
    assert len(boxes) == 6
    for i, one in enumerate(boxes):
        assert one.x1 <= ax.get_figure().bbox.width
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])


def test_of_many_bursts_the_largest_are_named_and_the_rest_counted() -> None:
    many = bursts([f"e{i}" for i in range(12)], gap=2)
    many.loc[11, "registrations"] = 500
    shown = texts(drawn(days(), many))
    assert "e11" in shown
    assert any("4 more bursts" in text for text in shown)


def test_user_text_is_never_interpreted() -> None:
    ax = drawn(days(), bursts(list(HOSTILE), gap=5))
    ax.get_figure().canvas.draw()
    assert "$x$ & co" in texts(ax)


def test_it_opens_a_figure_of_its_own() -> None:
    assert cohort_bursts(days(), bursts=bursts(["x"]), level=0.9, words={"registrations": "註冊"}) is not None


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="no rows"):
        cohort_bursts(days().iloc[:0])
    with pytest.raises(SchemaError, match="'expected' is missing"):
        cohort_bursts(days().drop(columns="expected"))
    with pytest.raises(InputError, match="Did you mean 'burst'"):
        cohort_bursts(days(), words={"bursts": "x"})
