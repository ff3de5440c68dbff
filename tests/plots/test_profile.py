from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.profile import churn_profile, churn_profile_frame
from tests.plots.conftest import HOSTILE, texts


def profile(
    groups: tuple[str, ...] = ("all",), variables: tuple[str, ...] = ("n_investments", "balance")
) -> pd.DataFrame:
    rows = []
    for group in groups:
        for variable in variables:
            for place, cut in enumerate((0, 2, 250_000)):
                churned, retained = 0.5 + place / 5, 0.1 + place / 5
                rows.append((group, variable, cut, churned, churned - 0.1, churned + 0.1, retained, retained - 0.05,
                             retained + 0.05, place == 1))  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "variable", "cut", "share_churned", "churned_lower", "churned_upper",
                                       "share_retained", "retained_lower", "retained_upper", "suggested"])  # fmt: skip


def axes(n: int) -> list[Axes]:
    return [Figure(figsize=(5, 3)).add_axes((0.2, 0.2, 0.7, 0.6)) for _ in range(n)]


def test_one_axes_for_each_variable_comes_back_with_its_title() -> None:
    given = axes(2)
    assert list(churn_profile(profile(), given)) == given
    assert "Investments" in texts(given[0])
    assert "Balance" in texts(given[1])
    assert [label.get_text() for label in given[0].get_xticklabels()] == ["0", "2", "250k"]


def test_points_are_the_shares_and_lines_their_intervals() -> None:
    (ax,) = axes(1)
    assert churn_profile(profile(), ax, variable="balance") is ax
    churned, retained = (line for line in ax.lines if line.get_marker() == "o")
    assert churned.get_ydata().tolist() == pytest.approx([0.5, 0.7, 0.9])
    assert retained.get_ydata().tolist() == pytest.approx([0.1, 0.3, 0.5])
    ends = [segment[:, 1].tolist() for segment in ax.collections[1].get_segments()]
    assert np.ravel(ends) == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45, 0.55])
    assert {"churned", "retained"} <= set(texts(ax))


def test_the_suggested_cut_is_marked_and_said_where_there_is_one() -> None:
    (marked, plain) = axes(2)
    churn_profile(profile(), marked, variable="balance")
    assert "cut 2: 70% of churned, 30% of retained" in texts(marked)
    assert [line for line in marked.lines if list(line.get_xdata()) == [1, 1]]
    churn_profile(profile().drop(columns="suggested"), plain, variable="balance")
    assert not [text for text in texts(plain) if text.startswith("cut ")]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_what_they_are(name: str) -> None:
    (ax,) = axes(1)
    churn_profile(profile((name, "b"), (name,)), ax)
    ax.figure.canvas.draw()
    assert any(text.endswith(")") for text in texts(ax))


def test_a_group_is_chosen_and_words_are_replaced() -> None:
    (ax,) = axes(1)
    table = profile(("a", "b"))
    table.loc[table["group"] == "b", "share_churned"] = 0.42
    churn_profile(table, ax, group="b", variable="balance", words={"churned": "流失", "variable.balance": "餘額"})
    assert next(line for line in ax.lines if line.get_marker() == "o").get_ydata().tolist() == [0.42] * 3
    assert "餘額 (b)" in texts(ax)


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(SchemaError, match="share_churned"):
        churn_profile(profile().drop(columns="share_churned"), axes(2))
    with pytest.raises(InputError, match="don't fit 1 Axes"):
        churn_profile(profile(), axes(1))
    with pytest.raises(InputError, match="Did you mean 'balance'"):
        churn_profile(profile(), axes(1), variable="balanc")
    with pytest.raises(InputError, match="no group 'c'"):
        churn_profile(profile(), axes(2), group="c")
    with pytest.raises(InputError, match="nothing to draw"):
        churn_profile(profile().iloc[:0], axes(2))


def test_without_axes_a_figure_is_made_in_the_size_of_its_frame() -> None:
    table = profile(variables=("n_investments", "balance", "max_amount"))
    made = churn_profile(table)
    frame = churn_profile_frame(table)
    assert len(made) == 3
    assert made[0].figure.get_size_inches() == pytest.approx([2 * frame.width / 72, 2 * frame.height / 72])
