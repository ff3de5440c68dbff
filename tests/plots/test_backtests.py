from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots import (
    backtest,
    backtest_frame,
    backtest_gains,
    backtest_gains_frame,
    backtest_rules,
    backtest_rules_frame,
)
from tests.plots.conftest import HOSTILE, texts

ORIGINS = [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-04-30"), pd.NaT]


def judged(tiers: list[str], policies: list[str], *, value: float = 500.0) -> pd.DataFrame:
    rows = []
    for origin in ORIGINS:
        named = [("fitted", tier) for tier in tiers] + [(policy, None) for policy in ("fitted", *policies)]
        for place, (policy, tier) in enumerate(named):
            worth = -100.0 if policy == "everybody" else 0.0 if policy == "nobody" else value + place
            row = {"origin": origin, "policy": policy, "tier": tier, "base_rate": 0.1, "alerts_per_day": 3.0 + place}
            for name, number in (("value", worth), ("precision", 0.5), ("row_precision", 0.6), ("lead_recall", 0.4)):
                row |= {name: number, f"{name}_lower": number * 0.9, f"{name}_upper": number * 1.1}
            rows.append(row)
    return pd.DataFrame(rows).astype({"tier": "object"})


def rules(tiers: list[str]) -> pd.DataFrame:
    rows = []
    for origin in ORIGINS[:2]:
        for tier in tiers:
            for place, sign in ((1, "<"), (2, ">=")):
                one = {"origin": origin, "tier": tier, "alternative": place}
                rows.append(one | {"variable": "idle_days", "sign": ">", "threshold": 5.0 * place})
                rows.append(one | {"variable": "balance", "sign": sign, "threshold": 100.0})
    empty = {"origin": ORIGINS[0], "tier": "none", "alternative": None, "variable": None, "sign": None}
    return pd.DataFrame([*rows, empty | {"threshold": np.nan}])


GAINS = pd.DataFrame({"alerts_per_day": [0.0, 4.0, 9.0], "recall": [0.0, 0.7, 1.0], "lead_recall": [0.0, 0.5, 0.9]})


def lines(ax: Axes) -> list[list[float]]:
    return [np.asarray(line.get_ydata()).tolist() for line in ax.lines if len(line.get_xdata()) == 2]


def test_value_is_drawn_by_origin_without_policies_that_lose(ax: Axes) -> None:
    table = judged(["high"], ["nobody", "everybody", "a < 5"])
    assert backtest(table, ax, test_days=90, level=0.9) is ax
    drawn = [each for each in lines(ax) if each[0] >= 500]
    assert drawn == [[500.0, 500.0], [504.0, 504.0]]
    assert {"high", "a < 5", "Net benefit per 1,000 gaps, 90% intervals"} <= set(texts(ax))
    assert "Origin; judged on the 90 days after it" in texts(ax)
    assert not {"everybody", "nobody", "any tier"} & set(texts(ax))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2024-01-31", "2024-04-30"]
    assert len(ax.collections) == 2


def test_shares_have_the_base_rate_and_all_tiers_together(ax: Axes) -> None:
    backtest(judged(["high", "low"], ["nobody", "everybody"]), ax, quantity="precision")
    assert [0.1, 0.1] in lines(ax)
    assert {"high", "low", "any tier", "all gaps"} <= set(texts(ax))
    assert "everybody" not in texts(ax)


@pytest.mark.parametrize("width", [300, 640])
@pytest.mark.parametrize("figure", ["value", "gains", "rules"])
def test_hostile_names_have_room_at_any_width(width: int, figure: str) -> None:
    table = judged(HOSTILE, ["15 & 100"])
    if figure == "value":
        frame = backtest_frame(table, width)
        ax = backtest(table, frame.place(Figure()))
    elif figure == "gains":
        frame = backtest_gains_frame(GAINS, width, points=table)
        ax = backtest_gains(GAINS, frame.place(Figure()), points=table)
    else:
        frame = backtest_rules_frame(rules(HOSTILE), width)
        ax = backtest_rules(rules(HOSTILE), frame.place(Figure()), test_days=90, idle_days=30)
    FigureCanvasAgg(ax.get_figure()).draw()
    assert frame.width == width
    assert any("分銷" in text for text in texts(ax))
    assert any("$x$ & co" in text for text in texts(ax))


def test_gains_are_two_curves_with_the_policies_as_points(ax: Axes) -> None:
    backtest_gains(GAINS, ax, points=judged(["high"], ["nobody", "a < 5", "3 alerts a day"]))
    curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
    assert [np.asarray(line.get_ydata()).tolist() for line in curves] == [[0, 0.7, 1], [0, 0.5, 0.9]]
    points = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in ax.lines if line.get_marker() == "o"]
    assert points == [(3.0, 0.4), (6.0, 0.4)]
    assert {"high", "a < 5"} <= set(texts(ax))


def test_rules_are_bars_over_the_test_days(ax: Axes) -> None:
    backtest_rules(rules(["high"]), ax, test_days=90, idle_days=30)
    bars = [(*np.asarray(line.get_xdata()), line.get_ydata()[0]) for line in ax.lines if line.get_linewidth() == 3.0]
    assert bars == [(0, 90, 5.0), (90, 180, 5.0), (0, 90, 10.0), (90, 180, 10.0)]
    assert {"high: balance < …", "high: balance >= …"} <= set(texts(ax))


def test_a_figure_is_made_where_none_is_given() -> None:
    assert backtest(judged(["high"], [])).get_figure() is not None
    assert backtest_gains(GAINS).get_figure() is not None
    assert backtest_rules(rules(["high"]), test_days=30, idle_days=30).get_figure() is not None


def test_rules_and_variables_have_the_words_of_the_caller(ax: Axes) -> None:
    table, words = judged(["high"], ["nobody", "a < 5"]), {"value.a < 5": "甲 < 5", "value.balance": "餘額"}
    backtest(table, ax, words=words)
    assert "甲 < 5" in texts(ax)
    assert "a < 5" not in texts(ax)
    gains = backtest_gains(GAINS, Figure(figsize=(8, 5)).add_subplot(), points=table, words=words)
    assert "甲 < 5" in texts(gains)
    bars = backtest_rules(
        rules(["high"]), Figure(figsize=(8, 5)).add_subplot(), test_days=90, idle_days=30, words=words
    )
    assert {"high: 餘額 < …", "high: 餘額 >= …"} <= set(texts(bars))
    # a longer name takes a line more of the key
    longer = {"value.a < 5": "餘額與投資次數都很少的用戶再加上一句"}
    assert backtest_frame(table, 240, words=longer).top > backtest_frame(table, 240, words=words).top


def test_bad_tables_and_words_are_named(ax: Axes) -> None:
    table = judged(["high"], [])
    with pytest.raises(SchemaError, match="'value_upper' is missing"):
        backtest(table.drop(columns="value_upper"), ax)
    with pytest.raises(InputError, match="Did you mean 'precision'"):
        backtest(table, ax, quantity="precisions")
    with pytest.raises(InputError, match="has no value above nothing"):
        backtest(judged(["high"], [], value=-50.0), ax)
    with pytest.raises(InputError, match="no rows"):
        backtest_gains(GAINS.iloc[:0], ax)
    with pytest.raises(InputError, match="No tier warns anybody"):
        backtest_rules(rules([]), ax, test_days=90, idle_days=30)
    with pytest.raises(InputError, match="Did you mean 'gains'"):
        backtest_gains(GAINS, ax, words={"gain": "x"})
