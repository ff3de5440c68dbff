"""Figures of the returned: every share is the table's, chance has its mark, phones have room, texts stay texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from churnsurv import plots
from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.colours import SERIES
from tests.plots.conftest import HOSTILE, texts

DAYS = np.array([0, 5, 30, 60])


def curves(groups: list[str]) -> pd.DataFrame:
    parts = []
    for place, group in enumerate(groups):
        survival = np.array([0.9, 0.7, 0.5, 0.4]) - 0.03 * place
        limits = {"lower": survival - 0.1, "upper": np.minimum(survival + 0.1, 1.0)}
        parts.append(
            pd.DataFrame({"group": group, "time": DAYS, "survival": survival, **limits, "n_at_risk": 100 - DAYS})
        )
    return pd.concat(parts, ignore_index=True)


def watch() -> pd.DataFrame:
    return pd.DataFrame(
        {"reason": ["reward_withdrawn", "reward_late", "amount_far"], "n_judged": [50, 0, 200],
         "n_listed": [10, 0, 3], "expected_false": [6.0, np.nan, 2.0]}
    )  # fmt: skip


def test_shares_rise_as_the_table_says() -> None:
    ax = plots.recalled_shares(curves(["sms", "none"]), Figure().add_subplot())
    assert ax.lines[0].get_xdata().tolist() == [0, *DAYS, 60]
    assert ax.lines[0].get_ydata() == pytest.approx([0, 0.1, 0.3, 0.5, 0.6, 0.6])
    assert ax.lines[1].get_ydata() == pytest.approx([0, 0.13, 0.33, 0.53, 0.63, 0.63])
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 0.73  # the upper limit is seen
    said = texts(ax)
    assert any("invested again, with 95% intervals" in text for text in said)
    assert any("no effect of the arm" in text for text in said)
    assert "95" in " ".join(said)


def test_what_the_shares_are_of() -> None:
    ax = plots.recalled_shares(curves(["all"]), Figure().add_subplot(), of="rechurned", level=0.9)
    said = " ".join(texts(ax))
    assert "churned again, with 90% intervals" in said
    assert "no effect" not in said  # one curve compares nothing
    with pytest.raises(InputError, match="Did you mean 'reinvested'"):
        plots.recalled_shares(curves(["a"]), Figure().add_subplot(), of="reinvest")
    with pytest.raises(InputError, match="nothing to draw"):
        plots.recalled_shares(curves(["a"]).iloc[:0], Figure().add_subplot())
    with pytest.raises(SchemaError, match="n_at_risk"):
        plots.recalled_shares(curves(["a"]).drop(columns="n_at_risk"), Figure().add_subplot())


@pytest.mark.parametrize("width", [340.0, 640.0])
def test_nothing_leaves_the_figure(width: float) -> None:
    table = curves(["push_then_sms", *HOSTILE])
    figure = Figure()
    ax = plots.recalled_shares_frame(table, width).place(figure)
    plots.recalled_shares(table, ax)
    other = Figure()
    beside = plots.recalled_watch_frame(watch(), width).place(other)
    plots.recalled_watch(watch(), beside)
    for each in (figure, other):
        each.canvas.draw()
        edge = each.bbox
        for text in each.axes[0].texts:
            box = text.get_window_extent()
            assert box.x0 > edge.x0 - 1
            assert box.x1 < edge.x1 + 1
            assert box.y1 < edge.y1 + 1


def test_bars_and_marks_are_the_tables() -> None:
    ax = plots.recalled_watch(watch(), Figure().add_subplot())
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.2, 0.015])  # none could be judged: no bar
    marks = [line.get_xdata()[0] for line in ax.lines if line.get_color() == SERIES[1]]
    assert marks == pytest.approx([0.12, 0.01])
    said = texts(ax)
    assert "reward taken and withdrawn: 10 of 50, 6 expected" in said
    assert "reward released late: none could be judged" in said


def test_a_watch_without_findings_and_one_that_is_none() -> None:
    empty = watch().assign(n_judged=0, n_listed=0, expected_false=np.nan)
    ax = plots.recalled_watch(empty, Figure().add_subplot())
    assert len(ax.patches) == 0
    assert ax.get_xlim()[1] > 0
    with pytest.raises(InputError, match="nothing to draw"):
        plots.recalled_watch(empty.iloc[:0], Figure().add_subplot())
    with pytest.raises(SchemaError, match="n_listed"):
        plots.recalled_watch(empty.drop(columns="n_listed"), Figure().add_subplot())
    words = {"reason.reward_late": "Prämie verspätet"}
    assert any("Prämie verspätet" in text for text in texts(plots.recalled_watch(watch(), words=words)))
