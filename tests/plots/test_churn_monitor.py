from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.churn_monitor import churn_monitor, churn_monitor_frame
from churnsurv.plots.colours import SERIES
from tests.plots.conftest import HOSTILE, texts


def days(group: str = "organic", n: int = 60) -> pd.DataFrame:
    place = np.arange(n)
    observed = np.where(place >= 40, 70, 100)
    return pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=n), "group": group, "at_risk": 1000, "expected": 100.0,
            "observed": observed, "lower": 80.0, "upper": 121.0, "ratio": observed / 100,
            "cusum": np.maximum(place - 39.0, 0), "limit": 3.0, "alarm": (place >= 43) & (place < 50),
            "judged": place != 5,
        }
    )  # fmt: skip


def alarms(group: str = "organic") -> pd.DataFrame:
    names = ["alarm_on", "begun", "begun_lower", "begun_upper"]
    when = dict(zip(names, pd.to_datetime(["2024-02-13", "2024-02-10", "2024-02-09", "2024-02-12"]), strict=True))
    return pd.DataFrame([{"group": group, "ended_on": pd.NaT, **when}, {"group": "else", "ended_on": pd.NaT, **when}])


def test_lines_are_the_rows_of_the_group_and_the_chart_is_below() -> None:
    both = pd.concat([days("else"), days().assign(observed=range(60))])
    ax = churn_monitor_frame(both, group="organic").place(Figure())
    churn_monitor(both, ax, group="organic", alarms=alarms())
    observed = next(line for line in ax.lines if to_hex(line.get_color()) == SERIES[0])
    assert observed.get_ydata().tolist() == list(range(60))
    first = int(np.datetime64("2024-01-01").astype(int))
    assert observed.get_xdata()[0] == first
    (marked,) = (line for line in ax.lines if line.get_marker() == "^" and line.get_ydata()[0] == 0.03)
    assert marked.get_xdata()[0] == first + 40
    assert [first + 38.5, first + 42.5] in [list(line.get_xdata()) for line in ax.lines]
    assert any(line.get_marker() == "o" and line.get_xdata()[0] == first + 5 for line in ax.lines)
    (alarm,) = ax.patches
    assert np.allclose([alarm.get_x(), alarm.get_width()], [first + 42.5, 7])
    (below,) = ax.child_axes
    assert below.get_xlim() == ax.get_xlim()
    assert below.get_ylim()[1] == pytest.approx(1.08 * 20)
    assert "Users who return a day: organic" in texts(ax)


@pytest.mark.parametrize("width", [640.0, 340.0])
@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_and_stay_inside(name: str, width: float) -> None:
    table = days(name)
    figure = Figure()
    ax = churn_monitor(table, churn_monitor_frame(table, width).place(figure), alarms=alarms(name))
    figure.canvas.draw()
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y1 <= figure.bbox.y1
        assert box.y0 >= 0


def test_quiet_days_have_a_short_key() -> None:
    table = days().assign(alarm=False, judged=True)
    ax = churn_monitor(table, churn_monitor_frame(table).place(Figure()))
    assert not ax.patches
    said = texts(ax)
    assert not {"alarm", "not judged", "began, most likely"} & set(said)
    assert churn_monitor(table.drop(columns="judged")).get_figure() is not None


def test_wrong_tables() -> None:
    with pytest.raises(InputError, match="no rows"):
        churn_monitor(days().head(0))
    with pytest.raises(SchemaError, match="cusum"):
        churn_monitor(days().drop(columns="cusum"))
    with pytest.raises(InputError, match=r"no chart of 'organik'\. Did you mean 'organic'"):
        churn_monitor(days(), group="organik")
    with pytest.raises(SchemaError, match="begun"):
        churn_monitor(days(), alarms=alarms().drop(columns="begun"))
