"""Draws by address: uniform, unrelated to their neighbours, and the same whoever else is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from churnsurv.simulation.draws import CONTACTS, Draws, Purpose

N = 100_000


def test_a_draw_has_its_own_address() -> None:
    everyone, some = Draws.of(5, np.arange(1, 1_001)), Draws.of(5, np.array([900, 7]))
    for step in (0, 3, 500):
        whole = everyone.uniform(Purpose.GAP, step=step)
        assert some.uniform(Purpose.GAP, step=step).tolist() == whole[[899, 6]].tolist()
        assert everyone.at(np.array([899, 6])).uniform(Purpose.GAP, step=step).tolist() == whole[[899, 6]].tolist()
    steps = np.array([3, 500])
    mixed = some.uniform(Purpose.GAP, step=steps)
    assert mixed.tolist() == [some.uniform(Purpose.GAP, step=3)[0], some.uniform(Purpose.GAP, step=500)[1]]


def test_seed_user_step_and_purpose_all_count() -> None:
    ids = np.arange(1, 1_001)
    draws = [
        Draws.of(seed, ids).uniform(purpose, step=step)
        for seed in (0, 1)
        for purpose in (Purpose.GAP, Purpose.LEAVE, CONTACTS)
        for step in (0, 1)
    ]
    assert np.unique(np.concatenate(draws)).size == len(draws) * ids.size


@pytest.mark.parametrize(("purpose", "step"), [(Purpose.LEAVE, 0), (Purpose.GAP, 7), (CONTACTS + 3, 200)])
def test_numbers_are_uniform(purpose: int, step: int) -> None:
    u = Draws.of(1, np.arange(N)).uniform(purpose, step=step)
    assert u.min() >= 0
    assert u.max() < 1
    assert stats.chisquare(np.bincount((u * 256).astype(int), minlength=256)).pvalue > 1e-4
    fine = (u * 2**40).astype(np.int64) % 256  # bits further down
    assert stats.chisquare(np.bincount(fine, minlength=256)).pvalue > 1e-4


def test_neighbours_have_nothing_to_do_with_each_other() -> None:
    draws = Draws.of(2, np.arange(N))
    here = draws.uniform(Purpose.LEAVE, step=4)
    for other in (
        draws.uniform(Purpose.LEAVE, step=5),  # the next activity
        draws.uniform(Purpose.INVEST, step=4),  # the next purpose
        np.roll(here, 1),  # the next user
        Draws.of(3, np.arange(N)).uniform(Purpose.LEAVE, step=4),  # the next seed
    ):
        both = np.bincount((here * 16).astype(int) * 16 + (other * 16).astype(int), minlength=256)
        assert stats.chisquare(both).pvalue > 1e-4
