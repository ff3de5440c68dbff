"""The gains curve held against first alerts that are counted limit by limit."""

from __future__ import annotations

import numpy as np
import pytest

from churnsurv.numerics.block_means import block_mean
from churnsurv.numerics.first_alert_gains import first_alert_gains, shrunken_shares

IDLE = 7


@pytest.mark.parametrize("seed", range(20))
def test_each_step_is_what_its_limit_alerts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    score = rng.integers(0, 6, (n, IDLE - 1)) / 5  # many ties
    durations = [rng.integers(1, IDLE + 2, rng.integers(0, 9)) for _ in range(n)]
    silent = np.array([[(each > day).sum() for day in range(1, IDLE)] for each in durations])
    churned = np.array([(each > IDLE).sum() for each in durations])
    gains = first_alert_gains(score, silent, churned, idle_days=IDLE)
    assert gains.limit[0] == np.inf
    assert set(gains.limit[1:]) <= set(score.ravel())
    for step, limit in enumerate(gains.limit):
        alerts = caught = lead = 0
        for each, row in zip(durations, score, strict=True):
            first = next((day for day in range(1, IDLE) if row[day - 1] >= limit), None)
            for length in each if first is not None else ():
                if length > first:
                    alerts, caught, lead = alerts + 1, caught + (length > IDLE), lead + (length > IDLE) * (IDLE - first)
        assert (gains.alerts[step], gains.caught[step], gains.lead[step]) == (alerts, caught, lead)
    assert (np.diff(gains.limit) < 0).all()
    for most in (0, 3, 10**6):
        at = gains.within(most)
        assert gains.alerts[at] <= most
        assert at == gains.alerts.size - 1 or gains.alerts[at + 1] > most


def test_days_without_a_score_alert_nobody() -> None:
    score = np.array([[np.nan, 0.5, np.nan], [np.nan, np.nan, np.nan], [0.7, np.nan, 0.9]])
    silent, churned = np.array([[9, 8, 7], [5, 5, 5], [4, 3, 2]]), np.array([6, 5, 1])
    gains = first_alert_gains(score, silent, churned, idle_days=4)
    assert gains.limit.tolist() == [np.inf, 0.9, 0.7, 0.5]
    # those of the third cell on day 3, then on day 1, then those of the first on day 2
    assert gains.alerts.tolist() == [0, 2, 4, 12]
    assert gains.lead.tolist() == [0, 1, 3, 15]


def test_shares_are_drawn_to_those_of_all_cells() -> None:
    silent, churned = np.array([[90, 50], [10, 0]]), np.array([45, 0])
    found = shrunken_shares(silent, churned, prior=10.0)
    assert found[:, 0].tolist() == pytest.approx([(45 + 4.5) / 100, 4.5 / 20])
    assert found[1, 1] == pytest.approx(0.9)
    by_day = shrunken_shares(silent, np.repeat(churned[:, None], 2, axis=1), prior=10.0)
    assert by_day.tolist() == found.tolist()
    assert shrunken_shares(np.zeros((1, 2)), np.zeros(1), prior=1.0).tolist() == [[1.0, 1.0]]


def test_a_mean_that_is_not_there_has_no_test() -> None:
    none = block_mean(np.zeros(3), np.ones(3), level=0.95)
    assert (none.estimate, none.lower, none.upper, none.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert np.isnan(block_mean(np.full(3, np.nan), np.ones(3), level=0.95).p_value)
    assert np.isnan(block_mean(np.zeros(2), np.zeros(2), level=0.95).estimate)
    assert np.isnan(block_mean(np.array([1.0]), np.array([2.0]), level=0.95).lower)
