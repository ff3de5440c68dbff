"""The blocks of users, one by one, held against the blocks in which gaps are counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import churnsurv as ch
from churnsurv.data.gap_counts import gap_counts
from churnsurv.data.user_blocks import blocks_of_users


@pytest.mark.parametrize(("blocks", "users"), [(1000, 60), (7, 60)])
def test_blocks_are_those_of_counted_gaps(blocks: int, users: int) -> None:
    log = ch.simulate_app(users, seed=2).log
    counts = gap_counts(log, blocks=blocks)
    gaps = log.gaps().table
    gaps = gaps[gaps["start_date"] <= pd.Timestamp(counts.last_start)]
    block = blocks_of_users(log, gaps["user_id"], blocks=blocks)
    assert counts.n_blocks == min(blocks, users)
    found = np.bincount(block, minlength=counts.n_blocks)
    assert found.tolist() == np.bincount(counts.block, counts.n, counts.n_blocks).tolist()
    churned = (~gaps["returned"] | (gaps["duration"] > 30)).to_numpy()
    lost = np.where(counts.duration > 30, counts.n, 0)
    assert np.bincount(block, churned, counts.n_blocks).tolist() == np.bincount(counts.block, lost).tolist() + [0.0] * (
        counts.n_blocks - counts.block.max() - 1
    )


def test_a_stranger_has_no_block() -> None:
    log = ch.simulate_app(20, seed=2).log
    with pytest.raises(KeyError):
        blocks_of_users(log, pd.Series(["nobody"]))
