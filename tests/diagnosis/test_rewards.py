from __future__ import annotations

import numpy as np
import pytest

from churnsurv.diagnosis.rewards import ProgressiveReward
from churnsurv.errors import InputError


def test_runs_of_days_worked_by_hand() -> None:
    """Days 3, 4, 5 pay 1, 3, 5; day 8 begins again; two users of one day pay once."""
    assert ProgressiveReward().total(np.array([5, 3, 4, 4, 8])) == 10
    assert ProgressiveReward(first=2, step=1, most=3).total(np.array([1, 2, 3, 4])) == 2 + 3 + 3 + 3
    assert ProgressiveReward().total(np.array([], dtype=np.int64)) == 0


def test_each_referrer_has_runs_of_his_own() -> None:
    days, who = np.array([1, 2, 2, 3, 9]), np.array([0, 0, 1, 1, -1])
    assert ProgressiveReward().total(days, who) == (1 + 3) + (1 + 3)
    order = [4, 2, 0, 3, 1]
    assert ProgressiveReward().total(days[order], who[order]) == 8


@pytest.mark.parametrize("wrong", [{"first": -1}, {"step": float("nan")}, {"most": "x"}, {"first": True}])
def test_numbers_that_are_none(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"ProgressiveReward: {next(iter(wrong))}"):
        ProgressiveReward(**wrong)  # type: ignore[arg-type]
