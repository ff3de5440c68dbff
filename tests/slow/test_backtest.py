"""Coverage of a backtest of a frozen scheme: the full size is marked slow, a small one runs always with wide bounds."""

import pytest
from scipy.stats import binom

from . import backtest


@pytest.mark.slow
def test_coverage_is_within_its_gates():
    found = backtest.coverage()
    assert all(figure.passes for figure in found), found


def test_small_runs_are_near_their_gates():
    found = backtest.coverage(16)
    assert len(found) == 18
    for figure in found:
        low, high = figure.gate
        assert figure.n == 16
        assert binom.ppf(1e-4, 16, low) / 16 <= figure.value <= binom.ppf(1 - 1e-4, 16, high) / 16, figure
