"""Counts by group and time against a count of every row at every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnsurv.numerics import day_counts as module
from churnsurv.numerics.day_counts import DayCounts, counts_by_group, day_counts, time_index

ROW = st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans(), st.integers(0, 2))
ROWS = st.lists(ROW, min_size=1, max_size=40)


def columns(rows: list[tuple[int, int, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """duration, churned, entry, group; an entry may lie on or after the end, and then carries no risk."""
    table = np.array([[int(x) for x in row] for row in rows])
    return table[:, 0], table[:, 2].astype(bool), table[:, 1], table[:, 3]


def assert_is_brute_force(counts: DayCounts, duration, churned, entry, group, n_groups) -> None:
    held = np.ones(duration.size, bool) if entry is None else entry < duration
    assert counts.time.tolist() == sorted(set(duration[held].tolist()))
    for g in range(n_groups):
        mine = held & (group == g)
        assert counts.n_rows[g] == mine.sum()
        assert counts.n_no_risk[g] == (~held & (group == g)).sum()
        for k, t in enumerate(counts.time):
            under = mine & (duration >= t) & (True if entry is None else entry < t)
            ends = mine & (duration == t)
            assert counts.n_at_risk[g, k] == under.sum()
            assert counts.n_events[g, k] == (ends & churned).sum()
            assert counts.n_censored[g, k] == (ends & ~churned).sum()


def same(one: DayCounts, other: DayCounts) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in DayCounts.__slots__)


def test_by_hand_with_ties_and_late_entry() -> None:
    # day 3: one churns and one is censored; the row that enters on day 3 is at risk from day 4 on
    counts = day_counts(
        np.array([3, 3, 5, 5, 6]),
        np.array([True, False, True, True, False]),
        entry=np.array([0, 0, 3, 2, 0]),
    )
    assert counts.time.tolist() == [3, 5, 6]
    assert counts.n_at_risk.tolist() == [[4, 3, 1]]
    assert counts.n_events.tolist() == [[1, 2, 0]]
    assert counts.n_censored.tolist() == [[1, 0, 1]]
    assert counts.entry_time.tolist() == [0, 2, 3]
    assert counts.n_entered.tolist() == [[3, 1, 1]]


def test_without_entry_events_on_day_zero_count_and_with_entry_zero_they_carry_no_risk() -> None:
    duration, churned = np.array([0, 0, 2]), np.array([True, False, True])
    before = day_counts(duration, churned)
    assert before.n_at_risk.tolist() == [[3, 1]]
    assert before.n_events.tolist() == [[1, 1]]
    after = day_counts(duration, churned, entry=np.zeros(3, dtype=int))
    assert after.time.tolist() == [2]
    assert after.n_no_risk.tolist() == [2]
    assert after.n_rows.tolist() == [1]


@given(ROWS, st.booleans(), st.sampled_from([1.0, 0.5, 1e9]))
def test_equals_brute_force(rows: list[tuple[int, int, bool, int]], late: bool, unit: float) -> None:
    """Whole days go by the grid; halves, and days too far apart for a grid, by sorting."""
    duration, churned, entry, group = columns(rows)
    if unit != 1:
        duration, entry = duration * unit, entry * unit
    entry = entry if late else None
    counts = day_counts(duration, churned, entry=entry, group=group, n_groups=3)
    assert_is_brute_force(counts, duration, churned, entry, group, 3)


@given(ROWS, st.booleans())
def test_grid_and_sorting_agree_and_so_do_number_types(rows: list[tuple[int, int, bool, int]], late: bool) -> None:
    duration, churned, entry, group = columns(rows)
    entry = entry if late else None
    grid = day_counts(duration, churned, entry=entry, group=group.astype(np.int8), n_groups=3)
    floats = day_counts(
        duration.astype(float),
        churned,
        entry=None if entry is None else entry.astype(np.float32),
        group=group,
        n_groups=3,
    )
    small = day_counts(duration.astype(np.uint8), churned, entry=entry, group=group, n_groups=3)
    assert same(grid, module._by_sorting(duration, churned, entry, group, 3))
    assert same(grid, floats)
    assert same(grid, small)
    assert floats.time.dtype == np.float64
    assert grid.time.dtype == np.int64


@given(ROWS, st.booleans(), st.sampled_from([1.0, 0.5]))
def test_each_group_alone_equals_the_rows_of_the_group(rows, late: bool, unit: float) -> None:
    duration, churned, entry, group = columns(rows)
    if unit != 1:
        duration, entry = duration * unit, entry * unit
    entry = entry if late else None
    alone = counts_by_group(duration, churned, entry=entry, group=group, n_groups=3)
    for g in range(3):
        mine = group == g
        rows_of_g = day_counts(duration[mine], churned[mine], entry=None if entry is None else entry[mine])
        assert same(alone[g], rows_of_g)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int, bool, int]], random) -> None:
    shuffled = random.sample(rows, len(rows))
    counts = []
    for each in (rows, shuffled):
        duration, churned, entry, group = columns(each)
        counts.append(day_counts(duration, churned, entry=entry, group=group, n_groups=3))
    assert same(*counts)


@given(ROWS, st.integers(0, 12))
def test_splitting_rows_at_a_day_changes_nothing(rows: list[tuple[int, int, bool, int]], day: int) -> None:
    duration, churned, entry, _ = columns(rows)
    duration = entry + 1 + duration  # every row carries risk
    cut = (entry < day) & (day < duration)
    whole = day_counts(duration, churned, entry=entry)
    split = day_counts(
        np.concatenate([np.where(cut, day, duration), duration[cut]]),
        np.concatenate([churned & ~cut, churned[cut]]),
        entry=np.concatenate([entry, np.full(int(cut.sum()), day)]),
    )
    kept = np.isin(split.time, whole.time)
    assert np.array_equal(split.time[kept], whole.time)
    assert np.array_equal(split.n_at_risk[:, kept], whole.n_at_risk)
    assert np.array_equal(split.n_events[:, kept], whole.n_events)
    assert np.array_equal(split.n_censored.sum() - cut.sum(), whole.n_censored.sum())


@given(ROWS, st.booleans())
def test_rows_are_conserved(rows: list[tuple[int, int, bool, int]], late: bool) -> None:
    """At risk now = at risk before, less those who ended, plus those who entered."""
    duration, churned, entry, _ = columns(rows)
    counts = day_counts(duration, churned, entry=entry if late else None)
    assert counts.n_events.sum() + counts.n_censored.sum() + counts.n_no_risk.sum() == len(rows)
    if not late:
        left = (counts.n_at_risk - counts.n_events - counts.n_censored)[0]
        assert left[:-1].tolist() == counts.n_at_risk[0, 1:].tolist()
        assert left[-1] == 0


@given(
    ROWS,
    st.booleans(),
    st.lists(st.sampled_from([0, 0.5, 1, 2, 3.25, 7, 12, 13, 40]), min_size=1, max_size=9),
)
def test_at_risk_on_any_day(rows: list[tuple[int, int, bool, int]], late: bool, days: list[float]) -> None:
    duration, churned, entry, group = columns(rows)
    entry = entry if late else None
    counts = day_counts(duration, churned, entry=entry, group=group, n_groups=3)
    held = np.ones(duration.size, bool) if entry is None else entry < duration
    for g in range(3):
        for t, n in zip(days, counts.at_risk(np.array(days))[g], strict=True):
            begun = True if entry is None else (entry <= 0 if t == 0 else entry < t)
            assert n == (held & (group == g) & (duration >= t) & begun).sum()


def test_rows_of_many_chunks_are_all_counted() -> None:
    rng = np.random.default_rng(3)
    n = 3 * module._CHUNK + 17
    duration, churned, group = (
        rng.integers(5, 40, n),
        rng.random(n) < 0.5,
        rng.integers(0, 4, n).astype(np.int8),
    )
    entry = rng.integers(0, 8, n)
    assert same(
        day_counts(duration, churned, entry=entry, group=group, n_groups=4),
        module._by_sorting(duration, churned, entry, group, 4),
    )


def test_calendar_days_as_times_need_no_larger_grid() -> None:
    duration = np.array([738_000, 738_003])
    assert module._grid(duration, None, 1) == (738_000, 4)
    assert day_counts(duration, np.array([True, False])).n_at_risk.tolist() == [[2, 1]]


def test_no_rows_and_a_group_without_rows() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert day_counts(none, none.astype(bool), entry=none).time.size == 0
    counts = day_counts(np.array([4]), np.array([True]), group=np.array([1]), n_groups=3)
    assert counts.n_rows.tolist() == [0, 1, 0]
    assert counts.of(0).time.size == 0


def test_counts_are_read_only() -> None:
    counts = day_counts(np.array([4, 5]), np.array([True, False]))
    with pytest.raises(ValueError, match="read-only"):
        counts.n_events[0, 0] = 7


@given(st.lists(st.integers(-5, 30)), st.lists(st.integers(0, 25), unique=True, min_size=1))
def test_time_index_is_searchsorted(values: list[int], times: list[int]) -> None:
    at, found = np.array(sorted(times)), np.array(values, dtype=np.int64)
    for side in ("left", "right"):
        expected = np.searchsorted(at, found, side=side).tolist()
        assert time_index(at, found, side=side).tolist() == expected
        assert time_index(at, found.astype(float), side=side).tolist() == expected
        assert time_index(at, np.append(found, 10**12), side=side).tolist() == [*expected, len(times)]
