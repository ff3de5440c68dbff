from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from churnsurv.errors import InputError, SchemaError
from churnsurv.plots.penalties import penalty_path, penalty_path_frame
from tests.plots.conftest import texts


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "penalty": [0.3, 0.1, 0.03, 0.01],
            "n_nonzero": [0, 1, 3, 5],
            "effective_df": [0.0, 1.0, 3.0, 5.0],
            "cv_deviance": [12.5, 12.2, 12.1, 12.15],
            "cv_std_error": [0.1, 0.12, 0.15, 0.2],
        }
    )


def axes(width: float = 480) -> Axes:
    return penalty_path_frame(width).place(Figure())


def test_curve_band_and_choices() -> None:
    ax = axes()
    assert penalty_path(table(), ax, best=0.03, sparse=0.1) is ax
    assert ax.get_xscale() == "log"
    curve = next(line for line in ax.lines if len(line.get_xdata()) == 4)
    assert curve.get_xdata().tolist() == [0.01, 0.03, 0.1, 0.3]
    assert curve.get_ydata().tolist() == [12.15, 12.1, 12.2, 12.5]
    heights = np.concatenate([path.vertices[:, 1] for path in ax.collections[0].get_paths()])
    assert (heights.min(), heights.max()) == (pytest.approx(11.95), pytest.approx(12.6))
    points = {line.get_xdata()[0]: line.get_ydata()[0] for line in ax.lines if line.get_marker() == "o"}
    assert points == {0.03: 12.1, 0.1: 12.2}
    (level,) = [line for line in ax.lines if list(line.get_xdata()) == [0.03, 0.1]]
    assert level.get_ydata() == pytest.approx([12.25, 12.25])
    assert {"lowest: 0.03, 3 coefficients", "within 1 standard error: 0.1, 1 coefficient"} <= set(texts(ax))


def test_ridge_says_its_degrees_of_freedom() -> None:
    ridge = table().assign(n_nonzero=5, effective_df=[0.1, 1.234, 3.5, 4.9])
    ax = axes()
    penalty_path(ridge, ax, best=0.1)
    assert "lowest: 0.1, 1.23 degrees of freedom" in texts(ax)
    assert not [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] > 1]


def test_words_can_be_replaced_where_they_are_known() -> None:
    with pytest.raises(InputError, match="no word 'penality'"):
        penalty_path(table(), axes(), words={"penality": "x"})


def test_one_penalty_can_be_drawn() -> None:
    ax = axes()
    penalty_path(table().iloc[[1]], ax, best=0.1, sparse=0.1)
    assert len([line for line in ax.lines if line.get_marker() == "o"]) == 2


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(SchemaError, match="cv_deviance"):
        penalty_path(table().drop(columns="cv_deviance"), axes())
    with pytest.raises(InputError, match="no rows"):
        penalty_path(table().iloc[:0], axes())
    with pytest.raises(InputError, match=r"no penalty 0\.5"):
        penalty_path(table(), axes(), best=0.5)


def test_without_axes_a_figure_is_made() -> None:
    ax = penalty_path(table())
    assert ax.get_figure().get_size_inches()[0] * 72 == pytest.approx(480)
