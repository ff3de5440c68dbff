"""Risks under policies of a second contact: by hand, by brute force, and against the truth under chosen contacts."""

import numpy as np
import pytest

from churnsurv.numerics.clone_censor import copies, policy_risks

DAYS, DAY = 30, 5


def world(n, rng, *, effect=2.0):
    """Half of the users return three times as often, and are contacted more often: on day 5, a few on day 3."""
    x = rng.random(n) < 0.5
    hazard = np.where(x, 0.06, 0.02)
    early, late = np.where(x, 0.05, 0.01), np.where(x, 0.7, 0.2)
    chance = np.zeros((n, DAYS))
    chance[:, 2] = early
    chance[:, DAY - 1] = late
    time, returned, contact = np.full(n, DAYS), np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    for day in range(1, DAYS + 1):
        silent = ~returned
        asked = silent & (contact == 0) & (rng.random(n) < chance[:, day - 1])
        contact[asked] = day
        now = silent & (rng.random(n) < hazard * np.where(contact > 0, effect, 1.0))
        time[now], returned[now] = day, True
    return time, returned, contact, chance


def truth(effect=2.0):
    hazard = np.array([0.02, 0.06])
    without = 1 - (1 - hazard) ** DAYS
    second = 1 - (1 - hazard) ** (DAY - 1) * (1 - effect * hazard) ** (DAYS - DAY + 1)
    return without.mean(), second.mean()


def test_by_hand():
    """Six users are silent through day 1; on day 2 three are contacted, of whom one returns; later one of each."""
    time = np.array([2, 3, 4, 4, 3, 4])
    returned = np.array([True, True, False, False, True, False])
    contact = np.array([2, 2, 2, 0, 0, 0])
    chance = np.zeros((6, 4))
    chance[:, 1] = 0.5
    without, second = policy_risks(time, returned, contact, chance, [None, 2])
    assert without.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3])
    assert second.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])


def test_weights_stand_for_those_who_left():
    """Of four like A three are contacted on day 1, of four like B one: weights are inverse chances."""
    chance = np.repeat([[0.75, 0.0], [0.25, 0.0]], 4, axis=0)
    contact = np.array([1, 1, 1, 0, 1, 0, 0, 0])
    time = np.full(8, 2)
    returned = np.array([True, False, False, False, True, True, False, False])
    without, second = policy_risks(time, returned, contact, chance, [None, 1])
    # contacted: A 4 of weight 4/3 each, one returns; B one of weight 4, which returns
    assert second[-1] == pytest.approx((4 / 3 + 4) / 8)
    # not contacted: A one of weight 4; B three of weight 4/3, one returns
    assert without[-1] == pytest.approx((4 / 3) / 8)


def test_nobody_is_contacted_later_than_the_return():
    last, event = copies(np.array([3, 3]), np.array([True, True]), np.array([4, 3]), None)
    assert (last.tolist(), event.tolist()) == ([3, 2], [True, False])


def test_policies_agree_before_the_day():
    found = policy_risks(*world(3_000, np.random.default_rng(1)), [None, DAY, 12])
    assert (found[0, : DAY - 1] == found[1, : DAY - 1]).all()
    # after contacts have begun, the two wait for different days
    assert not np.isclose(found[0, DAY:], found[1, DAY:]).any()


def test_weights_of_rows_are_copies_of_rows():
    rng = np.random.default_rng(2)
    time, returned, contact, chance = world(500, rng)
    count = rng.integers(0, 4, 500)
    twice = np.repeat(np.arange(500), count)
    expected = policy_risks(time[twice], returned[twice], contact[twice], chance[twice], [None, DAY])
    found = policy_risks(time, returned, contact, chance, [None, DAY], weights=count.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_row_at_a_time_gives_the_same(monkeypatch):
    given = world(200, np.random.default_rng(3))
    whole = policy_risks(*given, [None, DAY])
    monkeypatch.setattr("churnsurv.numerics.clone_censor._ROWS", 7)
    np.testing.assert_allclose(policy_risks(*given, [None, DAY]), whole, rtol=1e-12)


def test_it_is_a_walk_over_copies():
    """Each copy day by day in plain Python."""
    time, returned, contact, chance = world(300, np.random.default_rng(4))
    for policy in (None, DAY):
        at_risk, events = np.zeros(DAYS), np.zeros(DAYS)
        for i in range(time.size):
            weight = 1.0
            for day in range(1, time[i] + 1):
                p = chance[i, day - 1]
                done_before = 0 < contact[i] < day
                contacted_now = contact[i] == day
                if policy is None:
                    if contacted_now:
                        break
                    weight /= 1 - p
                elif not done_before:
                    if contacted_now != (day == policy):
                        break
                    weight /= p if contacted_now else 1 - p
                at_risk[day - 1] += weight
                if returned[i] and day == time[i]:
                    events[day - 1] += weight
        expected = 1 - np.cumprod(1 - events / at_risk)
        np.testing.assert_allclose(policy_risks(time, returned, contact, chance, [policy])[0], expected, rtol=1e-12)


def test_the_truth_is_found_where_a_naive_comparison_is_far_off():
    without, second = truth()
    errors, naive = [], []
    for seed in range(20):
        time, returned, contact, chance = world(20_000, np.random.default_rng(100 + seed))
        found = policy_risks(time, returned, contact, chance, [None, DAY])[:, -1]
        errors.append(found[1] - found[0] - (second - without))
        contacted = contact == DAY
        naive.append(returned[contacted].mean() - returned[contact == 0].mean() - (second - without))
    spread = np.std(errors, ddof=1) / np.sqrt(len(errors))
    assert abs(np.mean(errors)) < max(0.002, 3 * spread)
    assert abs(np.mean(naive)) > 0.05
