"""Held places against a walk user by user and day by day, and what must hold of any of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.errors import InputError
from churnsurv.numerics.held import held_on, held_tiers


def walked(entered: list[list[int]], stays: list[list[list[bool]]]) -> list[list[int]]:
    """Each user alone, with a memory of one place."""
    n_tiers, found = len(stays), []
    for user, days in enumerate(entered):
        mine, place = [], None
        for day, own in enumerate(days):
            higher = place is not None and own < place
            if place is None or higher or day == 0 or not stays[place][user][day]:
                place = own if own < n_tiers else None
            mine.append(n_tiers if place is None else place)
        found.append(mine)
    return found


@st.composite
def places(draw):
    n_tiers, n, days = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    entered = rng.integers(0, n_tiers + 1, (n, days))
    return entered, rng.random((n_tiers, n, days)) < draw(st.sampled_from([0.2, 0.5, 0.9]))


@given(places())
@settings(max_examples=200)
def test_places_are_those_of_a_walk(drawn):
    entered, stays = drawn
    assert held_tiers(entered, stays).tolist() == walked(entered.tolist(), stays.tolist())


@given(places())
def test_nobody_waits_for_a_higher_place_and_first_entries_are_the_same(drawn):
    entered, stays = drawn
    held, n_tiers = held_tiers(entered, stays), len(stays)
    assert (held <= entered).all()
    assert (held[:, 0] == entered[:, 0]).all()
    for most in range(n_tiers):
        # the first day in one of the highest places is that of the own conditions
        assert ((held <= most).argmax(axis=1) == (entered <= most).argmax(axis=1)).all()
        assert ((held <= most).any(axis=1) == (entered <= most).any(axis=1)).all()


def test_without_wider_conditions_nothing_is_held_and_with_all_of_them_nothing_is_lost():
    entered = np.array([[2, 1, 0, 2, 1], [2, 2, 1, 2, 2]], dtype=np.int8)
    none = np.zeros((2, 2, 5), dtype=np.bool_)
    assert (held_tiers(entered, none) == entered).all()
    assert held_tiers(entered, ~none).tolist() == [[2, 1, 0, 0, 0], [2, 2, 1, 1, 1]]
    assert held_tiers(entered, none).dtype == np.int8
    assert (held_tiers(np.zeros((2, 3), dtype=np.int64), np.zeros((0, 2, 3), dtype=np.bool_)) == 0).all()


def test_who_leaves_a_place_is_not_caught_by_the_wider_condition_of_a_lower_one():
    # held the high one; today only the wider condition of the low one holds, and no own condition
    assert held_on(np.array([0]), np.array([2]), np.array([[False], [True]])).tolist() == [2]
    # the own condition of the low one is enough
    assert held_on(np.array([0]), np.array([1]), np.array([[False], [False]])).tolist() == [1]


@pytest.mark.parametrize(
    ("entered", "shape", "text"),
    [
        (np.zeros((2, 3), dtype=np.int64), (1, 2, 4), r"\(2, 3\) and \(1, 2, 4\)"),
        (np.zeros(3, dtype=np.int64), (1, 3), r"\(3,\)"),
        (np.full((2, 3), 2), (1, 2, 3), "places run from 0 to 1"),
        (np.full((2, 3), -1), (1, 2, 3), "-1"),
    ],
)
def test_what_does_not_fit_is_refused(entered, shape, text):
    with pytest.raises(InputError, match=text):
        held_tiers(entered, np.zeros(shape, dtype=np.bool_))
