"""Slots and risk sets against counting row by row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics.risk_sets import risk_sets, running_sums


def random_table(seed: int, n: int, n_strata: int, scale: float):
    rng = np.random.default_rng(seed)
    duration = rng.integers(0, 9, n) * scale
    entry = np.minimum(rng.integers(0, 9, n) * scale, duration)
    return duration, rng.random(n) < 0.5, entry, rng.integers(0, n_strata, n), rng.random(n)


def at_risk(i: int, day: float, stratum: int, duration, entry, strata) -> bool:
    return strata[i] == stratum and duration[i] >= day and (entry is None or entry[i] < day)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 40),
    n_strata=st.integers(1, 6),
    late=st.booleans(),
    scale=st.sampled_from([1, 1.0, 0.37, 1e9]),
)
def test_sums_over_risk_sets_are_sums_over_the_rows_at_risk(seed, n, n_strata, late, scale) -> None:
    duration, event, entry, strata, theta = random_table(seed, n, n_strata, scale)
    entry = entry if late else None
    sets = risk_sets(duration, event, entry=entry, stratum=strata, n_strata=n_strata)
    really = event & (entry < duration) if late else event
    expected = sorted({(strata[i], duration[i]) for i in range(n) if really[i]})
    assert list(zip(sets.stratum, sets.time, strict=True)) == expected
    by_start = None if sets.start is None else np.bincount(sets.start, theta, sets.n_slots + 1)
    total, tied = sets.sums(np.bincount(sets.place, theta, 2 * sets.n_slots + 1), by_start)
    for k, (stratum, day) in enumerate(expected):
        inside = [i for i in range(n) if at_risk(i, day, stratum, duration, entry, strata)]
        churned = [i for i in inside if really[i] and duration[i] == day]
        assert (sets.n_at_risk[k], sets.n_events[k]) == (len(inside), len(churned))
        assert total[k] == pytest.approx(theta[inside].sum(), rel=1e-12)
        assert tied[k] == pytest.approx(theta[churned].sum(), rel=1e-13)
    assert sets.n_no_risk == (int((entry == duration).sum()) if late else 0)
    ever = [any(at_risk(i, day, s, duration, entry, strata) for s, day in expected) for i in range(n)]
    assert sets.at_risk().tolist() == ever


def test_frequencies_count_as_repeated_rows() -> None:
    duration, event = np.array([2, 2, 5]), np.array([True, True, False])
    once = risk_sets(np.repeat(duration, [3, 1, 2]), np.repeat(event, [3, 1, 2]))
    weighted = risk_sets(duration, event, frequency=np.array([3, 1, 2]))
    assert (weighted.n_events, weighted.n_at_risk) == (once.n_events, once.n_at_risk) == ([4], [6])


def test_an_empty_risk_set_leaves_no_rounding_behind() -> None:
    # 0.1 + 0.2 - 0.2 is not 0.1: the rows of day 9 must not be felt on day 3, when nobody was at risk in between
    duration, entry = np.array([3, 9, 9]), np.array([0, 5, 5])
    theta = np.array([1e-20, 0.1, 0.2])
    sets = risk_sets(duration, np.ones(3, dtype=bool), entry=entry)
    assert sets.segments.tolist() == [0, 1, 2]
    total, _ = sets.sums(np.bincount(sets.place, theta, 5), None)
    assert sets.start is None or (sets.start == 2).all()
    assert total[0] == 1e-20


def test_events_on_day_zero_count_without_entry_and_not_with_it() -> None:
    duration, event = np.array([0, 4]), np.array([True, True])
    assert risk_sets(duration, event).n_at_risk.tolist() == [2, 1]
    sets = risk_sets(duration, event, entry=np.zeros(2, dtype=int))
    assert (sets.n_at_risk.tolist(), sets.n_no_risk, sets.event.tolist()) == ([1], 1, [False, True])


def test_no_events_make_no_slots() -> None:
    for duration in (np.array([1, 2]), np.array([0.5, 0.25])):
        sets = risk_sets(duration, np.zeros(2, dtype=bool), entry=np.zeros(2))
        assert sets.n_slots == 0
        assert not sets.at_risk().any()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("n", [1, 15, 64, 65, 200])
@pytest.mark.parametrize("width", [None, 3])
def test_running_sums_start_afresh_in_each_segment(n: int, width: int | None, backwards: bool) -> None:
    values = np.random.default_rng(n).random(n if width is None else (n, width))
    for offsets in ([0, n], [0, n // 3, n // 3, n], list(range(n + 1))):
        found = running_sums(values, np.array(offsets), backwards=backwards)
        for first, after in pairwise(offsets):
            part = values[first:after][::-1] if backwards else values[first:after]
            expected = np.cumsum(part, axis=0)
            np.testing.assert_allclose(found[first:after], expected[::-1] if backwards else expected, rtol=1e-13)
