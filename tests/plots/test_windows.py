from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.colours import MUTED, SERIES
from churnsurv.plots.windows import hazard_ratio_windows, hazard_ratio_windows_frame
from tests.plots.conftest import HOSTILE, texts


def windows(terms: list[str], reference: str | None = "organic", seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cuts = [0.0, 30.0, 90.0, 200.0]
    rows = []
    for after, until in itertools.pairwise(cuts):
        for term in terms:
            ratio = float(np.exp(rng.normal(0.3, 0.3)))
            rows.append(
                {"window": f"{after:g}-{until:g}", "window_from": after, "window_to": until, "term": term,
                 "variable": "channel", "category": term, "reference": reference, "hazard_ratio": ratio,
                 "hr_lower": ratio / 1.2, "hr_upper": ratio * 1.2}
            )  # fmt: skip
    return pd.DataFrame(rows)


def overall(terms: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"term": terms, "hazard_ratio": np.linspace(1.1, 1.4, len(terms))})


TERMS = [f"channel: {name}" for name in HOSTILE[1:]]


def test_every_term_has_its_windows_in_order_below_its_name() -> None:
    table = windows(["channel: paid", "channel: 分銷"])
    ax = hazard_ratio_windows(table, hazard_ratio_windows_frame(table, 700).place(Figure()))
    said = [text for text in texts(ax) if text.startswith(("channel", "days"))]
    assert said == [
        part for term in ("channel: paid", "channel: 分銷") for part in (term, "days 0–30", "days 30–90", "days 90–200")
    ]
    numbers = [text for text in texts(ax) if text.endswith(")")]
    by_term = [table[table["term"] == term] for term in dict.fromkeys(table["term"])]
    assert numbers == [
        f"{row.hazard_ratio:.2f} ({row.hr_lower:.2f}–{row.hr_upper:.2f})"
        for rows in by_term
        for row in rows.sort_values("window_from").itertuples()
    ]
    assert ax.get_xscale() == "log"


def test_the_whole_stands_across_the_windows_of_its_term(ax: Axes) -> None:
    table = windows(TERMS)
    hazard_ratio_windows(table.sample(frac=1, random_state=1).sort_values("term", key=lambda t: t.map(TERMS.index)), ax,
                         overall=overall(TERMS))  # fmt: skip
    upright = [line for line in ax.lines if line.get_color() == SERIES[1]]
    assert [float(line.get_xdata()[0]) for line in upright] == pytest.approx(overall(TERMS)["hazard_ratio"].tolist())
    for place, line in enumerate(upright):
        first, last = line.get_ydata()
        assert 4 * place < first < 4 * place + 1
        assert 4 * place + 3 < last < 4 * place + 4
    assert "all days together" in texts(ax)


def test_without_the_whole_nothing_is_said_of_it(ax: Axes) -> None:
    hazard_ratio_windows(windows(TERMS), ax)
    assert "all days together" not in texts(ax)
    assert not [line for line in ax.lines if line.get_color() == SERIES[1]]


def test_a_whole_far_outside_moves_no_axis(ax: Axes) -> None:
    table = windows(["age"], None)
    limits = hazard_ratio_windows(table, ax).get_xlim()
    other = Figure(figsize=(8, 5)).add_axes((0.3, 0.4, 0.4, 0.5))
    far = pd.DataFrame({"term": ["age"], "hazard_ratio": [900.0]})
    assert hazard_ratio_windows(table, other, overall=far).get_xlim() == limits
    assert not [line for line in other.lines if line.get_color() == SERIES[1]]


def test_what_one_stands_for_is_said_where_there_is_room() -> None:
    table = windows(["channel: paid"], "organic")
    wide = hazard_ratio_windows(table, hazard_ratio_windows_frame(table, 700).place(Figure()))
    assert "1 = organic" in texts(wide)
    narrow = hazard_ratio_windows(table, hazard_ratio_windows_frame(table, 300).place(Figure()))
    assert "1 = organic" not in texts(narrow)
    numeric = windows(["age"], None)
    plain = hazard_ratio_windows(numeric, hazard_ratio_windows_frame(numeric, 700).place(Figure()))
    assert not [text for text in texts(plain) if text.startswith("1 =")]


def test_a_window_without_estimate_says_so(ax: Axes) -> None:
    table = windows(["channel: paid"])
    table.loc[1, ["hazard_ratio", "hr_lower", "hr_upper"]] = np.nan
    hazard_ratio_windows(table, ax)
    assert texts(ax).count("not estimated") == 1
    assert [line.get_marker() for line in ax.lines].count("s") == 2


def test_colour_says_whether_the_interval_leaves_out_one(ax: Axes) -> None:
    table = windows(["age"], None)
    table[["hazard_ratio", "hr_lower", "hr_upper"]] = [[2.0, 1.5, 2.5], [1.1, 0.9, 1.3], [0.5, 0.4, 0.6]]
    hazard_ratio_windows(table, ax)
    assert [line.get_color() for line in ax.lines if line.get_marker() == "s"] == [SERIES[0], MUTED, SERIES[0]]


@pytest.mark.parametrize("width", [300, 640])
def test_hostile_names_are_drawn_as_they_stand(width: int) -> None:
    table = windows(TERMS, HOSTILE[1])
    ax = hazard_ratio_windows(table, hazard_ratio_windows_frame(table, width).place(Figure()), overall=overall(TERMS))
    FigureCanvasAgg(ax.get_figure()).draw()
    assert "channel: $x$ & co" in texts(ax)
    assert "channel: 分銷" in texts(ax)


def test_the_frame_grows_with_the_terms() -> None:
    few, many = windows(["age"], None), windows([f"x{i}" for i in range(20)], None)
    grown = hazard_ratio_windows_frame(many, 640).height - hazard_ratio_windows_frame(few, 640).height
    assert grown == pytest.approx(19 * 4 * 17)


def test_a_figure_is_made_where_none_is_given() -> None:
    table = windows(["channel: paid"])
    ax = hazard_ratio_windows(table, overall=overall(["channel: paid"]), level=0.9)
    figure = ax.get_figure()
    assert figure is not None
    assert figure.get_figheight() * 72 == pytest.approx(hazard_ratio_windows_frame(table).height)
    assert any("90% interval" in text for text in texts(ax))


def test_bad_tables_are_named(ax: Axes) -> None:
    table = windows(["age"], None)
    with pytest.raises(SchemaError, match="'window_from' is missing"):
        hazard_ratio_windows(table.drop(columns="window_from"), ax)
    with pytest.raises(InputError, match="no rows"):
        hazard_ratio_windows(table.head(0), ax)


def test_its_own_words_and_shared_ones_can_be_replaced() -> None:
    table = pd.DataFrame(
        {
            "window": ["0-30", "30-90"], "window_from": [0, 30], "window_to": [30, 90], "term": ["age", "age"],
            "reference": [None, None], "hazard_ratio": [1.2, 0.8], "hr_lower": [1.0, 0.7], "hr_upper": [1.4, 0.9],
        }
    )  # fmt: skip
    ax = hazard_ratio_windows(table, words={"window": "Tage {window}", "slower": "später"})
    shown = [text.get_text() for text in ax.texts]
    assert any("Tage 0–30" in text for text in shown)
    assert any("später" in text for text in shown)
