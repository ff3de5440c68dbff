from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HOSTILE = ["organic", "<script>alert(1)</script>", "$x$ & co", "分銷", "a\x00b]]>\"'", "=1+1"]


@pytest.fixture(autouse=True)
def _no_figure_left() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.fixture
def ax() -> Axes:
    return Figure(figsize=(8, 5)).add_axes((0.3, 0.4, 0.4, 0.5))


def spells(groups: list[str], n: int = 80, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = np.array([groups[i % len(groups)] for i in range(n * len(groups))], dtype=object)
    speed = 1 + np.array([groups.index(g) for g in group]) / len(groups)
    churn = 30 + np.ceil(rng.exponential(60, len(group)) / speed)
    end = rng.integers(20, 240, len(group))
    return pd.DataFrame({"channel": group, "duration": np.minimum(churn, end).astype(int), "churned": churn <= end})


def curves(groups: list[str], n: int = 80, seed: int = 0) -> pd.DataFrame:
    from churnsurv import kaplan_meier

    return kaplan_meier(spells(groups, n, seed), by="channel").table


def texts(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]
