"""The gates of the churn monitor: the full sizes are marked slow, small ones run always with wide bounds."""

import numpy as np
import pytest
from scipy.stats import poisson

from . import churn_monitor


@pytest.mark.slow
def test_years_without_a_shock_have_no_more_alarms_than_stated():
    found = churn_monitor.years_without_shock()
    assert all(figure.passes for figure in found), found


@pytest.mark.slow
def test_a_drop_is_found_within_four_days():
    found = churn_monitor.drops()
    assert all(figure.passes for figure in found), found


def test_small_runs_are_near_their_gates():
    (calm, varying) = churn_monitor.years_without_shock(1, days=84)
    for figure in (calm, varying):
        assert figure.value <= poisson.ppf(1 - 1e-4, 1.0)
    found = {(figure.case, figure.measure): figure for figure in churn_monitor.drops(1, sizes=("20,000 living",))}
    assert len(found) == 14
    assert found["20,000 living, calm", "found in the channel within 4 days"].value == 1.0
    assert np.isfinite(found["20,000 living, varying", "median days"].value)
