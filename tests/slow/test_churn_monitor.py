"""Small runs of the churn monitor's experiments, with wide bounds."""

import numpy as np
from scipy.stats import poisson

from . import churn_monitor


def test_small_runs_are_near_their_gates():
    (calm, varying) = churn_monitor.years_without_shock(1, days=84)
    for figure in (calm, varying):
        assert figure.value <= poisson.ppf(1 - 1e-4, 1.0)
    found = {(figure.case, figure.measure): figure for figure in churn_monitor.drops(1, sizes=("20,000 living",))}
    assert len(found) == 14
    assert found["20,000 living, calm", "found in the channel within 4 days"].value == 1.0
    assert np.isfinite(found["20,000 living, varying", "median days"].value)
