"""Alerts under a cap by day held against lines worked off in plain Python, gap by gap with lots, and by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from churnsurv.numerics.daily_capacity import capped_alerts

IDLE = 6


def a_world(seed: int):
    """Random groups of gaps: (start, pattern, lengths of each gap), and the urgency of the patterns."""
    rng = np.random.default_rng(seed)
    urgency = rng.integers(0, 4, (3, IDLE)) / 3  # many ties, between patterns too
    urgency[rng.random((3, IDLE)) < 0.3] = np.nan
    urgency[:, 0] = np.nan
    groups = [
        (start, pattern, rng.integers(1, IDLE + 2, rng.integers(1, 9)))
        for start in range(12)
        for pattern in range(3)
        if rng.random() < 0.8
    ]
    rng.shuffle(groups)
    return groups, urgency


def arrays(groups):
    start, pattern = (np.array([each[k] for each in groups]) for k in (0, 1))
    silent = np.array([[(lengths > day).sum() for day in range(IDLE)] for *_, lengths in groups])
    return start, pattern, silent


@pytest.mark.parametrize("seed", range(12))
def test_lines_are_those_worked_off_in_plain_python(seed: int) -> None:
    groups, urgency = a_world(seed)
    start, pattern, silent = arrays(groups)
    per_day = [0.5, 3.0, 10.0][seed % 3]
    left = dict.fromkeys(range(len(groups)), 1.0)
    expected = np.zeros(silent.shape)
    for day in range(start.min(), start.max() + IDLE):
        line: dict[float, list[tuple[int, int]]] = {}
        for place, begin in enumerate(start):
            idle = day - begin
            if 0 <= idle < IDLE and not np.isnan(urgency[pattern[place], idle]):
                line.setdefault(urgency[pattern[place], idle], []).append((place, idle))
        room = per_day
        for level in sorted(line, reverse=True):
            waiting = sum(silent[place, idle] * left[place] for place, idle in line[level])
            share = 1.0 if waiting <= room else room / waiting
            for place, idle in line[level] if waiting > 0 else ():
                if silent[place, idle] > 0:
                    expected[place, idle] = share * left[place]
                    left[place] -= expected[place, idle]
            room = max(room - waiting, 0.0)
    found = capped_alerts(start, pattern, silent, urgency, per_day=per_day)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_no_calendar_day_has_more_than_the_cap_and_none_is_idle_while_somebody_waits(seed: int) -> None:
    groups, urgency = a_world(seed)
    start, pattern, silent = arrays(groups)
    for per_day in (0.3, 1.0, 4.0, np.inf):
        share = capped_alerts(start, pattern, silent, urgency, per_day=per_day)
        assert (share >= 0).all()
        assert (share.sum(axis=1) <= 1 + 1e-12).all()
        assert (share[np.isnan(urgency)[pattern]] == 0).all()
        before = np.cumsum(share, axis=1) - share
        may = ~np.isnan(urgency)[pattern]
        day = start[:, None] + np.arange(IDLE)
        alerts = np.bincount(day.ravel(), (share * silent).ravel())
        waiting = np.bincount(day.ravel(), (may * (1 - before) * silent).ravel())
        np.testing.assert_allclose(alerts, np.minimum(waiting, per_day), atol=1e-9)


def test_without_a_cap_each_gap_is_alerted_on_its_first_day() -> None:
    groups, urgency = a_world(5)
    start, pattern, silent = arrays(groups)
    may = ~np.isnan(urgency)
    first = may & (np.cumsum(may, axis=1) == 1)
    expected = first[pattern] & (silent > 0)
    for per_day in (np.inf, silent.sum()):
        assert capped_alerts(start, pattern, silent, urgency, per_day=per_day).tolist() == expected.tolist()
    assert capped_alerts(start[:0], pattern[:0], silent[:0], urgency, per_day=1.0).shape == (0, IDLE)


def test_a_higher_cap_alerts_nobody_later() -> None:
    groups, urgency = a_world(3)
    # one urgency for all: who comes first is a matter of time alone
    start, pattern, silent = arrays(groups)
    flat = np.where(np.isnan(urgency), np.nan, 1.0)
    sums = [np.cumsum(capped_alerts(start, pattern, silent, flat, per_day=k), axis=1) for k in (1.0, 2.0, 5.0)]
    assert all((more >= less - 1e-12).all() for less, more in pairwise(sums))


def test_shares_are_the_mean_of_gaps_drawn_one_by_one() -> None:
    rng = np.random.default_rng(0)
    urgency = np.array([[np.nan, 0.2, 0.4, 0.4, 0.3, 0.1], [np.nan, np.nan, 0.4, 0.5, 0.6, 0.7]])
    groups = [(day, kind, rng.integers(1, IDLE + 2, 60)) for day in range(10) for kind in (0, 1)]
    start, pattern, silent = arrays(groups)
    per_day, n = 37, 200
    found = capped_alerts(start, pattern, silent, urgency, per_day=per_day)
    owner = np.repeat(np.arange(len(groups)), 60)
    lengths = np.concatenate([each[2] for each in groups])
    total = np.zeros(silent.shape)
    for _ in range(n):
        alerted = np.zeros(owner.size, dtype=bool)
        for day in range(10 + IDLE):
            idle = day - start[owner]
            here = np.flatnonzero((idle > 0) & (idle < IDLE) & (lengths > idle) & ~alerted)
            pressing = urgency[pattern[owner[here]], idle[here]]
            here, pressing = here[~np.isnan(pressing)], pressing[~np.isnan(pressing)]
            drawn = here[np.lexsort((rng.random(here.size), -pressing))][:per_day]
            alerted[drawn] = True
            np.add.at(total, (owner[drawn], idle[drawn]), 1)
    mean, expected = total / n, found * silent
    # whole gaps are drawn where expected numbers are worked off: a bias of a small part of a gap
    assert np.abs(mean - expected).max() < 1.0
    assert mean.sum() == pytest.approx(expected.sum(), rel=5e-3)
    by_idle = mean.sum(axis=0), expected.sum(axis=0)
    assert by_idle[0] == pytest.approx(by_idle[1], rel=0.02)
