"""Counts by group for the log-rank family: weights of rows, strata one by one, and parts of the groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnsurv.numerics import logrank_counts as module
from churnsurv.numerics.logrank_counts import EventSets, GroupRows, count_groups

ROWS = st.lists(
    st.tuples(
        st.integers(0, 7), st.integers(0, 7), st.booleans(), st.integers(0, 2), st.integers(0, 1), st.integers(1, 4)
    ),
    min_size=1,
    max_size=30,
)


def made(rows, *, late: bool = True, weights: str | None = None) -> GroupRows:
    entry, stay, churned, group, stratum, weight = (np.array(column) for column in zip(*rows, strict=True))
    w = None if weights is None else weight * (0.37 if weights == "sampling" else 1.0)
    return GroupRows(
        entry + stay, churned, group, 3, entry if late else None, stratum, 2, w, sampling=weights == "sampling"
    )


def equal(one: EventSets, other: EventSets) -> None:
    for name in EventSets.__slots__:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-12)


@settings(max_examples=40)
@given(ROWS, st.booleans(), st.sampled_from([None, "frequency", "sampling"]))
def test_equals_counting_by_hand(rows, late: bool, weights: str | None) -> None:
    of = made(rows, late=late, weights=weights)
    w = np.ones(len(rows)) if of.weights is None else of.weights
    counts = count_groups(of)
    entry = np.full(len(rows), -1) if of.entry is None else of.entry
    found = []
    for s in range(2):
        for t in np.unique(of.duration):
            at_risk = (of.stratum == s) & (entry < t) & (of.duration >= t)
            ends = at_risk & (of.duration == t) & of.churned
            if ends.any():
                cells = [[(w[which & (of.group == g)]).sum() for g in range(3)] for which in (at_risk, ends)]
                found.append((s, t, cells))
    assert counts.sets.stratum.tolist() == [s for s, _, _ in found]
    assert counts.sets.time.tolist() == [t for _, t, _ in found]
    assert counts.sets.strata.tolist() == [sum(s < k for s, _, _ in found) for k in range(3)]
    if found:
        np.testing.assert_allclose(counts.sets.at_risk, [cells[0] for _, _, cells in found], rtol=1e-12)
        np.testing.assert_allclose(counts.sets.churned, [cells[1] for _, _, cells in found], rtol=1e-12)
    for g, steps in enumerate(counts.curves):
        for t, n, d in zip(steps.time, steps.n_at_risk, steps.n_events, strict=True):
            at_risk = (of.group == g) & (entry < t) & (of.duration >= t)
            np.testing.assert_allclose(n, w[at_risk].sum(), rtol=1e-12)
            np.testing.assert_allclose(d, w[at_risk & (of.duration == t) & of.churned].sum(), rtol=1e-12, atol=1e-12)


@settings(max_examples=20)
@given(ROWS, st.booleans())
def test_a_frequency_is_a_row_repeated(rows, late: bool) -> None:
    weighted = count_groups(made(rows, late=late, weights="frequency"))
    repeated = count_groups(made([row for row in rows for _ in range(row[-1])], late=late))
    equal(weighted.sets, repeated.sets)
    assert weighted.n.tolist() == repeated.n.tolist()


@settings(max_examples=20)
@given(ROWS, st.sampled_from([None, "frequency", "sampling"]))
def test_strata_one_by_one_are_all_at_once(rows, weights: str | None) -> None:
    at_once = count_groups(made(rows, weights=weights))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_CELLS", 0)
        one_by_one = count_groups(made(rows, weights=weights))
    equal(at_once.sets, one_by_one.sets)
    for one, other in zip(at_once.curves, one_by_one.curves, strict=True):
        np.testing.assert_allclose(one.n_at_risk, other.n_at_risk, rtol=1e-12)


@settings(max_examples=20)
@given(ROWS, st.sampled_from([None, "sampling"]))
def test_some_groups_of_the_sets_are_the_sets_of_their_rows(rows, weights: str | None) -> None:
    of = made(rows, weights=weights)
    equal(count_groups(of).sets.of_groups([2, 0]), count_groups(of.of_groups([2, 0])).sets)


def test_counts_are_read_only() -> None:
    counts = count_groups(GroupRows(np.array([1, 2]), np.array([True, True]), np.array([0, 1]), 2))
    with pytest.raises(ValueError, match="read-only"):
        counts.sets.at_risk[0, 0] = 5
    with pytest.raises(ValueError, match="read-only"):
        counts.curves[0].n_at_risk[0] = 5
