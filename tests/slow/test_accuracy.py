"""Gates of docs/accuracy.md: the full size is marked slow, a small one runs always with bounds as wide as it needs."""

import numpy as np
import pytest
from scipy.stats import binom

from . import accuracy

FEW = 12
# Where a replication takes long: a ratio of standard errors has an upper bound from 11 replications on, a share from 1.
FEWER = {
    "idle_risk": 11,
    "lift_amounts": 3,
    "lift_small_holdout": 4,
    "monitored_campaigns_no_lift": 8,
    "planned_campaigns": 5,
    "prediction_quality": 11,
    "registration_bursts": 4,
    "searched_cuts_by_permutation": 8,
    "searched_cuts_found": 4,
    "shock_placebos": 4,
    "simultaneous_bands": 4,
    "targeting_curves": 11,
    "tests_of_no_difference": 4,
    "weighted_recurrent_spells": 4,
    "weighted_tests": 4,
}
# One replication takes so long that they have small runs of their own, in other files.
OWN = {"experience_app", "monitor_years", "monitor_drops", "shock_app"}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(accuracy.EXPERIMENTS))
def test_gates_hold_and_the_page_is_up_to_date(name):
    figures = accuracy.run(name)
    failed = [f for f in figures if not f.passes]
    assert not failed, accuracy.rendered(failed)
    assert accuracy.rendered(figures) == published(name), "run python -m tests.slow.accuracy"


@pytest.mark.parametrize("name", sorted(set(accuracy.EXPERIMENTS) - OWN))
def test_small_runs_are_near_their_gates(name):
    """Bounds that a method on the edge of its gate breaks once in 100,000 runs; the seeds are fixed."""
    gated = [f for f in accuracy.run(name, FEWER.get(name, FEW)) if f.gate is not None]
    assert gated
    for f in gated:
        low, high = f.gate
        if f.measure == "SE ratio":
            spread = 4.5 / np.sqrt(2 * f.n)
            assert low / (1 + spread) < f.value < high / (1 - spread), f
        else:
            assert binom.ppf(1e-5, f.n, low) / f.n <= f.value <= binom.ppf(1 - 1e-5, f.n, high) / f.n, f


@pytest.mark.parametrize("name", list(accuracy.EXPERIMENTS))
def test_the_page_shows_full_runs_whose_gates_hold(name):
    rows = [line.strip("|").split("|") for line in published(name).splitlines()[2:]]
    assert rows
    assert not [row for row in rows if row[-1].strip() == "FAILS"]
    gated = [int(row[3].replace(",", "")) for row in rows if row[4].strip()]
    assert all(n >= accuracy.full(name) / 2 for n in gated)


def test_each_table_of_the_page_belongs_to_an_experiment():
    page = accuracy.PAGE.read_text(encoding="utf-8")
    assert page.count(": begin -->") == page.count(": end -->") == len(accuracy.EXPERIMENTS)


def published(name):
    begin, end = accuracy.markers(name)
    page = accuracy.PAGE.read_text(encoding="utf-8")
    return page.split(begin)[1].split(end)[0].strip()
