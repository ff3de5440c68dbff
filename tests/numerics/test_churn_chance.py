from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.churn_chance import value_of_return


def churns(state: np.ndarray, chance: np.ndarray, back: np.ndarray) -> tuple[float, np.ndarray]:
    """Carry users forward: churns by the last day, and users at risk on each day."""
    users, churned, at_risk = state.copy(), 0.0, np.empty_like(chance)
    for t in range(len(chance)):
        at_risk[t] = users
        returned = users * chance[t]
        left = users - returned
        churned += left[:, -1].sum()
        users = np.column_stack([np.zeros(len(back)), left[:, :-1]])
        np.add.at(users[:, 0], back, returned.sum(axis=1))
    return churned, at_risk


@pytest.mark.parametrize("seed", range(5))
def test_churns_under_two_laws_differ_by_returns_missed_times_their_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_days, idle_days, back = 20, 6, np.array([0, 0, 2, 2])
    usual, other = (rng.uniform(0.05, 0.5, (n_days, 4, idle_days)) for _ in range(2))
    state = rng.uniform(0, 100, (4, idle_days))
    with_effect, at_risk = churns(state, other, back)
    without, _ = churns(state, usual, back)
    value = value_of_return(usual, back)
    assert (at_risk * (usual - other) * value).sum() == pytest.approx(with_effect - without, abs=1e-9)


def test_a_return_on_the_eve_of_churn_saves_a_user_whose_next_churn_lies_beyond_the_days() -> None:
    value = value_of_return(np.full((3, 1, 5), 0.3), np.array([0]))
    assert value[-1, 0].tolist() == [0, 0, 0, 0, 1]
