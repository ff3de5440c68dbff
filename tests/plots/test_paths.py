from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.plots.paths import shortened

Corners = list[tuple[float, float]]


def written(corners: Corners, *, closed: bool = False) -> str:
    text = " ".join(f"{'L' if place else 'M'} {x:.6f} {y:.6f}" for place, (x, y) in enumerate(corners))
    return f"{text} z" if closed else text


def read(path: str) -> Corners:
    """The corners of a short path, by its own rules: M absolute, l, h and v relative."""
    found: Corners = []
    x = y = 0.0
    for command, numbers in re.findall(r"([Mlhvz])([^Mlhvz]*)", path):
        values = [float(each) for each in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", numbers)]
        if command == "z":
            continue
        if command == "M":
            x, y = values
        else:
            x += values[0] if command in "lh" else 0.0
            y += values[-1] if command in "lv" else 0.0
        found.append((round(x, 1), round(y, 1)))
    return found


def test_steps_by_hand() -> None:
    assert shortened("M 10 20 L 12 20 L 12 18.5 L 14.04 18.5") == "M10 20h2v-1.5h2"
    assert shortened("M 0 0 L 1 1 L 2 2 L 3 1") == "M0 0l2 2l1-1"
    assert shortened("M 0.04 0 L -0.5 -0.3") == "M0 0l-.5-.3"


def test_parts_and_closed_paths_are_kept() -> None:
    assert shortened("M 0 0 L 5 0 M 9 9 L 9 4") == "M0 0h5M9 9v-5"
    assert shortened("M 0 0 L 5 0 L 5 5 L 0 5 z") == "M0 0h5v5h-5z"


def test_a_way_back_is_no_straight_line() -> None:
    assert read(shortened(written([(0, 0), (9, 0), (4, 0)]))) == [(0, 0), (9, 0), (4, 0)]


def test_curves_come_back_as_they_are() -> None:
    circle = "M 0 3 C 0.8 3 1.56 2.68 2.12 2.12 z"
    assert shortened(circle) == circle
    assert shortened("") == ""


def test_noise_finer_than_a_column_keeps_its_outline() -> None:
    x = np.linspace(0, 100, 20_000)
    y = np.random.default_rng(0).uniform(0, 50, 20_000)
    path = shortened(written(list(zip(x, y, strict=True))))
    assert len(path) < 12_000
    corners = np.array(read(path))
    assert corners[0] == pytest.approx((x[0], y[0]), abs=0.051)
    assert corners[-1] == pytest.approx((x[-1], y[-1]), abs=0.051)
    for left in range(0, 100, 10):
        inside, kept = (x >= left) & (x < left + 10), (corners[:, 0] >= left) & (corners[:, 0] < left + 10)
        assert corners[kept, 1].min() == pytest.approx(y[inside].min(), abs=0.051)
        assert corners[kept, 1].max() == pytest.approx(y[inside].max(), abs=0.051)


@given(st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900)), min_size=2, max_size=30), st.booleans())
@settings(max_examples=60)
def test_no_corner_that_is_kept_moves(corners: Corners, closed: bool) -> None:
    path = shortened(written(corners, closed=closed))
    assert path.endswith("z") == closed
    there = np.array(corners)
    for x, y in read(path):
        assert np.abs(there - (x, y)).max(axis=1).min() <= 0.0501
